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
    for (name, percent) in [("PlaceToConfirmP50", 50), ("PlaceToConfirmP95", 95)] {
        if let Some(took) = orders.latency.percentile(percent) {
            let took = SignedDuration::from_millis(i64::try_from(took).unwrap_or(i64::MAX));
            metrics.push(Metric::milliseconds(name, &[took]));
        }
    }
    metrics
}
