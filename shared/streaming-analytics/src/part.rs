//! What one Lambda window of one shard adds to one minute.

use crate::codec::{self, Damaged};
use crate::counts::Counts;
use crate::devices::{DeviceKey, DeviceMinute, DevicesOfMinute};
use crate::ids::Ids;
use crate::orders::OrderFigures;
use crate::record::{Record, What};
use crate::window::Minute;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Version of [`Part::encode`].
const VERSION: u8 = 1;

/// The place of a record in its shard: a decimal number of up to 128 digits that grows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SequenceNumber(String);

/// Why a text is no sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 128 digits and nothing else")]
pub struct NoSequenceNumber;

impl SequenceNumber {
    /// Reads the `sequenceNumber` of a Kinesis record.
    ///
    /// # Errors
    /// [`NoSequenceNumber`].
    pub fn parse(text: &str) -> Result<Self, NoSequenceNumber> {
        if text.is_empty() || text.len() > 128 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoSequenceNumber);
        }
        let digits = text.trim_start_matches('0');
        Ok(Self(
            if digits.is_empty() { "0" } else { digits }.to_owned(),
        ))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<'de> Deserialize<'de> for SequenceNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A tumbling window of Lambda over one shard, by time of arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LambdaWindow {
    /// The shard, as the event names it.
    pub shard: String,
    /// The window's start in seconds since 1970.
    pub start: i64,
}

impl LambdaWindow {
    /// The window of `shard` that starts at `start`.
    #[must_use]
    pub fn new(shard: &str, start: Timestamp) -> Self {
        Self {
            shard: shard.to_owned(),
            start: start.as_second(),
        }
    }
}

/// Under which key a part is written, once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    /// The minute that it adds to.
    pub minute: Minute,
    /// Whose it is.
    pub window: LambdaWindow,
    /// Which flush of that window, from 0.
    pub seq: u32,
}

/// `<shard>#<window start>#<seq>`: a sort key below the minute. Parts of one window sort by seq.
impl fmt::Display for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LambdaWindow { shard, start } = &self.window;
        write!(f, "{shard}#{start:010}#{:06}", self.seq)
    }
}

/// What one Lambda window of one shard adds to one minute, written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its key.
    pub key: PartKey,
    /// It covers the shard's records after this one; `None` from the window's start.
    pub after: Option<SequenceNumber>,
    /// Up to and with this one.
    pub through: SequenceNumber,
    /// What it adds.
    pub sums: Sums,
}

/// What records of a minute come to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// What became of the records.
    pub counts: Counts,
    /// Which ones were folded.
    pub ids: Ids,
    /// What happened to orders.
    pub orders: OrderFigures,
    /// What devices measured.
    pub devices: DevicesOfMinute,
}

impl Sums {
    /// Folds a record of `minute` that was not seen before.
    pub(crate) fn add(&mut self, record: &Record, minute: Minute) {
        self.ids.add(record.id);
        match &record.what {
            What::Order(fact) => self.orders.add(fact),
            What::Other => self.orders.add_other(),
            What::Reading(reading) => {
                let key = DeviceKey::of(reading);
                let offset = minute.offset(record.at).unwrap_or_default();
                let new = DeviceMinute::of(reading, record.id, offset);
                self.add_readings(key, &new);
            }
        }
    }

    fn add_readings(&mut self, key: DeviceKey, readings: &DeviceMinute) {
        if let Some(known) = self.devices.get_mut(&key) {
            known.merge(readings);
        } else {
            self.devices.insert(key, readings.clone());
        }
    }

    /// Adds others of the same minute. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        for id in other.ids.iter() {
            self.ids.add(id);
        }
        self.orders.merge(&other.orders);
        for (key, readings) in &other.devices {
            self.add_readings(key.clone(), readings);
        }
    }

    /// At most how many bytes it takes in a state, but for its devices.
    pub(crate) fn weight_without_devices(&self) -> usize {
        70 + self.ids.weight() + self.orders.weight()
    }
}

/// At most how many bytes a device's readings take in a state.
pub(crate) fn device_weight(key: &DeviceKey, readings: &DeviceMinute) -> usize {
    4 + key.device.as_str().len() + key.sensor.as_str().len() + readings.weight()
}

impl Part {
    /// The part as bytes: a version, then `postcard`.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        codec::encode(VERSION, self)
    }

    /// Reads what [`Part::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        codec::decode(VERSION, bytes)
    }

    /// The part in two columns: its ids ([`Ids::to_bytes`]), which others read without the rest,
    /// and the rest.
    ///
    /// # Errors
    /// [`Damaged`], if it cannot be written; that would be a bug.
    pub fn to_columns(&self) -> Result<Columns, Damaged> {
        let mut rest = self.clone();
        let ids = std::mem::take(&mut rest.sums.ids).to_bytes();
        let rest = rest.encode()?;
        Ok(Columns { ids, rest })
    }

    /// Reads what [`Part::to_columns`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], for anything else.
    pub fn from_columns(columns: &Columns) -> Result<Self, Damaged> {
        let mut part = Self::decode(&columns.rest)?;
        part.sums.ids = Ids::from_bytes(&columns.ids)
            .ok_or_else(|| Damaged::Content("are no ids".to_owned()))?;
        Ok(part)
    }

    /// What to do about `stored`, which is there already under the key of this part: an attempt
    /// at the same records, whose answer was lost, wrote it.
    #[must_use]
    pub fn meets(&self, stored: &Self) -> Meeting {
        if stored.after != self.after {
            return Meeting::Replace;
        }
        match stored.through.cmp(&self.through) {
            std::cmp::Ordering::Equal => Meeting::Same,
            std::cmp::Ordering::Greater => Meeting::Adopt,
            std::cmp::Ordering::Less => Meeting::Replace,
        }
    }
}

/// A part in two columns of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// 8 bytes per folded record.
    pub ids: Vec<u8>,
    /// Everything else.
    pub rest: Vec<u8>,
}

/// What to do about a part that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// It covers the same records: it is ours, nothing is to be written.
    Same,
    /// It covers these records and later ones: it stays, and those later ones are not folded again
    /// into its minute ([`crate::state::State::flushed`]).
    Adopt,
    /// It covers fewer records, or begins elsewhere: an attempt under other settings wrote it. Put
    /// this part in its place, if it is still the one that was met (its `through`).
    Replace,
}
