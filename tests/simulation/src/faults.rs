//! What can go wrong, how often in this world, and how often it did.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fastrand::Rng;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An event is delivered twice to a consumer.
    DuplicateDelivery,
    /// A delivery comes minutes late, after those that were sent later.
    DelayedDelivery,
    /// A function succeeded, and the platform does not know: it calls again.
    LostAcknowledgement,
    /// A process ends in the middle of an invocation, at any await.
    HandlerCrash,
    /// A table, a bus or a function has no capacity: nothing was done.
    Throttled,
    /// A write was made, and its answer was lost.
    UnavailableButWritten,
    /// The bus took some entries of a request and not others.
    PartialPutEvents,
    /// The bus takes nothing, for longer than a relay can wait.
    BusOutage,
    /// The gateway timed out, and had not charged or refunded.
    GatewayTimeoutBefore,
    /// The gateway timed out, and had charged or refunded.
    GatewayTimeoutAfter,
    /// The gateway is down for minutes.
    GatewayOutage,
    /// The gateway's webhook comes hours late.
    LateWebhook,
    /// The gateway's webhook comes again.
    DuplicateWebhook,
    /// A mail was not sent, or was and nobody knows.
    MailFailure,
    /// A handler's clock goes forward or backward, by minutes.
    ClockJump,
    /// An operator redrives dead letters at once, while all else goes wrong.
    EarlyRedrive,
    /// An operator parks a letter and releases it later, or sweeps or reconciles by hand.
    OperatorActs,
    /// The bus took an event and never delivers it to somebody who moves orders.
    LostDelivery,
    /// A stored event never reaches the relay.
    LostRecord,
    /// A rule cannot deliver an event, and gives it up.
    Undelivered,
    /// A mapping gives a batch of the stream up, and tells only where it was.
    GivenUpBatch,
    /// An event comes that its consumer will never take.
    Poison,
    /// A customer calls an order off, at any moment.
    Cancellation,
    /// A customer sends the same request again, or another one under the same key.
    RepeatedPost,
    /// Days later, events are delivered once more from the archive.
    LateReplay,
}

impl Fault {
    /// All kinds, in the order of the report.
    pub const ALL: [Self; 25] = [
        Self::DuplicateDelivery,
        Self::DelayedDelivery,
        Self::LostAcknowledgement,
        Self::HandlerCrash,
        Self::Throttled,
        Self::UnavailableButWritten,
        Self::PartialPutEvents,
        Self::BusOutage,
        Self::GatewayTimeoutBefore,
        Self::GatewayTimeoutAfter,
        Self::GatewayOutage,
        Self::LateWebhook,
        Self::DuplicateWebhook,
        Self::MailFailure,
        Self::ClockJump,
        Self::EarlyRedrive,
        Self::OperatorActs,
        Self::LostDelivery,
        Self::LostRecord,
        Self::Undelivered,
        Self::GivenUpBatch,
        Self::Poison,
        Self::Cancellation,
        Self::RepeatedPost,
        Self::LateReplay,
    ];

    /// As it is written on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DuplicateDelivery => "duplicate-delivery",
            Self::DelayedDelivery => "delayed-delivery",
            Self::LostAcknowledgement => "lost-acknowledgement",
            Self::HandlerCrash => "handler-crash",
            Self::Throttled => "throttled",
            Self::UnavailableButWritten => "unavailable-but-written",
            Self::PartialPutEvents => "partial-put-events",
            Self::BusOutage => "bus-outage",
            Self::GatewayTimeoutBefore => "gateway-timeout-before",
            Self::GatewayTimeoutAfter => "gateway-timeout-after",
            Self::GatewayOutage => "gateway-outage",
            Self::LateWebhook => "late-webhook",
            Self::DuplicateWebhook => "duplicate-webhook",
            Self::MailFailure => "mail-failure",
            Self::ClockJump => "clock-jump",
            Self::EarlyRedrive => "early-redrive",
            Self::OperatorActs => "operator-acts",
            Self::LostDelivery => "lost-delivery",
            Self::LostRecord => "lost-record",
            Self::Undelivered => "undelivered",
            Self::GivenUpBatch => "given-up-batch",
            Self::Poison => "poison",
            Self::Cancellation => "cancellation",
            Self::RepeatedPost => "repeated-post",
            Self::LateReplay => "late-replay",
        }
    }

    /// The highest probability that a world draws for it.
    fn most(self) -> f64 {
        match self {
            Self::Throttled | Self::UnavailableButWritten | Self::MailFailure => 0.15,
            Self::PartialPutEvents | Self::LostAcknowledgement => 0.2,
            Self::HandlerCrash | Self::DuplicateDelivery | Self::DelayedDelivery => 0.3,
            Self::GatewayTimeoutBefore | Self::GatewayTimeoutAfter => 0.3,
            Self::ClockJump | Self::GatewayOutage | Self::BusOutage => 0.02,
            Self::LateWebhook | Self::DuplicateWebhook => 0.5,
            Self::LostDelivery | Self::LostRecord | Self::Undelivered => 0.1,
            Self::GivenUpBatch => 0.2,
            Self::EarlyRedrive | Self::Cancellation | Self::RepeatedPost => 0.5,
            Self::OperatorActs | Self::Poison => 0.5,
            Self::LateReplay => 0.5,
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|fault| fault.name()).collect();
                format!("there is no such fault; there are {}", names.join(", "))
            })
    }
}

/// How many faults of each kind there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Counts {
    /// Adds those of another world.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Each kind with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.0)
    }

    /// How many of this kind.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The faults of one world.
#[derive(Debug)]
pub struct Faults {
    rates: [f64; Fault::ALL.len()],
    counts: [AtomicU64; Fault::ALL.len()],
    on: AtomicBool,
}

impl Faults {
    /// Draws for each kind of `wanted` whether this world has it, and how often. A world that
    /// has few kinds, often, finds what a world with a little of each never does.
    #[must_use]
    pub fn drawn(wanted: &[Fault], rng: &mut Rng) -> Self {
        let rates = Fault::ALL.map(|fault| {
            let (has, rate) = (rng.f64() < 0.6, rng.f64() * fault.most());
            if has && wanted.contains(&fault) {
                rate
            } else {
                0.0
            }
        });
        Self {
            rates,
            counts: Default::default(),
            on: AtomicBool::new(true),
        }
    }

    /// Whether the fault happens now.
    #[must_use]
    pub fn hits(&self, fault: Fault, rng: &mut Rng) -> bool {
        let hit = self.wanted(fault, rng);
        if hit {
            self.count(fault);
        }
        hit
    }

    /// Whether the fault is to happen; whoever makes it happen counts it.
    #[must_use]
    pub fn wanted(&self, fault: Fault, rng: &mut Rng) -> bool {
        self.on.load(Ordering::Relaxed) && self.drawn_for(fault, rng)
    }

    /// Whether the fault is to happen, also while everything works.
    #[must_use]
    pub fn drawn_for(&self, fault: Fault, rng: &mut Rng) -> bool {
        self.rates[fault as usize] > 0.0 && rng.f64() < self.rates[fault as usize]
    }

    /// Counts one that was not decided by [`Faults::hits`].
    pub fn count(&self, fault: Fault) {
        self.counts[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// From now on everything works, or fails again.
    pub fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (count, counted) in counts.0.iter_mut().zip(&self.counts) {
            *count = counted.load(Ordering::Relaxed);
        }
        counts
    }
}
