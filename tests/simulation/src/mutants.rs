//! Planted bugs: each breaks one promise of an adapter, of the platform's wiring or of a handler,
//! and nothing else. A simulation that finds nothing must find every one of these.

use std::str::FromStr;

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $mutant:ident = $name:literal,)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[doc = $doc])+ $mutant,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mutant,)+];

            /// As it is written on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$mutant => $name,)+
                }
            }

            /// What is wrong.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$mutant => concat!($($doc,)+).trim_ascii(),)+
                }
            }
        }
    };
}

mutants! {
    /// The event is put without the condition that its version is free.
    AppendUnconditional = "append-unconditional",
    /// A failed condition is taken for a success.
    ConflictTakenForSuccess = "conflict-taken-for-success",
    /// After a conflict the same events are appended at the new end, without deciding again.
    StaleEventsAppended = "stale-events-appended",
    /// No answer is taken for "not written": the events are appended once more, further on.
    UnavailableTakenForNotWritten = "unavailable-taken-for-not-written",
    /// Event ids are random and not derived from what caused them.
    RandomEventIds = "random-event-ids",
    /// The stock moves before the event's transaction, and not in it.
    StockOutsideTransaction = "stock-outside-transaction",
    /// Stock is taken without the condition that there is enough of it.
    StockUnconditional = "stock-unconditional",
    /// What can be had of an order is taken, although something else of it cannot.
    StockPartlyTaken = "stock-partly-taken",
    /// Stock that is released is not added to what is available.
    ReleaseNotMoved = "release-not-moved",
    /// Only the first page of a stream is read.
    FirstPageOnly = "first-page-only",
    /// An event is put on the bus before it is stored.
    PublishedBeforeStored = "published-before-stored",
    /// The failed entries of an answer of the bus are not looked at.
    FailedEntriesIgnored = "failed-entries-ignored",
    /// The relay goes on after an event that was not taken, and drops it.
    RelayDropsFailed = "relay-drops-failed",
    /// An invocation is acknowledged before the handler has appended.
    AcknowledgedBeforeAppend = "acknowledged-before-append",
    /// An event whose retries are used up is dropped, and not given to the dead-letter queue.
    ExhaustedDropped = "exhausted-dropped",
    /// A redrive that fails drops the letter.
    RedriveDropsFailed = "redrive-drops-failed",
    /// The redriver deletes a message before its letter is saved.
    DeletedBeforeSaved = "deleted-before-saved",
    /// A redriver that has claimed a letter does not keep another one off.
    ClaimHoldsNobodyOff = "claim-holds-nobody-off",
    /// A letter's failed rounds are not counted: poison is redriven for ever.
    RoundsNeverEnd = "rounds-never-end",
    /// A redrive comes under an id of its own, and not as the call that was given up.
    RedrivenUnderNewId = "redriven-under-new-id",
    /// A consumer acknowledges what it gave up, although its dead-letter queue did not take it.
    RefusalIgnored = "refusal-ignored",
    /// Nobody sweeps.
    NoSweeps = "no-sweeps",
    /// Nobody reconciles.
    NoReconciling = "no-reconciling",
    /// Who publishes again publishes another event, and not the recorded one.
    HealedAnew = "healed-anew",
    /// Every attempt to charge has an idempotency key of its own.
    NewKeyPerAttempt = "new-key-per-attempt",
    /// A payment whose outcome is unknown is taken for declined.
    UnknownTakenForDeclined = "unknown-taken-for-declined",
    /// A payment whose outcome is unknown is taken for approved.
    UnknownTakenForApproved = "unknown-taken-for-approved",
    /// A webhook is recorded without looking whether the payment is settled.
    WebhookCountedTwice = "webhook-counted-twice",
    /// A refund is recorded and not made.
    RefundSkipped = "refund-skipped",
    /// A trigger is taken at its word, however old it is.
    StaleTriggerTrusted = "stale-trigger-trusted",
    /// A mail is sent without a claim.
    SentWithoutClaim = "sent-without-claim",
    /// A contact is stored as it is, and not sealed.
    ContactStoredPlain = "contact-stored-plain",
    /// A row is written without the condition on its version.
    RowsUnconditional = "rows-unconditional",
}

impl FromStr for Mutant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .find(|mutant| mutant.name() == text)
            .copied()
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|mutant| mutant.name()).collect();
                format!(
                    "there is no such planted bug; there are {}",
                    names.join(", ")
                )
            })
    }
}
