//! Rules of the protocol, each of which can be broken to see that the tests notice.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// None is broken.
    Faithful,
    // The ledger's.
    LateRequestsAccepted,
    NoFreezeInNewEpoch,
    IncarnationIgnored,
    DeadSlotsUsableAtLeaseEnd,
    TimeAsItIs,
    TimeCappedOnly,
    LostGrantsKept,
    EpochNumbersIgnored,
    GapsIgnored,
    OwnersTrustedOverAGap,
    RestDoesNotTravel,
    /// Costs no call over the limit, only time.
    LanesAsOne,
    // The replica's.
    RestFromSend,
    LeaseFromReply,
    LateRepliesAccepted,
    SlotInUseReturned,
    ClaimsAfterLeaseEnd,
    NarrowGuard,
    StaticShareBesides,
    InUseReportedByItsEnd,
    WritesUnchecked,
}

impl Mutation {
    pub(super) const ALL: [Self; 20] = [
        Self::LateRequestsAccepted,
        Self::NoFreezeInNewEpoch,
        Self::IncarnationIgnored,
        Self::DeadSlotsUsableAtLeaseEnd,
        Self::TimeAsItIs,
        Self::TimeCappedOnly,
        Self::LostGrantsKept,
        Self::EpochNumbersIgnored,
        Self::GapsIgnored,
        Self::OwnersTrustedOverAGap,
        Self::RestDoesNotTravel,
        Self::RestFromSend,
        Self::LeaseFromReply,
        Self::LateRepliesAccepted,
        Self::SlotInUseReturned,
        Self::ClaimsAfterLeaseEnd,
        Self::NarrowGuard,
        Self::StaticShareBesides,
        Self::InUseReportedByItsEnd,
        Self::WritesUnchecked,
    ];
}
