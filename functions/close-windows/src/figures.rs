//! The figures of a minute that `CloudWatch` is told: a line a minute, whatever the number of
//! orders.

use aws_adapters::metrics::Metric;
use jiff::SignedDuration;
use streaming_analytics::result::Totals;

/// The figures of a closed minute, without those of which there is nothing to tell.
#[must_use]
pub fn figures(totals: &Totals) -> Vec<Metric> {
    let (orders, counts) = (&totals.orders, &totals.counts);
    let mut metrics = vec![
        Metric::count("OrdersPlaced", orders.placed),
        Metric::count("OrdersConfirmed", orders.confirmed),
        Metric::count("OrdersRejected", orders.rejected),
        Metric::count("OrdersCancelled", orders.cancelled),
        Metric::count("PaymentsDeclined", orders.failed),
        Metric::count("RecordsLate", counts.late),
        Metric::count(
            "RecordsNotFolded",
            counts.too_late + counts.too_early + counts.malformed,
        ),
    ];
    metrics.retain(|metric| !metric.is_nothing());
    let took = |percent| {
        let took = i64::try_from(orders.latency.percentile(percent)?).unwrap_or(i64::MAX);
        Some(SignedDuration::from_millis(took))
    };
    if let (Some(half), Some(most)) = (took(50), took(95)) {
        metrics.push(Metric::milliseconds("PlaceToConfirmP50", &[half]));
        metrics.push(Metric::milliseconds("PlaceToConfirmP95", &[most]));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use streaming_analytics::insights_table::contract::part_of;
    use streaming_analytics::result::MinuteResult;
    use streaming_analytics::window::Minute;

    fn event(kind: &str, order: u32, data: &Value) -> String {
        let mut all = json!({"orderId": order.to_string(), "userId": "ann", "totalAmount": 5});
        for (name, value) in data.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        json!({"detail-type": kind, "detail": {"eventId": format!("{kind}-{order}"),
            "eventType": kind, "timestamp": "2026-01-01T12:00:02Z", "data": all}})
        .to_string()
    }

    #[test]
    fn a_minute_tells_what_happened_in_it_and_nothing_of_what_did_not() {
        let noon = Minute::of("2026-01-01T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(figures(&MinuteResult::of(noon, &[]).totals), []);
        let paid = json!({"placedAt": "2026-01-01T12:00:01Z"});
        let records = [
            event("OrderPlaced", 1, &json!({})),
            event("OrderPlaced", 2, &json!({})),
            event("PaymentProcessed", 1, &paid),
            event("PaymentFailed", 2, &json!({"reason": "no"})),
            "no JSON".to_owned(),
        ];
        // What cannot be read is counted when it came, which is the next minute.
        let part = part_of(noon, "a", &records[..4]);
        let totals = MinuteResult::of(noon, &[part]).totals;
        let second = totals.orders.latency.percentile(50).unwrap();
        assert!((990..1010).contains(&second), "{second}");
        let second = [SignedDuration::from_millis(second.try_into().unwrap())];
        let expected = [
            Metric::count("OrdersPlaced", 2),
            Metric::count("OrdersConfirmed", 1),
            Metric::count("PaymentsDeclined", 1),
            Metric::milliseconds("PlaceToConfirmP50", &second),
            Metric::milliseconds("PlaceToConfirmP95", &second),
        ];
        assert_eq!(figures(&totals), expected);
        let unreadable = part_of(noon.next(), "a", &records[4..]);
        let minute = unreadable.key.minute;
        let told = figures(&MinuteResult::of(minute, &[unreadable]).totals);
        assert_eq!(told, [Metric::count("RecordsNotFolded", 1)]);
    }
}
