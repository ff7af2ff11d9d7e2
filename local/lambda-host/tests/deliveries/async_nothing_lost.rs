//! Asynchronous invocation: what is accepted is seen through, or shown.

use std::time::Duration;

use lambda_host::InvokeError;
use lambda_host::async_invoke::{Origin, SubmitError};

use crate::async_setup::{QUEUE, Seen, setup, setup_with};
use crate::fakes::{FakeDestination, FakeFunction, error, until};

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_away_for_a_while_gets_its_record_later() {
    let setup = setup_with(
        FakeFunction::new(|_| Ok(error("no"))),
        FakeDestination::refusing(3),
        Seen::default(),
        |config| config.on_failure = Some(QUEUE.to_owned()),
    );
    setup.submit("{}");
    setup.quiet().await;
    setup.destination.only();
}

#[tokio::test(start_paused = true)]
async fn what_a_destination_never_takes_is_shown_not_lost_silently() {
    let setup = setup_with(
        FakeFunction::new(|_| Ok(error("no"))),
        FakeDestination::refusing(u32::MAX),
        Seen::default(),
        |config| config.dead_letter = Some(QUEUE.to_owned()),
    );
    setup.submit("[67890]");
    setup.quiet().await;
    assert_eq!(
        setup.seen.steps().last().expect("some"),
        "lost [67890]: the queue is away"
    );
}

#[tokio::test(start_paused = true)]
async fn what_lambda_would_refuse_is_not_accepted() {
    let setup = setup(FakeFunction::scripted(vec![]), |_| {});
    let submit = |function: &str, event: Vec<u8>| {
        let event = event.into();
        setup.invoker.submit(function, &event, None, Origin::Direct)
    };
    let quoted = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
    assert!(matches!(
        submit("g", b"{}".to_vec()),
        Err(SubmitError::NotFound { .. })
    ));
    assert!(matches!(
        submit("f", quoted(1024 * 1024 + 1)),
        Err(SubmitError::RequestTooLarge { .. })
    ));
    for not_json in [b"{".to_vec(), b"\"\xff\"".to_vec()] {
        assert!(matches!(
            submit("f", not_json),
            Err(SubmitError::InvalidRequestContent(_))
        ));
    }
    assert_eq!(setup.invoker.pending(), 0);
    submit("f", quoted(1024 * 1024)).expect("fits");
    setup.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_journal_does_not_keep_is_not_accepted() {
    let seen = Seen {
        journal_fails: true,
        ..Seen::default()
    };
    let function = FakeFunction::scripted(vec![]);
    let setup = setup_with(function, FakeDestination::default(), seen, |_| {});
    let refused = setup
        .invoker
        .submit("f", &"{}".into(), None, Origin::Direct);
    assert!(matches!(refused, Err(SubmitError::Journal(_))));
    assert_eq!(setup.invoker.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pending_event_goes_on_after_a_restart_with_its_id_attempts_and_age() {
    let before = setup(FakeFunction::new(|_| Ok(error("no"))), |_| {});
    let id = before.submit(r#"{"orderId":"67890"}"#);
    until("two attempts", || before.function.calls().len() == 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    before.invoker.stop();
    let refused = before
        .invoker
        .submit("f", &"{}".into(), None, Origin::Direct);
    assert!(matches!(refused, Err(SubmitError::Stopped)));

    let kept = before.seen.kept();
    assert_eq!(kept, before.invoker.snapshot());
    assert_eq!((kept[0].attempts, kept[0].id.as_str()), (2, id.as_str()));
    let stored = serde_json::to_string(&kept).expect("JSON");

    let after = setup(FakeFunction::new(|_| Ok(error("no"))), |config| {
        config.on_failure = Some(QUEUE.to_owned());
    });
    after
        .invoker
        .restore(serde_json::from_str(&stored).expect("pending"));
    after.quiet().await;
    assert_eq!(after.function.calls().len(), 1);
    assert_eq!(
        after.function.calls()[0].request_id.as_deref(),
        Some(id.as_str())
    );
    let (_, record, _) = after.destination.only();
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(before.function.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_host_shuts_down_stays_pending() {
    let setup = setup(
        FakeFunction::scripted(vec![Err(InvokeError::ShuttingDown)]),
        |_| {},
    );
    setup.submit("{}");
    until("asked", || setup.function.calls().len() == 1).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(setup.invoker.pending(), 1);
    assert_eq!(setup.seen.kept().len(), 1);
    assert_eq!(setup.function.calls().len(), 1);
}
