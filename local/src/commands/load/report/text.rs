//! The report for people.

use std::fmt::{Display, Write as _};

use super::{Chaos, Latency, Report};
use crate::terminal::{Palette, printable};

/// Refused lines that are said in full.
const SAID: usize = 20;

/// Lines one after the other.
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    /// One thing and what is to be said of it, below the others.
    fn item(&mut self, name: &str, said: impl Display) {
        self.line(&format!("  {name:<13} {said}"));
    }
}

impl Report {
    /// The report for people.
    pub(in crate::commands::load) fn to_text(&self, palette: Palette) -> String {
        let mut text = Text(String::new());
        text.line(&palette.bold(&format!(
            "{} orders, {} accepted, {:.1} per second",
            self.orders, self.accepted, self.orders_per_second
        )));
        self.say_outcomes(&mut text);
        text.line("");
        text.line(&palette.bold("Per accepted order"));
        self.say_averages(&mut text);
        if !self.refused.is_empty() {
            text.line("");
            text.line(&palette.bold("Refused"));
            self.say_refused(&mut text, palette);
        }
        if let Some(chaos) = &self.chaos {
            text.line("");
            say_chaos(chaos, &mut text, palette);
        }
        text.line("");
        text.line(&palette.bold("Invariants"));
        self.say_invariants(&mut text, palette);
        text.0
    }

    fn say_outcomes(&self, text: &mut Text) {
        let outcomes = self.outcomes.iter().filter(|(_, count)| **count > 0);
        text.item("outcomes", listed(outcomes));
        text.item("confirmed", listed(self.confirmed_amount.iter()));
        let percentiles = |latency: Latency| {
            format!(
                "p50 {:.1}   p95 {:.1}   p99 {:.1} ms",
                latency.p50, latency.p95, latency.p99
            )
        };
        text.item("accept", percentiles(self.accept));
        let confirm = percentiles(self.confirm);
        text.item(
            "confirm",
            format!("{confirm}  (POST to PaymentProcessed in the store)"),
        );
        let stock = &self.reservations;
        text.item(
            "stock",
            format!(
                "{} reserved, {} rejected, {} released in {} transactions: {:.2} attempts per \
                 reservation, {:.2} per decision",
                stock.reserved,
                stock.rejected,
                stock.released,
                stock.transactions,
                stock.attempts_per_reservation,
                stock.attempts_per_decision
            ),
        );
    }

    fn say_averages(&self, text: &mut Text) {
        let each = &self.per_order;
        text.item(
            "DynamoDB",
            format!(
                "{:.2} requests, {:.2} write units, {:.2} read units",
                each.dynamodb_requests, each.write_units, each.read_units
            ),
        );
        text.item(
            "EventBridge",
            format!("{:.2} entries", each.eventbridge_entries),
        );
        text.item(
            "Lambda",
            format!("{:.2} invocations", each.lambda_invocations),
        );
        text.item(
            "analytics",
            format!(
                "{:.2} units of 25 KB in the stream, {:.2} of 5 KB in the archive",
                each.kinesis_units, each.firehose_units
            ),
        );
        text.item(
            "SQS, logs",
            format!(
                "{:.2} requests, {:.0} bytes",
                each.sqs_requests, each.log_bytes
            ),
        );
        let keys = &self.personal_data;
        text.item(
            "personal data",
            format!(
                "{:.2} KMS requests, {:.2} write units, {:.2} read units: {:.2} USD per million orders",
                keys.kms_requests, keys.write_units, keys.read_units, keys.usd_per_million_orders
            ),
        );
        text.item(
            "cost",
            format!(
                "{:.2} USD per million orders ({}; Lambda time as measured here)",
                self.usd_per_million_orders, self.prices
            ),
        );
    }

    fn say_refused(&self, text: &mut Text, palette: Palette) {
        for refused in self.refused.iter().take(SAID) {
            text.line(&format!("  {}", palette.warn(&printable(refused))));
        }
        if self.refused.len() > SAID {
            text.line(&format!("  and {} more", self.refused.len() - SAID));
        }
    }

    fn say_invariants(&self, text: &mut Text, palette: Palette) {
        if self.invariants.is_empty() {
            text.line("  not judged: something was still on its way");
        }
        for verdict in &self.invariants {
            let said = verdict.to_string();
            let said = if verdict.held {
                palette.good(&said)
            } else {
                palette.bad(&said)
            };
            text.line(&format!("  {said}"));
        }
        for (queue, messages) in &self.dead_letters {
            text.line(&palette.bad(&format!("  {messages} dead letters in {queue}")));
        }
    }
}

fn say_chaos(chaos: &Chaos, text: &mut Text, palette: Palette) {
    text.line(&palette.bold(&format!(
        "Faults (seed {}, {} % of calls, invocations and deliveries)",
        chaos.plan.seed,
        chaos.plan.rate * 100.0
    )));
    let done = chaos.done.iter().map(|(kind, count)| (kind.name(), count));
    text.item("done", listed(done));
    text.item("healed", listed(chaos.healed.iter()));
}

fn listed(all: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    let mut text = String::new();
    for (name, value) in all {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{name} {value}");
    }
    if text.is_empty() {
        text.push_str("nothing");
    }
    text
}
