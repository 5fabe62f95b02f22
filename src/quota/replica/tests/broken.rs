//! What a replica does that breaks a rule: the messages are changed on their way.

use super::super::super::Moment;
use super::super::super::slots::SlotState;
use super::super::{SyncReply, SyncRequest};
use super::mutation::Mutation;
use super::node::Node;
use super::scene::Scene;

impl Node {
    /// Takes in a reply, by the rules or not.
    pub(super) fn read(&mut self, reply: &SyncReply, scene: &Scene, now: Moment) {
        let mut reply = reply.clone();
        let broken = scene.mutation;
        if broken == Mutation::LateRepliesAccepted
            && let SyncReply::Ok { seq, .. } = &mut reply
            && let Some(asked) = self.replica.asked_for()
        {
            *seq = asked;
        }
        let ends = self.replica.lease_end();
        let claims = broken == Mutation::ClaimsAfterLeaseEnd;
        if claims && matches!(reply, SyncReply::Epoch { .. }) {
            self.replica.set_lease_end(now + scene.lease);
        }
        let read = self.replica.accept(&mut self.pools, &reply, now, |_, _| ());
        match (&reply, broken) {
            (SyncReply::Ok { .. }, Mutation::LeaseFromReply | Mutation::LateRepliesAccepted)
                if read =>
            {
                self.replica.set_lease_end(now + scene.lease);
            }
            (SyncReply::Epoch { .. }, Mutation::ClaimsAfterLeaseEnd) => {
                // The claim is sent at once, before anybody looks at the lease again.
                self.replica.set_lease_end(ends.max(now + std::time::Duration::from_millis(1)));
            }
            _ => {}
        }
    }

    /// Gives a slot back whose call is under way.
    pub(super) fn return_in_use(&mut self, request: &mut SyncRequest) {
        for (shared, report) in self.shared.iter().zip(&mut request.pools) {
            let slots = &self.pools.get(shared.id).expect("its own").slots;
            let in_use = |(id, _): &(u32, u64)| {
                let mut block = id * shared.block..(id + 1) * shared.block;
                block.any(|slot| matches!(slots.state(slot), SlotState::InUse(_)))
            };
            if let Some(at) = report.hold.iter().position(in_use) {
                let (id, _) = report.hold.swap_remove(at);
                report.ret.push((id, 0));
            }
        }
    }

    /// Reports a slot in use as usable when its call is over at the latest, as if a call could not
    /// come back unsent.
    pub(super) fn report_ends(&mut self, request: &mut SyncRequest, now: Moment) {
        for (shared, report) in self.shared.iter().zip(&mut request.pools) {
            let slots = &self.pools.get(shared.id).expect("its own").slots;
            for (id, rest) in &mut report.hold {
                if let SlotState::InUse(taken) = slots.state(*id)
                    && shared.block == 1
                {
                    let ends = slots.rest().after_no_response(taken).since(now);
                    *rest = u64::try_from(ends.as_millis()).expect("short") + 1;
                }
            }
        }
    }
}
