//! A plain fold over all events: no sketches, no merging, no windows of Lambda.

use crate::producer::{Delivery, Event, Said};
use domain::ids::Sku;
use domain::money::Currency;
use std::collections::{BTreeMap, BTreeSet};
use streaming_analytics::counts::Counts;
use streaming_analytics::exact::Exact;
use streaming_analytics::result::Totals;
use streaming_analytics::stable_hash;
use streaming_analytics::window::{Day, Hour, Minute};

/// A reading: when, its id, thousandths.
type One = (i64, u64, i64);

/// Every window's events, once each, and what became of all deliveries.
#[derive(Debug, Default)]
pub struct Reference {
    minutes: BTreeMap<i64, Expected>,
}

/// What is expected of a window.
#[derive(Debug, Default, Clone)]
pub struct Expected {
    counts: Counts,
    events: Vec<Event>,
}

pub fn fold(stream: &[Delivery]) -> Reference {
    let mut reference = Reference::default();
    let mut seen = BTreeSet::new();
    for Delivery { event, arrived } in stream {
        let happened_in = event.at / 60_000;
        let closed_for = arrived - (happened_in + 1) * 60_000;
        let readable = event.said != Said::Garbage;
        let too_early = event.at - arrived > 30_000;
        let too_late = closed_for >= 48 * 3_600_000;
        let counted_in = if !readable || too_early || too_late {
            arrived / 60_000
        } else {
            happened_in
        };
        let expected = reference.minutes.entry(counted_in).or_default();
        let counts = &mut expected.counts;
        if !readable {
            counts.malformed += 1;
        } else if too_early {
            counts.too_early += 1;
        } else if too_late {
            counts.too_late += 1;
        } else if !seen.insert(event.number) {
            counts.duplicate += 1;
        } else {
            if closed_for >= 120_000 {
                counts.late += 1;
            } else {
                counts.on_time += 1;
            }
            expected.events.push(event.clone());
        }
    }
    reference
}

impl Reference {
    pub fn minutes(&self) -> Vec<Minute> {
        let minute = |number: &i64| {
            let start = jiff::Timestamp::from_second(number * 60).unwrap();
            Minute::of(start).unwrap()
        };
        self.minutes.keys().map(minute).collect()
    }

    pub fn minute(&self, minute: Minute) -> Expected {
        self.between(minute.start(), minute.end())
    }

    pub fn hour(&self, hour: Hour) -> Expected {
        self.between(hour.start(), hour.end())
    }

    pub fn day(&self, day: Day) -> Expected {
        self.between(day.start(), day.end())
    }

    fn between(&self, start: jiff::Timestamp, end: jiff::Timestamp) -> Expected {
        let range = start.as_second() / 60..end.as_second() / 60;
        let mut whole = Expected::default();
        for (_, minute) in self.minutes.range(range) {
            whole.events.extend(minute.events.clone());
            whole.counts.on_time += minute.counts.on_time;
            whole.counts.late += minute.counts.late;
            whole.counts.duplicate += minute.counts.duplicate;
            whole.counts.too_late += minute.counts.too_late;
            whole.counts.too_early += minute.counts.too_early;
            whole.counts.malformed += minute.counts.malformed;
        }
        whole
    }
}

fn cents(cents: u64) -> Exact {
    Exact::parse(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap()
}

impl Expected {
    /// Holds a result against it.
    #[track_caller]
    pub fn holds(&self, totals: &Totals) {
        assert_eq!(totals.counts, self.counts);
        self.orders(totals);
        self.money(totals);
        self.skus(totals);
        self.customers(totals);
        self.latency(totals);
        self.devices(totals);
    }

    fn count(&self, which: impl Fn(&Said) -> bool) -> u64 {
        self.events
            .iter()
            .filter(|event| which(&event.said))
            .count() as u64
    }

    #[track_caller]
    fn orders(&self, totals: &Totals) {
        let orders = &totals.orders;
        let placed = self.count(|said| matches!(said, Said::Placed { .. }));
        let confirmed = self.count(|said| matches!(said, Said::Confirmed { .. }));
        let refunded = self.count(|said| matches!(said, Said::Refunded { .. }));
        assert_eq!(
            (orders.placed, orders.confirmed, orders.refunded),
            (placed, confirmed, refunded)
        );
        assert_eq!(orders.rejected, self.count(|said| *said == Said::Rejected));
        assert_eq!(orders.failed, self.count(|said| *said == Said::Failed));
        assert_eq!(
            orders.cancelled,
            self.count(|said| *said == Said::Cancelled)
        );
        assert_eq!(orders.other, self.count(|said| *said == Said::Notified));
        let failures = orders.rejected + orders.failed;
        match orders.failure_ratio() {
            None => assert_eq!(failures + confirmed, 0),
            Some(ratio) => {
                let float = |number: u64| f64::from(u32::try_from(number).unwrap());
                let off = ratio.approximate() * float(failures + confirmed) - float(failures);
                assert!(off.abs() < 1e-9);
            }
        }
    }

    #[track_caller]
    fn money(&self, totals: &Totals) {
        for code in ["USD", "EUR", "JPY", "CHF"] {
            let sum = |which: &dyn Fn(&Said) -> Option<(u64, &'static str)>| {
                let amounts = self.events.iter().filter_map(|event| which(&event.said));
                let of_code = amounts.filter(|(_, currency)| *currency == code);
                cents(of_code.map(|(cents, _)| cents).sum())
            };
            let paid = sum(&|said| match said {
                Said::Confirmed {
                    cents, currency, ..
                } => Some((*cents, *currency)),
                _ => None,
            });
            let given_back = sum(&|said| match said {
                Said::Refunded { cents, currency } => Some((*cents, *currency)),
                _ => None,
            });
            let currency = Currency::parse(code).unwrap();
            assert_eq!(totals.orders.revenue.of(currency), paid);
            assert_eq!(totals.orders.refunds.of(currency), given_back);
        }
    }

    #[track_caller]
    fn skus(&self, totals: &Totals) {
        let mut pieces: BTreeMap<String, u64> = BTreeMap::new();
        for event in &self.events {
            if let Said::Placed { lines, .. } = &event.said {
                for (sku, quantity) in lines {
                    *pieces.entry(format!("sku-{sku}")).or_default() += u64::from(*quantity);
                }
            }
        }
        assert_eq!(totals.orders.skus.len(), pieces.len());
        assert_eq!(totals.orders.skus.error(), 0);
        for (sku, pieces) in &pieces {
            let sku = Sku::parse(sku.as_str()).unwrap();
            assert_eq!(totals.orders.skus.of(&sku), (*pieces, *pieces));
        }
        let mut ranked: Vec<_> = pieces.into_iter().collect();
        ranked.sort_by_key(|(sku, pieces)| (std::cmp::Reverse(*pieces), sku.clone()));
        ranked.truncate(3);
        let top = totals.orders.skus.top(3);
        let top: Vec<_> = top
            .into_iter()
            .map(|top| (top.sku.to_string(), top.pieces))
            .collect();
        assert_eq!(top, ranked);
    }

    #[track_caller]
    fn customers(&self, totals: &Totals) {
        let users = self.events.iter().filter_map(|event| match event.said {
            Said::Placed { user, .. } => Some(user),
            _ => None,
        });
        let users: BTreeSet<_> = users.collect();
        let mut registers = vec![0_u8; 4_096];
        for user in &users {
            let hash = stable_hash("customer", &[format!("user-{user}").as_bytes()]);
            let register = &mut registers[usize::try_from(hash >> 52).unwrap()];
            *register = (*register).max(1 + u8::try_from(hash.trailing_zeros()).unwrap());
        }
        assert!(
            totals
                .orders
                .customers
                .registers()
                .eq(registers.iter().copied())
        );
        let used = registers.iter().filter(|rank| **rank > 0).count();
        assert!(
            totals
                .orders
                .customers
                .registers()
                .eq(registers.iter().copied())
        );
        // So few are as many as registers, unless two share one.
        assert_eq!(totals.orders.customers.estimate(), used as u64);
        assert!(users.len() - used <= 3);
    }

    #[track_caller]
    fn latency(&self, totals: &Totals) {
        let mut times = Vec::new();
        let mut unmeasured = 0;
        for event in &self.events {
            match event.said {
                Said::Confirmed {
                    took_ms: Some(took),
                    ..
                } => times.push(u64::try_from(took.max(1)).unwrap()),
                Said::Confirmed { took_ms: None, .. } => unmeasured += 1,
                _ => {}
            }
        }
        times.sort_unstable();
        assert_eq!(totals.orders.unmeasured, unmeasured);
        for percent in [50_u8, 95] {
            let rank = (times.len() * usize::from(percent)).div_ceil(100).max(1);
            let expected = times.get(rank - 1).map(|time| bucket_end(*time));
            assert_eq!(totals.orders.latency.percentile(percent), expected);
        }
    }

    #[track_caller]
    fn devices(&self, totals: &Totals) {
        let mut readings: BTreeMap<(String, &str), Vec<One>> = BTreeMap::new();
        for event in &self.events {
            if let Said::Reading {
                device,
                sensor,
                thousandths,
            } = &event.said
            {
                let device = format!("d-{device}");
                let id = format!("r-{}", event.number);
                let id = stable_hash("reading's event", &[device.as_bytes(), id.as_bytes()]);
                let of_sensor = readings.entry((device, *sensor)).or_default();
                of_sensor.push((event.at, id, *thousandths));
            }
        }
        assert_eq!(totals.devices.len(), readings.len());
        for ((key, span), ((device, sensor), mut readings)) in totals.devices.iter().zip(readings) {
            readings.sort_unstable();
            assert_eq!(
                (key.device.as_str(), key.sensor.as_str()),
                (device.as_str(), sensor)
            );
            let values: Vec<_> = readings.iter().map(|(_, _, value)| *value).collect();
            let shown = |number: i64| Exact::parse(&format!("{number}e-3")).unwrap();
            let got = span.values();
            assert_eq!(got.count, values.len() as u64);
            assert_eq!(got.sum, shown(values.iter().sum()));
            assert_eq!(got.min, shown(*values.iter().min().unwrap()));
            assert_eq!(got.max, shown(*values.iter().max().unwrap()));
            assert_eq!(got.last, shown(*values.last().unwrap()));
            assert!(!got.units_differ);
            assert_eq!(span.first_at().as_millisecond(), readings[0].0);
            assert_eq!(
                span.last_at().as_millisecond(),
                readings[readings.len() - 1].0
            );
            let gaps = readings
                .windows(2)
                .filter(|pair| pair[0].0 / 1_000 != pair[1].0 / 1_000);
            let gap = gaps.map(|pair| pair[1].0 - pair[0].0).max().unwrap_or(0);
            let gap = (readings.len() > 1).then(|| u64::try_from(gap).unwrap());
            assert_eq!(span.longest_gap_ms(), gap);
        }
    }
}

/// The last whole number whose first 8 bits are the same.
fn bucket_end(time: u64) -> u64 {
    let spare = (64 - time.leading_zeros()).saturating_sub(8);
    (((time >> spare) + 1) << spare) - 1
}
