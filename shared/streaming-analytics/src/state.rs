//! The state of a Lambda window of one shard: what it has folded and not written yet.

mod limits;

use limits::Weights;
pub use limits::{Limits, MAX_GROWTH};

use crate::codec::{self, Damaged};
use crate::devices::DeviceKey;
use crate::earlier::{Earlier, NotLookedUp};
use crate::part::{LambdaWindow, Part, PartKey, SequenceNumber, Sums, device_weight};
use crate::record::{Malformed, Record, What};
use crate::window::{Lateness, Minute, Timing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of [`State::encode`].
const VERSION: u8 = 1;

/// A record as the stream delivered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// When the stream took it (`approximateArrivalTimestamp`).
    pub arrived: Timestamp,
    /// What it holds.
    pub record: Result<Record, Malformed>,
}

/// What became of a record; the minute is the one in which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// Folded into its minute.
    OnTime(Minute),
    /// Folded into its minute as a correction.
    Late(Minute),
    /// Seen before; counted.
    Duplicate(Minute),
    /// Counted only.
    TooLate(Minute),
    /// Counted only.
    TooEarly(Minute),
    /// Counted only.
    Malformed(Minute),
    /// It was delivered again to a state, or into an adopted part, that has folded and counted it.
    Already,
}

/// What a Lambda window of one shard has folded since its last flush.
///
/// Folding is a pure function of the state, the record and what earlier parts hold, one record at a
/// time; so is [`State::is_full`]. Therefore a retry, whole or bisected, fills and flushes at the
/// same record as the attempt before, and comes to the same parts under the same keys.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    window: LambdaWindow,
    stored: Stored,
    weights: Weights,
}

/// What of a state goes over to the next invocation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Stored {
    /// The number of the next flush.
    seq: u32,
    /// The last record that was in a flush.
    after: Option<SequenceNumber>,
    /// The last record that was folded.
    through: Option<SequenceNumber>,
    /// Minutes whose adopted part covers records beyond the flush, up to this one.
    adopted: BTreeMap<Minute, SequenceNumber>,
    open: BTreeMap<Minute, Sums>,
}

impl State {
    /// The state at the start of a Lambda window.
    #[must_use]
    pub fn new(window: LambdaWindow) -> Self {
        Self {
            window,
            stored: Stored::default(),
            weights: Weights::default(),
        }
    }

    /// The minute whose earlier ids [`State::fold`] will ask for; `None` where it needs none.
    #[must_use]
    pub fn asks_for(&self, arrival: &Arrival, lateness: &Lateness) -> Option<Minute> {
        let record = arrival.record.as_ref().ok()?;
        match lateness.judge(record.at, arrival.arrived) {
            Timing::OnTime | Timing::Late => Minute::of(record.at).ok(),
            Timing::TooLate | Timing::TooEarly => None,
        }
    }

    /// Folds one record; then ask [`State::is_full`], and flush if it is.
    ///
    /// # Errors
    /// [`NotLookedUp`], when the earlier ids of the record's minute are not known; the state is
    /// as before.
    pub fn fold(
        &mut self,
        arrival: &Arrival,
        lateness: &Lateness,
        earlier: &Earlier,
    ) -> Result<Folded, NotLookedUp> {
        if self.stored.through.as_ref() >= Some(&arrival.sequence) {
            return Ok(Folded::Already);
        }
        let folded = self.judge(arrival, lateness, earlier)?;
        self.stored.through = Some(arrival.sequence.clone());
        let Some(minute) = folded.minute() else {
            return Ok(folded);
        };
        if self.is_adopted(minute, &arrival.sequence) {
            return Ok(Folded::Already);
        }
        self.count(folded, minute, arrival);
        Ok(folded)
    }

    fn judge(
        &self,
        arrival: &Arrival,
        lateness: &Lateness,
        earlier: &Earlier,
    ) -> Result<Folded, NotLookedUp> {
        let arrived_in = Minute::of(arrival.arrived).unwrap_or(Minute::FIRST);
        let Ok(record) = &arrival.record else {
            return Ok(Folded::Malformed(arrived_in));
        };
        let timing = lateness.judge(record.at, arrival.arrived);
        let minute = match (timing, Minute::of(record.at)) {
            (Timing::OnTime | Timing::Late, Ok(minute)) => minute,
            (Timing::TooEarly, _) => return Ok(Folded::TooEarly(arrived_in)),
            (Timing::TooLate, _) | (_, Err(_)) => return Ok(Folded::TooLate(arrived_in)),
        };
        let here = self.stored.open.get(&minute);
        let seen = earlier.has(minute, record.id, self.stored.seq)?
            || here.is_some_and(|sums| sums.ids.contains(record.id));
        Ok(match timing {
            _ if seen => Folded::Duplicate(minute),
            Timing::OnTime => Folded::OnTime(minute),
            Timing::Late | Timing::TooLate | Timing::TooEarly => Folded::Late(minute),
        })
    }

    fn is_adopted(&self, minute: Minute, sequence: &SequenceNumber) -> bool {
        let adopted = self.stored.adopted.get(&minute);
        adopted.is_some_and(|through| sequence <= through)
    }

    fn count(&mut self, folded: Folded, minute: Minute, arrival: &Arrival) {
        let sums = self.stored.open.entry(minute).or_default();
        let counts = &mut sums.counts;
        let counter = match folded {
            Folded::OnTime(_) => &mut counts.on_time,
            Folded::Late(_) => &mut counts.late,
            Folded::Duplicate(_) => &mut counts.duplicate,
            Folded::TooLate(_) => &mut counts.too_late,
            Folded::TooEarly(_) => &mut counts.too_early,
            Folded::Malformed(_) => &mut counts.malformed,
            Folded::Already => return,
        };
        *counter = counter.saturating_add(1);
        let (mut before, mut now) = (0, 0);
        if let (Folded::OnTime(_) | Folded::Late(_), Ok(record)) = (folded, &arrival.record) {
            before = sums.device_weight(record);
            sums.add(record, minute);
            now = sums.device_weight(record);
        }
        let rest = sums.weight_without_devices();
        self.weights.change(minute, before, now, rest);
    }

    /// Whether it is time to flush: one more record might make the state or a part too large.
    #[must_use]
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.weights.exceed(limits)
    }

    /// Whether nothing is waiting to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.open.is_empty()
    }

    /// The number of the next flush.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.stored.seq
    }

    /// The parts of a flush, one per minute: write each where nothing is under its key, and hold
    /// it against what is there otherwise ([`Part::meets`]). Flush when the state is full, when
    /// Lambda ends the window, and when it says that it ended early.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let Some(through) = &self.stored.through else {
            return Vec::new();
        };
        let part = |(minute, sums): (&Minute, &Sums)| Part {
            key: PartKey {
                minute: *minute,
                window: self.window.clone(),
                seq: self.stored.seq,
            },
            after: self
                .stored
                .after
                .clone()
                .max(self.stored.adopted.get(minute).cloned()),
            through: through.clone(),
            sums: sums.clone(),
        };
        self.stored.open.iter().map(part).collect()
    }

    /// The state after its parts are written; `adopted` are the stored parts that stay in the
    /// place of its own ([`crate::part::Meeting::Adopt`]). It goes on empty, with the next seq.
    #[must_use]
    pub fn flushed(self, adopted: &[Part]) -> Self {
        let Stored {
            seq,
            through,
            adopted: mut ahead,
            ..
        } = self.stored;
        for part in adopted {
            let minute = ahead.entry(part.key.minute);
            minute.insert_entry(part.through.clone());
        }
        ahead.retain(|_, adopted| Some(&*adopted) > through.as_ref());
        Self {
            window: self.window,
            weights: Weights::default(),
            stored: Stored {
                seq: seq.saturating_add(1),
                after: through.clone(),
                through,
                adopted: ahead,
                open: BTreeMap::new(),
            },
        }
    }

    /// The state as text for Lambda to keep: base64 of a version and `postcard`.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn encode(&self) -> Result<String, Damaged> {
        codec::encode(VERSION, &self.stored).map(|bytes| STANDARD_NO_PAD.encode(bytes))
    }

    /// Reads what [`State::encode`] wrote in this window.
    ///
    /// # Errors
    /// [`Damaged`], for anything else. Nothing can be done but to fail the batch: what the state
    /// held is in no part yet.
    pub fn decode(window: LambdaWindow, text: &str) -> Result<Self, Damaged> {
        let bytes = STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| Damaged::NotBase64)?;
        let stored: Stored = codec::decode(VERSION, &bytes)?;
        if stored.through.is_none() && !stored.open.is_empty() {
            return Err(Damaged::Content("sums of no records".into()));
        }
        let weights = Weights::of(&stored.open);
        Ok(Self {
            window,
            stored,
            weights,
        })
    }
}

impl Sums {
    /// What the sensor of a reading weighs.
    fn device_weight(&self, record: &Record) -> usize {
        let What::Reading(reading) = &record.what else {
            return 0;
        };
        let key = DeviceKey::of(reading);
        self.devices
            .get(&key)
            .map_or(0, |readings| device_weight(&key, readings))
    }
}

impl Folded {
    /// The minute in which the record is counted.
    #[must_use]
    pub fn minute(self) -> Option<Minute> {
        match self {
            Self::OnTime(minute)
            | Self::Late(minute)
            | Self::Duplicate(minute)
            | Self::TooLate(minute)
            | Self::TooEarly(minute)
            | Self::Malformed(minute) => Some(minute),
            Self::Already => None,
        }
    }
}
