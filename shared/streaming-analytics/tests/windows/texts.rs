//! Texts that Lambda might hand over as a state: those of other software, and any bytes at all.

use crate::consumer::Table;
use crate::faults::{LARGE, order, process, window};
use crate::producer::{Event, START, Said, timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use proptest::prelude::*;
use streaming_analytics::codec::Damaged;
use streaming_analytics::part::SequenceNumber;
use streaming_analytics::record::Record;
use streaming_analytics::result::MinuteResult;
use streaming_analytics::state::{Arrival, State};

#[test]
fn a_state_of_other_software_is_refused() {
    let decode = |text: &str| State::decode(window("s", 0), text).unwrap_err();
    assert_eq!(decode("!"), Damaged::NotBase64);
    assert_eq!(decode(""), Damaged::Empty);
    assert_eq!(decode("Ag"), Damaged::Version(2));
    assert!(matches!(decode("AQ"), Damaged::Content(_)));
    let state = State::new(window("s", 0)).encode().unwrap();
    assert!(matches!(decode(&(state + "AAAA")), Damaged::Content(_)));
}

/// The bytes of a state that holds much.
fn rich_state() -> Vec<u8> {
    let mut table = Table::default();
    let said = [
        Said::Placed {
            user: 3,
            lines: vec![(1, 2), (2, 3)],
        },
        Said::Confirmed {
            cents: 995,
            currency: "EUR",
            took_ms: Some(1_500),
        },
        Said::Reading {
            device: 1,
            sensor: "door",
            thousandths: -18_250,
        },
        Said::Garbage,
    ];
    let arrival = |(number, said): (usize, Said)| {
        let event = Event {
            number,
            key: 0,
            at: START + 1_000,
            said,
        };
        Arrival {
            sequence: SequenceNumber::parse(&(number + 1).to_string()).unwrap(),
            arrived: timestamp(START + 1_000),
            record: Record::parse(&event.data()),
        }
    };
    let batch: Vec<_> = (0..).zip(said).map(arrival).collect();
    let text = process(&mut table, &window("s", 0), LARGE, None)
        .invoke(None, &batch, false)
        .unwrap();
    STANDARD_NO_PAD.decode(text).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Goes on from a text, whatever it holds.
fn goes_on_from(text: &str) {
    let window = window("s", 0);
    if State::decode(window.clone(), text).is_err() {
        return;
    }
    let mut table = Table::default();
    let batch: Vec<_> = (100..120).map(|number| order(number, 1_000)).collect();
    let mut process = process(&mut table, &window, LARGE, None);
    process.invoke(Some(text), &batch, true).unwrap();
    for minute in table.minutes() {
        let _ = MinuteResult::of(minute, &table.parts_of(minute))
            .encode()
            .unwrap();
    }
}

proptest! {
    #[test]
    fn any_text_is_a_state_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}") {
        goes_on_from(&text);
        goes_on_from(&base64(&bytes));
        goes_on_from(&base64(&[&[1], &bytes[..]].concat()));
    }

    #[test]
    fn a_state_with_any_bytes_changed_is_a_state_or_damaged(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = rich_state();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        goes_on_from(&base64(&bytes));
    }
}
