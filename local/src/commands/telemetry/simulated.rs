//! Devices that there are not: cold stores, shelves and doors.

use jiff::Timestamp;
use serde_json::{Value, json};

/// At which temperature a cold store is kept, in hundredths of a degree Celsius.
const COLD: i32 = -1_850;
/// How much warmer it becomes each second with its door open.
const WARMING: i32 = 60;
/// Of so many seconds, in one a door is opened.
const RARELY: u32 = 120;
/// So long a door stays open, in seconds.
const OPEN: u32 = 40;
/// What a shelf holds at first, in hundredths of a kilogram.
const FULL: i32 = 12_000;

/// A cold store with its door, and a shelf.
#[derive(Debug, Clone)]
struct Store {
    temperature: i32,
    open_for: u32,
    weight: i32,
}

/// The devices.
#[derive(Debug)]
pub(super) struct Devices {
    stores: Vec<Store>,
    random: fastrand::Rng,
}

impl Devices {
    /// So many of each kind; the same seed makes the same values up.
    pub(super) fn new(count: u16, seed: u64) -> Self {
        let store = Store {
            temperature: COLD,
            open_for: 0,
            weight: FULL,
        };
        Self {
            stores: vec![store; usize::from(count)],
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What they measure this second.
    pub(super) fn read(&mut self, at: Timestamp) -> Vec<Value> {
        let at = format!("{at:.3}");
        let random = &mut self.random;
        let stores = self.stores.iter_mut().zip(1..);
        stores
            .flat_map(|(store, number): (&mut Store, u32)| {
                store.live_on(random);
                let reading = |device: &str, sensor: &str, value: Value, unit: &str| {
                    json!({"deviceId": format!("{device}-{number}"), "sensor": sensor,
                        "value": value, "unit": unit, "at": at})
                };
                let door = u8::from(store.open_for > 0);
                [
                    reading(
                        "cold-store",
                        "temperature",
                        hundredths(store.temperature),
                        "Cel",
                    ),
                    reading("cold-store", "door", json!(door), "open"),
                    reading("shelf", "weight", hundredths(store.weight), "kg"),
                ]
            })
            .collect()
    }
}

impl Store {
    fn live_on(&mut self, random: &mut fastrand::Rng) {
        self.open_for = match self.open_for {
            0 if random.u32(0..RARELY) == 0 => OPEN,
            0 => 0,
            seconds => seconds - 1,
        };
        let drift = if self.open_for > 0 {
            WARMING
        } else {
            (COLD - self.temperature) / 10
        };
        self.temperature += drift + random.i32(-15..=15);
        if random.u32(0..10) == 0 {
            self.weight -= random.i32(20..=150);
        }
        if self.weight < 0 {
            self.weight = FULL;
        }
    }
}

/// A number with two decimal places, exact.
fn hundredths(value: i32) -> Value {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (value.unsigned_abs() / 100, value.unsigned_abs() % 100);
    let number = format!("{sign}{whole}.{rest:02}");
    serde_json::from_str(&number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_readings_up_and_a_store_warms_up_now_and_then() {
        let mut one = Devices::new(2, 7);
        let mut other = Devices::new(2, 7);
        let mut warmest = f64::MIN;
        for _ in 0..1_000 {
            let readings = one.read(Timestamp::UNIX_EPOCH);
            assert_eq!(readings, other.read(Timestamp::UNIX_EPOCH));
            assert_eq!(readings.len(), 6);
            let of_store = readings.iter().filter(|one| one["sensor"] == "temperature");
            let temperatures = of_store.map(|one| one["value"].as_f64().unwrap());
            warmest = temperatures.fold(warmest, f64::max);
        }
        assert!(warmest > -10.0, "{warmest}");
    }

    #[test]
    fn hundredths_are_written_exactly() {
        for (value, text) in [
            (-5, "-0.05"),
            (0, "0.00"),
            (-1_850, "-18.50"),
            (123, "1.23"),
        ] {
            assert_eq!(hundredths(value).to_string(), text);
        }
    }
}
