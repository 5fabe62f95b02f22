//! What tests check after each step.

use super::super::moment::Moment;
use super::super::pools::Pools;
use super::super::queue::Lane;
use super::super::shares::Claims;
use super::super::waiting_apps::WaitingApps;
use super::Scheduler;

impl Scheduler {
    /// What the apps' books say is what their slots do.
    pub(crate) fn assert_balance(&self, pools: &Pools, now: Moment) {
        let slots = &pools.get(self.main).unwrap().slots;
        let mut held = vec![[0_u32; 2]; self.apps.len()];
        for owner in slots.owners() {
            held[(owner / 2) as usize][(owner % 2) as usize] += 1;
        }
        for lane in Lane::ALL.map(Lane::index) {
            for (app, held) in self.apps.iter().zip(&held) {
                assert_eq!(app.lanes[lane].held, held[lane]);
                let waiting = app.lanes[lane].waiting;
                assert!(app.listed || lane == 1 || held[0] + waiting == 0);
            }
            let all: u32 = held.iter().map(|held| held[lane]).sum();
            assert_eq!(self.books.held(Lane::ALL[lane]), all);
            let waiting: u32 = self.apps.iter().map(|app| app.lanes[lane].waiting).sum();
            assert_eq!(self.queue.lane_len(Lane::ALL[lane]), waiting);
        }
        for app in &self.apps {
            assert!(app.rests.len() <= app.lanes[0].held as usize);
            assert!(app.rests.iter().is_sorted());
        }
        self.assert_order();
        self.assert_shares(now);
    }

    /// The order of the apps is the one that their calls and tags give.
    fn assert_order(&self) {
        for lane in Lane::ALL {
            let apps = (0..).take(self.apps.len());
            let order = apps.filter_map(|app| {
                let (tag, since) = self.place_of(app, lane)?;
                Some((tag, since, app))
            });
            assert_eq!(self.order[lane.index()], order.collect());
        }
    }

    /// What was counted of all claims is what counting from scratch gives, and so are the shares.
    fn assert_shares(&self, now: Moment) {
        let counted: Vec<_> = self.apps.iter().filter_map(|app| app.claim).collect();
        let mut claims = Claims::default();
        counted.iter().for_each(|claim| claims.add(claim));
        claims.assert_same(&self.claims);
        let mut crowd = WaitingApps::default();
        self.apps.iter().filter_map(|app| app.standing).for_each(|one| crowd.add(one));
        assert_eq!(crowd, self.waiting_apps);
        for (number, app) in (0..).zip(&self.apps) {
            if !app.changed && app.pace.is_none() {
                assert_eq!(app.claim, app.listed.then(|| self.claim(number, now)), "{app:?}");
            }
            if !app.changed {
                assert_eq!(app.standing, self.standing(number), "{app:?}");
            }
            assert_eq!(app.changed, self.changed.contains(&number));
            assert_eq!(app.listed, self.listed.contains(&number));
            assert_eq!(app.pace.is_some(), self.limited.contains(&number));
        }
    }
}
