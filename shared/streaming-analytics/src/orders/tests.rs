use super::*;
use crate::stable_hash;
use domain::ids::Sku;
use domain::money::Currency;
use jiff::SignedDuration;
use proptest::prelude::*;

fn sku(name: &str) -> Sku {
    Sku::parse(name).unwrap()
}

fn exact(text: &str) -> Exact {
    Exact::parse(text).unwrap()
}

fn placed(customer: u64, name: &str, quantity: u32) -> OrderFact {
    OrderFact::Placed {
        customer: stable_hash("customer", &[&customer.to_be_bytes()]),
        pieces: vec![(sku(name), quantity)],
    }
}

fn confirmed(amount: &str, currency: Currency, millis: Option<i64>) -> OrderFact {
    OrderFact::Confirmed {
        amount: exact(amount),
        currency,
        took: millis.map(SignedDuration::from_millis),
    }
}

fn figures(facts: &[OrderFact]) -> OrderFigures {
    let mut figures = OrderFigures::default();
    for fact in facts {
        figures.add(fact);
    }
    figures
}

#[test]
fn every_fact_counts_as_what_it_is() {
    let eur = Currency::parse("EUR").unwrap();
    let shown = figures(&[
        placed(1, "tea", 2),
        placed(1, "mug", 1),
        placed(2, "tea", 1),
        confirmed("0.1", eur, Some(900)),
        confirmed("0.2", eur, None),
        confirmed("5", Currency::USD, Some(100)),
        OrderFact::Rejected,
        OrderFact::Failed,
        OrderFact::Cancelled,
        OrderFact::Refunded {
            amount: exact("0.1"),
            currency: eur,
        },
    ])
    .insights(1);
    assert_eq!(
        serde_json::to_value(&shown).unwrap(),
        serde_json::json!({
            "placed": 3, "confirmed": 3, "rejected": 1, "failed": 1, "cancelled": 1, "refunded": 1,
            "revenue": {"EUR": 0.3, "USD": 5}, "refunds": {"EUR": 0.1},
            "p50Ms": 100, "p95Ms": 903, "unmeasured": 1, "distinctCustomers": 2,
            "failureRatio": 0.4, "topSkus": [{"sku": "tea", "pieces": 3, "atMost": 3}],
        })
    );
}

#[test]
fn an_empty_window_has_counts_of_zero_and_no_ratios() {
    let shown = OrderFigures::default().insights(10);
    assert_eq!((shown.placed, shown.distinct_customers), (0, 0));
    assert_eq!(
        (shown.p50_ms, shown.p95_ms, shown.failure_ratio),
        (None, None, None)
    );
    assert!(shown.top_skus.is_empty());
}

#[test]
fn percentiles_are_at_most_one_percent_above_the_time_they_stand_for() {
    for millis in [1, 17, 255, 256, 1_000, 65_432, 3_600_000, 2_591_999_999_u64] {
        let mut latency = Latency::default();
        latency.add(SignedDuration::from_millis(i64::try_from(millis).unwrap()));
        let shown = latency.percentile(50).unwrap();
        assert!(
            (millis..=millis + millis / 100).contains(&shown),
            "{millis}: {shown}"
        );
    }
}

#[test]
fn times_out_of_range_count_as_the_nearest_in_it() {
    let mut latency = Latency::default();
    latency.add(SignedDuration::from_millis(-5));
    assert_eq!(latency.percentile(100), Some(1));
    latency.add(SignedDuration::from_hours(24 * 90));
    assert_eq!(latency.count(), 2);
    let longest = latency.percentile(100).unwrap();
    assert!((MAX_LATENCY_MS..MAX_LATENCY_MS + MAX_LATENCY_MS / 100).contains(&longest));
}

#[test]
fn customers_are_estimated_within_four_percent() {
    for many in [1_u64, 2, 3, 10, 100, 1_000, 3_000, 3_500, 20_000, 200_000] {
        let mut customers = Distinct::default();
        for customer in 0..many {
            customers.add(stable_hash("customer", &[&customer.to_be_bytes()]));
            customers.add(stable_hash("customer", &[&customer.to_be_bytes()]));
        }
        let estimate = customers.estimate();
        assert!(estimate.abs_diff(many) * 25 <= many, "{many}: {estimate}");
    }
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative_and_the_same_as_adding(facts in facts(), cut in 0_usize..100, again in 0_usize..100) {
        let (first, rest) = facts.split_at(cut % (facts.len() + 1));
        let (second, third) = rest.split_at(again % (rest.len() + 1));
        let [a, b, c] = [figures(first), figures(second), figures(third)];
        let merged = |parts: &[&OrderFigures]| {
            let mut whole = OrderFigures::default();
            for part in parts {
                whole.merge(part);
            }
            whole
        };
        let whole = figures(&facts);
        let b_with_c = merged(&[&b, &c]);
        prop_assert_eq!(&merged(&[&a, &b, &c]), &whole);
        prop_assert_eq!(&merged(&[&a, &b_with_c]), &whole);
        prop_assert_eq!(&merged(&[&c, &b, &a]), &whole);
        prop_assert_eq!(merged(&[&c, &a, &b]).insights(5), whole.insights(5));
        let bytes = postcard::to_stdvec(&whole).unwrap();
        prop_assert!(bytes.len() <= whole.weight(), "{} > {}", bytes.len(), whole.weight());
        prop_assert_eq!(postcard::from_bytes::<OrderFigures>(&bytes).unwrap(), whole);
    }

    #[test]
    fn bounded_counts_hold_the_truth_whatever_was_dropped_where(
        parts in prop::collection::vec(prop::collection::vec((0_u8..40, 1_u64..50), 0..60), 1..6),
        most in 1_usize..20,
    ) {
        let mut truth = SkuCounts::default();
        let mut merged = SkuCounts::default();
        for part in &parts {
            let mut counts = SkuCounts::default();
            for (name, pieces) in part {
                counts.add(&sku(&name.to_string()), *pieces);
                truth.add(&sku(&name.to_string()), *pieces);
            }
            merged.merge(&counts.bounded(most, 1_000));
            merged = merged.bounded(most, 1_000);
        }
        prop_assert!(merged.len() <= most);
        for name in 0..40 {
            let (exact, _) = truth.of(&sku(&name.to_string()));
            let (least, at_most) = merged.of(&sku(&name.to_string()));
            prop_assert!((least..=at_most).contains(&exact), "{least} <= {exact} <= {at_most}");
        }
        let total: u64 = parts.iter().flatten().map(|(_, pieces)| pieces).sum();
        // Every part and every merge drops at most total / (most + 1).
        let drops = 2 * parts.len() as u64;
        prop_assert!(merged.error() <= drops * total / (most as u64 + 1));
    }
}

fn facts() -> impl Strategy<Value = Vec<OrderFact>> {
    let amount = (
        0_u64..1_000_000,
        prop::sample::select(vec!["", ".5", ".01", ".123456789"]),
    )
        .prop_map(|(whole, fraction)| format!("{whole}{fraction}"));
    let currency = prop::sample::select(vec!["USD", "EUR", "JPY"])
        .prop_map(|code| Currency::parse(code).unwrap());
    let took = prop::option::of(-10_i64..100_000_000);
    let fact = prop_oneof![
        (0_u64..5_000, 0_u8..30, 1_u32..9).prop_map(|(customer, name, pieces)| placed(
            customer,
            &name.to_string(),
            pieces
        )),
        (amount.clone(), currency.clone(), took)
            .prop_map(|(amount, currency, took)| confirmed(&amount, currency, took)),
        (amount, currency).prop_map(|(amount, currency)| OrderFact::Refunded {
            amount: exact(&amount),
            currency
        }),
        Just(OrderFact::Rejected),
        Just(OrderFact::Failed),
        Just(OrderFact::Cancelled),
    ];
    prop::collection::vec(fact, 0..80)
}
