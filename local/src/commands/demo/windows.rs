//! The minutes of the demo, as `GET /insights` tells them.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Ways;
use crate::commands::table::Table;
use crate::error::LocalError;
use crate::issuer::ask::{self, Wanted};
use crate::stack::Stack;
use crate::terminal::Printer;

/// Length of Lambda's windows in the demo, in seconds: so long it takes until minutes are seen.
pub(super) const WINDOW: &str = "1";
/// The parameter that sets it.
pub(super) const PARAMETER: &str = "AnalyticsWindowSeconds";
/// So long are the figures waited for.
const DEADLINE: Duration = Duration::from_secs(30);
/// How far apart two looks are.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Who tells.
const ROUTE: &str = "GET /insights";

/// Prints a line per minute, once all `placed` orders are in one; whether they came to be.
pub(super) async fn print(
    stack: &Stack,
    placed: u64,
    printer: &Printer,
) -> Result<bool, LocalError> {
    let mut routes = stack.template().routes.iter();
    if !routes.any(|route| route.key() == ROUTE) {
        printer.line("Analytics are off.");
        return Ok(true);
    }
    let ways = Ways::into(stack);
    let operator = ask::bearer(&ways.client, &ways.aws, &Wanted::operator()).await?;
    let url = format!("{}/insights?step=minute", ways.api);
    let until = Instant::now() + DEADLINE;
    loop {
        let headers = [("authorization", operator.as_str())];
        let answer = ways
            .client
            .send("GET", &url, &headers, String::new())
            .await?;
        let windows = answer.json()["windows"].as_array().cloned();
        let windows: Vec<_> = windows
            .unwrap_or_default()
            .into_iter()
            .filter(|window| of(window, "/records/onTime") + of(window, "/records/late") > 0)
            .collect();
        let seen: u64 = windows.iter().map(|window| of(window, "/placed")).sum();
        if seen >= placed || Instant::now() >= until {
            for line in table(&windows).lines(printer.palette()) {
                printer.line(line);
            }
            if seen != placed {
                let line =
                    format!("{seen} orders are in the minutes, {placed} were placed in them.");
                printer.line(printer.palette().bad(&line));
            }
            return Ok(seen == placed);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn of(window: &Value, figure: &str) -> u64 {
    let figure = window.pointer(figure).and_then(Value::as_u64);
    figure.unwrap_or_default()
}

fn table(windows: &[Value]) -> Table {
    let mut table = Table::of(&[
        "minute (UTC)",
        ">placed",
        ">confirmed",
        ">rejected",
        ">failed",
        ">cancelled",
        "revenue",
        ">p50 ms",
        ">p95 ms",
        ">customers",
        "most ordered",
    ]);
    for window in windows {
        let text = |figure: &str| match window.pointer(figure) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => "-".to_owned(),
            Some(number) => number.to_string(),
        };
        let start = text("/start");
        let sums = window["revenue"].as_object().into_iter().flatten();
        let sums: Vec<_> = sums
            .map(|(currency, sum)| format!("{sum} {currency}"))
            .collect();
        let counts = [
            "/placed",
            "/confirmed",
            "/rejected",
            "/failed",
            "/cancelled",
        ];
        let mut row = vec![start.get(11..16).unwrap_or(&start).to_owned()];
        row.extend(counts.map(text));
        row.push(sums.join(", "));
        row.extend(["/p50Ms", "/p95Ms", "/distinctCustomers", "/topSkus/0/sku"].map(text));
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Palette;
    use serde_json::json;

    #[test]
    fn a_minute_is_a_line() {
        let window = json!({"start": "2026-01-01T12:03:00Z", "placed": 3, "confirmed": 2,
            "rejected": 1, "failed": 0, "cancelled": 0, "revenue": {"EUR": 1.5, "USD": 20},
            "p50Ms": 41, "p95Ms": null, "distinctCustomers": 2, "topSkus": [{"sku": "tea"}]});
        let lines = table(&[window]).lines(Palette::PLAIN);
        let words: Vec<_> = lines[1].split_whitespace().collect();
        let expected = "12:03 3 2 1 0 0 1.5 EUR, 20 USD 41 - 2 tea";
        assert_eq!(words.join(" "), expected);
    }
}
