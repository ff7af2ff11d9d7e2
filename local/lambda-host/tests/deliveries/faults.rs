//! Faults on purpose: what comes late, and what comes again although it was done with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_host::delivery_faults::DeliveryFaults;

use crate::async_setup::setup_faulty;
use crate::fakes::FakeFunction;
use crate::stream_setup::{MemoryStream, start};

/// The first delivery comes so much later, and what is done first comes again after so much.
#[derive(Default)]
struct Once {
    delay: Mutex<Option<Duration>>,
    again: Mutex<Option<Duration>>,
}

impl DeliveryFaults for Once {
    fn delay(&self, function: &str) -> Option<Duration> {
        assert_eq!(function, "f");
        self.delay.lock().expect("unpoisoned").take()
    }

    fn again(&self, function: &str) -> Option<Duration> {
        assert_eq!(function, "f");
        self.again.lock().expect("unpoisoned").take()
    }
}

fn late(seconds: u64) -> Once {
    Once {
        delay: Mutex::new(Some(Duration::from_secs(seconds))),
        ..Once::default()
    }
}

fn again(seconds: u64) -> Once {
    Once {
        again: Mutex::new(Some(Duration::from_secs(seconds))),
        ..Once::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_late_is_overtaken() {
    let setup = setup_faulty(FakeFunction::scripted(vec![]), late(5));
    setup.submit(r#"{"n":1}"#);
    setup.submit(r#"{"n":2}"#);
    setup.quiet().await;
    let calls = setup.function.calls();
    let events: Vec<String> = calls.iter().map(|call| call.event.to_string()).collect();
    assert_eq!(events, [r#"{"n":2}"#, r#"{"n":1}"#]);
    assert_eq!((calls[1].at - calls[0].at).as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_done_with_can_come_again_as_the_same_request() {
    let setup = setup_faulty(FakeFunction::scripted(vec![]), again(7));
    let id = setup.submit("{}");
    setup.quiet().await;
    let calls = setup.function.calls();
    let ids: Vec<_> = calls
        .iter()
        .map(|call| call.request_id.as_deref())
        .collect();
    assert_eq!(ids, [Some(id.as_str()); 2]);
    assert_eq!(setup.pauses(), [7]);
    // It counts as no failure: every retry is still there.
    let steps = setup.seen.steps();
    let expected = [
        "submitted",
        "started 1",
        "retried after 7s",
        "started 1",
        "succeeded",
    ];
    assert_eq!(steps, expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_can_come_late_and_again_before_the_checkpoint_moves() {
    let stream = MemoryStream::of(3);
    let faults = Once {
        delay: Mutex::new(Some(Duration::from_secs(5))),
        again: Mutex::new(Some(Duration::from_secs(7))),
    };
    let started = tokio::time::Instant::now();
    let setup = start(&stream, FakeFunction::scripted(vec![]), |settings| {
        settings.batch_size = 2;
        settings.faults = Arc::new(faults);
    });
    setup.quiet().await;
    assert_eq!(setup.calls(), [vec![1, 2], vec![1, 2], vec![3]]);
    assert_eq!(stream.saves(), [0, 2, 3]);
    let calls = setup.function.calls();
    assert_eq!((calls[0].at - started).as_secs(), 5);
    assert_eq!((calls[1].at - calls[0].at).as_secs(), 7);
}
