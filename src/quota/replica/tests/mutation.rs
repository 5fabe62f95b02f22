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
    RestDoesNotTravel,
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
