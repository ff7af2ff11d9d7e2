//! What each function has done, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lambda_host::FunctionStats;

/// One line per function that ran: invocations, errors, cold starts, average billed time, memory
/// used of memory configured (in MB, by function).
pub(super) fn function_table(
    stats: &BTreeMap<String, FunctionStats>,
    configured_mb: &BTreeMap<String, u32>,
) -> String {
    let mut table = format!(
        "{:<20} {:>11} {:>7} {:>11} {:>12} {:>16}\n",
        "function", "invocations", "errors", "cold starts", "billed (avg)", "memory"
    );
    for (function, stats) in stats.iter().filter(|(_, stats)| stats.invocations > 0) {
        let memory = stats.max_memory_bytes.map_or_else(String::new, |used| {
            let configured = configured_mb.get(function).copied().unwrap_or_default();
            format!("{} of {configured} MB", used.div_ceil(1 << 20))
        });
        let billed = stats.billed_ms / stats.invocations;
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "{function:<20} {:>11} {:>7} {:>11} {:>12} {memory:>16}",
            stats.invocations,
            stats.errors,
            stats.cold_starts,
            format!("{billed} ms"),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_ran_is_a_line_and_one_that_did_not_is_none() {
        let ran = FunctionStats {
            invocations: 4,
            errors: 1,
            cold_starts: 2,
            billed_ms: 50,
            max_memory_bytes: Some(25 << 20),
            ..FunctionStats::default()
        };
        let stats = BTreeMap::from([
            ("idle".to_owned(), FunctionStats::default()),
            ("place-order".to_owned(), ran),
        ]);
        let configured = BTreeMap::from([("place-order".to_owned(), 256)]);
        let table = function_table(&stats, &configured);
        let lines: Vec<Vec<_>> = table
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [[
                "place-order",
                "4",
                "1",
                "2",
                "12",
                "ms",
                "25",
                "of",
                "256",
                "MB"
            ]]
        );
    }
}
