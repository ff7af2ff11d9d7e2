//! `load --faults`: what goes wrong on purpose, with real processes, and that nothing is lost.

use std::fmt::Write as _;

use local::faults::FaultKind;
use serde_json::{Value, json};

use crate::load::load;

/// Currencies, each with a price of a piece.
const PRICES: [(&str, &str); 5] = [
    ("USD", "2.25"),
    ("EUR", "17.99"),
    ("GBP", "0.10"),
    ("JPY", "1200"),
    ("BHD", "3.125"),
];
/// Orders of the run in CI.
const ORDERS: u64 = 240;

/// Orders of up to three lines in five currencies; one in ten is declined, one in ten meets a
/// gateway that fails twice, and one order a gateway that never tells.
fn orders(count: u64) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        let (currency, price) = PRICES[usize::try_from(number % 5).unwrap()];
        let items: Vec<Value> = (0..=number % 3)
            .map(|line| {
                let price: Value = serde_json::from_str(price).unwrap();
                json!({"sku": format!("{currency}-{}", (number + line) % 4),
                    "quantity": 1 + number % 4, "unitPrice": price})
            })
            .collect();
        let token = match number {
            // Each of its attempts takes seconds.
            3 => "tok_timeout",
            number if number % 10 == 4 => "tok_declined",
            number if number % 10 == 7 => "tok_flaky",
            _ => "tok_visa",
        };
        let order = json!({"userId": format!("user-{}", number % 50), "currency": currency,
            "items": items, "payment": {"token": token}});
        writeln!(lines, "{order}").unwrap();
        lines
    })
}

/// Function processes are killed in the middle of invocations, calls to AWS are refused, not
/// executed, or executed and not answered, deliveries come late and twice, and the whole system is
/// killed and started again on its data; orders come in all the while.
#[test]
fn no_order_is_lost_charged_twice_or_oversold_whatever_is_killed_or_goes_unanswered() {
    let (code, report, errors) = load(&orders(ORDERS), &["--faults", "all", "--seed", "11"]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    assert_eq!(report["accepted"], ORDERS, "{report}\n{errors}");
    let invariants = report["invariants"].as_array().unwrap();
    assert_eq!(invariants.len(), 7);
    for invariant in invariants {
        assert_eq!(invariant["held"], true, "{invariant}");
    }
    for kind in FaultKind::ALL {
        let count = report["faults"][kind.name()].as_u64().unwrap_or(0);
        assert!(count > 0, "{} did not happen: {report}", kind.name());
    }
    // Declined ones are rejected; the one whose gateway never tells may wait, the others may not.
    let outcome = |name: &str| report["outcomes"][name].as_u64().unwrap();
    assert_eq!(outcome("rejected"), ORDERS / 10, "{report}");
    assert!(outcome("pending") <= 1, "{report}");
    assert_eq!(report["chaos"]["seed"], 11);
}

#[test]
fn without_restarts_the_other_faults_do_no_harm_either() {
    let (code, report, errors) = load(&orders(40), &["--faults", "duplicate,delay,lost-answer"]);
    assert_eq!(code, Some(0), "{report}\n{errors}");
    let kinds: Vec<&String> = report["faults"].as_object().unwrap().keys().collect();
    let asked_for = ["delay", "duplicate", "lost-answer"];
    assert!(
        kinds.iter().all(|kind| asked_for.contains(&kind.as_str())),
        "{report}"
    );
    assert_eq!(report["accepted"], 40, "{report}\n{errors}");
}

#[test]
fn a_folder_in_which_something_happened_before_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("history.jsonl"), "").unwrap();
    let folder = folder.path().to_str().unwrap();
    let (code, _, errors) = load(&orders(1), &["--faults", "all", "--data-dir", folder]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("is not empty"), "{errors}");
}
