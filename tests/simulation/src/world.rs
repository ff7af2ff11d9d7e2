//! A world: everything that the handlers touch, in memory, with what goes wrong in it.
//!
//! In reading order: [`store`] (events and stock), [`bus`], [`gateway`], [`webhook`], [`mail`],
//! [`keys`], [`rows`], [`clock`]; then what only those touch who mend: [`queues`] (dead-letter queues),
//! [`letters`], [`redriving`] (the redriver's calls), [`history`] (what was stored and published).
//! Each of them is a port of the handlers. Every call of a port gives way once before
//! its effect and once after it, so that tasks meet at every await.

pub mod bus;
pub mod clock;
pub mod gateway;
pub mod history;
pub mod keys;
pub mod letters;
pub mod mail;
pub mod queues;
pub mod redriving;
pub mod rows;
pub mod store;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_sourcing::dead_letter::{InMemoryDeadLetters, LetterSummary};
use event_sourcing::reconciling::Marker;
use event_sourcing::sealing::in_memory::subject_keys;
use fastrand::Rng;
use jiff::Timestamp;
use reconcile_events::progress::InMemoryProgress;
use tokio::time::Instant;

use crate::faults::{Fault, Faults};
use crate::functions::Payments;
use crate::mutants::Mutant;
use crate::platform::Platform;
use crate::scheduler::yield_once;
use crate::trace::Trace;
use crate::wiring::Wiring;
use bus::Published;
use clock::WorldClock;
use gateway::Books;
use keys::KeptKeys;
use mail::Mails;
use queues::Queues;
use rows::KeptRows;
use store::Kept;

/// What a world is made by.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many orders are placed.
    pub orders: usize,
    /// Which kinds of faults there may be.
    pub faults: Vec<Fault>,
    /// The planted bug, if one is.
    pub mutant: Option<Mutant>,
    /// Whether the trace is kept as text.
    pub trace: bool,
}

/// Everything there is.
pub struct World {
    /// What goes wrong.
    pub faults: Faults,
    /// What is wired to what.
    pub wiring: Arc<Wiring>,
    /// Events and stock.
    pub(crate) kept: Mutex<Kept>,
    /// What is on the bus.
    pub(crate) published: Mutex<Vec<Published>>,
    bus_down_until: Mutex<Duration>,
    /// The gateway's books.
    pub(crate) books: Mutex<Books>,
    /// What was sent to customers.
    pub(crate) mails: Mutex<Mails>,
    /// Customers' keys.
    pub(crate) keys: KeptKeys,
    /// The read model.
    pub(crate) rows: KeptRows,
    /// What was given up and not taken in.
    pub(crate) queues: Mutex<Queues>,
    /// Dead letters.
    pub(crate) letters: InMemoryDeadLetters,
    /// Letters that a consumer is called with now, or whose outcome is not noted: how much of that.
    pub(crate) in_flight: Mutex<BTreeMap<String, u32>>,
    /// Ids of events that nobody will ever take.
    pub(crate) poison: Mutex<BTreeSet<String>>,
    /// How far reconciling is.
    pub(crate) progress: InMemoryProgress,
    /// The markers of what was published.
    pub(crate) markers: Mutex<Vec<Marker>>,
    /// What delivers, retries and gives up.
    pub(crate) platform: Platform,
    /// The process that charges, while there is one.
    pub(crate) payments: Mutex<Option<Arc<Payments>>>,
    mutant: Option<Mutant>,
    rng: Mutex<Rng>,
    trace: Mutex<Trace>,
    skew: Mutex<i64>,
    began: Instant,
    /// How likely a call takes time, and not only a step.
    slowness: f64,
}

/// Locks, whether or not somebody panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(plan: &Plan, wiring: Arc<Wiring>) -> Arc<Self> {
        let mut rng = Rng::with_seed(plan.seed);
        let faults = Faults::drawn(&plan.faults, &mut rng);
        let slowness = rng.f64() * 0.3;
        Arc::new(Self {
            faults,
            platform: Platform::new(&wiring, &mut rng),
            wiring,
            kept: Mutex::default(),
            published: Mutex::default(),
            bus_down_until: Mutex::default(),
            books: Mutex::default(),
            mails: Mutex::default(),
            keys: subject_keys(WorldClock::Stopped(Timestamp::UNIX_EPOCH)),
            rows: KeptRows::default(),
            queues: Mutex::default(),
            letters: InMemoryDeadLetters::default(),
            in_flight: Mutex::default(),
            poison: Mutex::default(),
            progress: InMemoryProgress::default(),
            markers: Mutex::default(),
            payments: Mutex::default(),
            mutant: plan.mutant,
            rng: Mutex::new(rng),
            trace: Mutex::new(Trace::new(plan.trace)),
            skew: Mutex::default(),
            began: Instant::now(),
            slowness,
        })
    }

    /// Whether this bug is planted.
    #[must_use]
    pub fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether the fault happens now.
    #[must_use]
    pub fn hits(&self, fault: Fault) -> bool {
        self.faults.hits(fault, &mut lock(&self.rng))
    }

    /// Whether the fault is to happen; whoever makes it happen counts it.
    #[must_use]
    pub fn wants(&self, fault: Fault) -> bool {
        self.faults.wanted(fault, &mut lock(&self.rng))
    }

    /// Whether the fault is to happen, also while everything works.
    #[must_use]
    pub fn draws(&self, fault: Fault) -> bool {
        self.faults.drawn_for(fault, &mut lock(&self.rng))
    }

    /// Draws something.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.rng))
    }

    /// Notes what happened.
    pub fn note(&self, what: Arguments<'_>) {
        lock(&self.trace).note(self.elapsed(), what);
    }

    /// Whether nobody will ever take what is in the letter.
    #[must_use]
    pub fn is_poison(&self, letter: &LetterSummary) -> bool {
        let event = letter.event.as_ref();
        event.is_some_and(|event| lock(&self.poison).contains(&event.event_id))
    }

    /// Ends every process.
    pub fn close(&self) {
        lock(&self.payments).take();
    }

    /// The hash of everything that happened, and its text where that was kept.
    #[must_use]
    pub fn history(&self) -> (u64, Option<String>) {
        let mut trace = lock(&self.trace);
        (trace.hash(), trace.take_text())
    }

    /// How long the world has been there, in its own time.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Gives way to others: for a step, or for a while.
    pub async fn step(&self) {
        let slow = self.draw(|rng| (rng.f64() < self.slowness).then(|| rng.u64(1..200)));
        match slow {
            Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            None => yield_once().await,
        }
    }

    /// Waits for a random time up to `most`.
    pub async fn pause(&self, most: Duration) {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        let wait = self.draw(|rng| rng.u64(0..=millis));
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}
