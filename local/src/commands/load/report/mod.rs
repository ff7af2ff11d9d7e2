//! The report of a load: as text ([`Report::to_text`]), and as one JSON object.

mod figures;
mod text;

use std::collections::BTreeMap;

use domain::order_summary::{OrderStatus, OrderSummary};
use invariants::{Evidence, Verdict};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::accounting::{Prices, real};
use super::placing::Placed;
use super::saga_watch::Sagas;
use crate::commands::used::Used;
use crate::faults::{FaultKind, FaultPlan};
use figures::{Latency, PerOrder, PersonalData, Reservations, latency, rounded};

/// Everything a report is made of.
pub(super) struct Run {
    pub lines: usize,
    pub placed: Vec<Placed>,
    pub sagas: Sagas,
    pub used: Used,
    pub prices: Prices,
    pub evidence: Evidence,
    /// Whether nothing was on its way any more, or there was time enough that nothing should be:
    /// only then the invariants can be judged.
    pub is_over: bool,
    pub dead_letters: BTreeMap<String, usize>,
    /// What went wrong on purpose; none in a run without faults.
    pub chaos: Option<Chaos>,
}

/// What went wrong on purpose, and what was healed after.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chaos {
    /// What was planned.
    pub plan: FaultPlan,
    /// What was done, by kind.
    pub done: BTreeMap<FaultKind, u64>,
    /// What was healed, by what healed it.
    pub healed: BTreeMap<String, u64>,
}

/// The report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    orders: usize,
    accepted: usize,
    outcomes: BTreeMap<String, usize>,
    confirmed_amount: BTreeMap<String, Decimal>,
    orders_per_second: f64,
    accept: Latency,
    confirm: Latency,
    per_order: PerOrder,
    usd_per_million_orders: f64,
    refused: Vec<String>,
    dead_letters: BTreeMap<String, usize>,
    prices: String,
    personal_data: PersonalData,
    reservations: Reservations,
    chaos: Option<Chaos>,
    /// The invariants, one by one.
    pub invariants: Vec<Verdict>,
}

impl Report {
    /// Reckons.
    pub(super) fn of(run: Run) -> Self {
        let summaries = run.evidence.stored.summaries();
        let accepted: Vec<&Placed> = run
            .placed
            .iter()
            .filter(|one| one.order.is_some())
            .collect();
        let row = |one: &Placed| {
            let order = one.order.as_deref()?;
            summaries.get(order)?.as_ref()
        };
        let mut outcomes: BTreeMap<String, usize> =
            ["confirmed", "rejected", "cancelled", "expired", "pending"]
                .map(|name| (name.to_owned(), 0))
                .into();
        let mut confirmed_amount = BTreeMap::new();
        let mut refused = Vec::new();
        for one in &run.placed {
            let outcome = match row(one) {
                _ if one.order.is_none() => {
                    refused.push(format!(
                        "line {}: {} {}",
                        one.number, one.status, one.answer
                    ));
                    format!("refused_{}", one.status)
                }
                Some(row) => {
                    add_amount(&mut confirmed_amount, row);
                    outcome(row.status).to_owned()
                }
                None => "pending".to_owned(),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        let confirmed = accepted
            .iter()
            .filter(|one| row(one).is_some_and(|row| row.status == OrderStatus::Confirmed));
        let decided = |one: &Placed| run.sagas.decided.get(one.order.as_ref()?).copied();
        let accept = accepted
            .iter()
            .map(|one| u64::try_from(one.accept.as_micros()).unwrap_or(u64::MAX));
        let confirm = confirmed.filter_map(|one| {
            Some(
                decided(one)?
                    .saturating_sub(one.sent_millis)
                    .saturating_mul(1000),
            )
        });
        let first = accepted.iter().map(|one| one.sent_millis).min();
        let last = accepted.iter().filter_map(|one| decided(one)).max();
        let count = real(accepted.len() as u64).max(1.0);
        Self {
            orders: run.lines,
            accepted: accepted.len(),
            orders_per_second: first.zip(last).map_or(0.0, |(first, last)| {
                let seconds = real(last.saturating_sub(first).max(1)) / 1000.0;
                rounded(real(accepted.len() as u64) / seconds, 1)
            }),
            accept: latency(accept),
            confirm: latency(confirm),
            per_order: PerOrder::of(&run.used, count),
            usd_per_million_orders: rounded(run.prices.cost(&run.used) * 1_000_000.0 / count, 2),
            personal_data: PersonalData::of(
                &run.used,
                run.prices.cost_of_personal_data(&run.used),
                count,
            ),
            reservations: Reservations::of(&run.evidence.stored, run.used.stock_transactions),
            chaos: run.chaos,
            outcomes,
            confirmed_amount,
            refused,
            dead_letters: run.dead_letters,
            prices: format!(
                "list prices of {} as of {}",
                run.prices.region, run.prices.as_of
            ),
            invariants: if run.is_over {
                invariants::check(&run.evidence)
            } else {
                Vec::new()
            },
        }
    }

    /// Number of orders that were placed, the refused ones included.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// The one JSON object.
    pub(super) fn to_json(&self) -> Value {
        let amounts: Map<String, Value> = self
            .confirmed_amount
            .iter()
            .filter_map(|(currency, amount)| {
                let number: Number = amount.normalize().to_string().parse().ok()?;
                Some((currency.clone(), Value::Number(number)))
            })
            .collect();
        let mut report = json!({
            "orders": self.orders,
            "accepted": self.accepted,
            "outcomes": self.outcomes,
            "confirmed_amount": amounts,
            "orders_per_second": self.orders_per_second,
            "latency_ms": {"accept": self.accept, "confirm": self.confirm},
            "per_order": self.per_order,
            "usd_per_million_orders": self.usd_per_million_orders,
            "personal_data": self.personal_data,
            "reservations": self.reservations,
            "faults": self.chaos.as_ref().map_or(&BTreeMap::new(), |chaos| &chaos.done),
            "invariants": self.invariants,
        });
        if let Some(Chaos { plan, healed, .. }) = &self.chaos {
            report["chaos"] = json!({"seed": plan.seed, "rate": plan.rate, "healed": healed});
        }
        report
    }
}

fn outcome(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Placed | OrderStatus::Reserved => "pending",
        OrderStatus::Confirmed => "confirmed",
        OrderStatus::Rejected => "rejected",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Expired => "expired",
    }
}

fn add_amount(amounts: &mut BTreeMap<String, Decimal>, row: &OrderSummary) {
    if row.status != OrderStatus::Confirmed {
        return;
    }
    let amount: Decimal = row.total_amount.to_string().parse().unwrap_or_default();
    let sum = amounts.entry(row.currency.code().to_owned()).or_default();
    *sum = sum.saturating_add(amount);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Palette;
    use std::time::Duration;

    fn run() -> Run {
        let placed = |number, order: Option<&str>, status| Placed {
            number,
            order: order.map(str::to_owned),
            status,
            answer: String::new(),
            accept: Duration::from_millis(5),
            sent_millis: 1000,
        };
        Run {
            lines: 2,
            placed: vec![placed(1, Some("1"), 202), placed(2, None, 400)],
            sagas: Sagas {
                decided: BTreeMap::from([("1".to_owned(), 1100)]),
                rewrites: 0,
            },
            used: Used::default(),
            prices: Prices::list(),
            evidence: Evidence::default(),
            is_over: true,
            dead_letters: BTreeMap::new(),
            chaos: None,
        }
    }

    #[test]
    fn the_json_has_exactly_the_promised_keys() {
        let report = Report::of(run()).to_json();
        let mut keys: Vec<&str> = report
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut promised = [
            "orders",
            "accepted",
            "outcomes",
            "confirmed_amount",
            "orders_per_second",
            "latency_ms",
            "per_order",
            "usd_per_million_orders",
            "personal_data",
            "reservations",
            "faults",
            "invariants",
        ];
        promised.sort_unstable();
        keys.sort_unstable();
        assert_eq!(keys, promised);
        assert_eq!(report["outcomes"]["refused_400"], 1);
        assert_eq!(report["outcomes"]["pending"], 1);
        assert_eq!(report["accepted"], 1);
        assert_eq!(report["faults"], json!({}));
    }

    #[test]
    fn what_went_wrong_on_purpose_and_what_was_healed_is_said_by_kind() {
        let chaos = Chaos {
            plan: FaultPlan::of(&[], 7, 0.05),
            done: BTreeMap::from([(FaultKind::Kill, 3), (FaultKind::LostAnswer, 2)]),
            healed: BTreeMap::from([("redriven".to_owned(), 4)]),
        };
        let run = Run {
            chaos: Some(chaos),
            ..run()
        };
        let report = Report::of(run);
        let text = report.to_text(Palette::PLAIN);
        for line in [
            "Faults (seed 7, 5 % of calls, invocations and deliveries)",
            "  done          kill 3, lost-answer 2",
            "  healed        redriven 4",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let report = report.to_json();
        assert_eq!(report["faults"], json!({"kill": 3, "lost-answer": 2}));
        let chaos = json!({"seed": 7, "rate": 0.05, "healed": {"redriven": 4}});
        assert_eq!(report["chaos"], chaos);
    }

    #[test]
    fn amounts_add_up_to_the_digit() {
        let mut amounts = BTreeMap::new();
        let row = |amount: &str| -> OrderSummary {
            serde_json::from_str(&format!(
                r#"{{"orderId":"1","userId":"u","status":"confirmed","version":3,
                "totalAmount":{amount},"currency":"USD","placedAt":"x","timeline":[]}}"#
            ))
            .unwrap()
        };
        add_amount(&mut amounts, &row("0.1"));
        add_amount(&mut amounts, &row("0.2"));
        assert_eq!(amounts["USD"].to_string(), "0.3");
    }
}
