#![cfg(all(
    feature = "dead-letters",
    feature = "feed",
    feature = "logs",
    feature = "ses",
    feature = "ssm"
))]

use super::*;
use crate::cloudwatch_markers::CloudWatchMarkers;
use crate::dynamodb_dead_letters::DynamoDbDeadLetters;
use crate::dynamodb_event_store::DynamoDbEventStore;
use crate::dynamodb_feed::DynamoDbFeed;
use crate::dynamodb_order_summaries::DynamoDbOrderSummaries;
use crate::eventbridge_publisher::EventBridgePublisher;
use crate::function_calls::{CallError, FunctionCalls};
use crate::parameter_store;
use crate::ses_mailer::{MailError, SesMailer};
use domain::ids::OrderId;
use event_sourcing::dead_letter::{Class, DeadLetterQueue, DeadLetters, GivenUp};
use event_sourcing::envelope::Envelope;
use event_sourcing::feed::EventFeed;
use event_sourcing::publisher::EventPublisher;
use event_sourcing::reconciling::PublishedMarkers;
use event_sourcing::retry::{Retry, Retryable, budget};
use event_sourcing::store::EventStore;
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Debug;

/// The whole time of an invocation: less than any attempt of a call may take by itself.
const TIME: Duration = Duration::from_millis(900);

/// A connection to somebody who takes every call and answers none. On a runtime of its own: the
/// time of the test stands still while nothing else happens.
fn to_a_silent_one() -> Connection {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    Connection::to_endpoint(&url, "test").unwrap()
}

/// What a call came to that had the time of an invocation; it must not have been cut off as a
/// whole, for then nobody could say what it was that did not answer.
fn in_an_invocation<T: Debug, E>(
    call: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = E> {
    let call = Box::pin(call);
    async {
        match budget::within(TIME, call).await {
            Ok(Ok(answer)) => panic!("an answer: {answer:?}"),
            Ok(Err(error)) => error,
            Err(late) => panic!("it outlived its invocation: {late}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_to_a_table_outlives_its_invocation() {
    let aws = to_a_silent_one();
    let store = DynamoDbEventStore::new(aws.dynamodb(), "events");
    let unread = in_an_invocation(store.read("order-1", 1)).await;
    assert_eq!(unread.retry(), Retry::Later);
    let event = Envelope::new("1", "T", Timestamp::UNIX_EPOCH, json!({}));
    let head = event_sourcing::chain::Head::START;
    let unknown = in_an_invocation(store.append("order-1", &head, vec![event])).await;
    assert_eq!(unknown.retry(), Retry::Later);
    let rows = DynamoDbOrderSummaries::new(aws.dynamodb(), "orders");
    let unread = in_an_invocation(rows.get(&OrderId::parse("1").unwrap())).await;
    assert_eq!(unread.retry(), Retry::Later);
    let letters = DynamoDbDeadLetters::new(aws.dynamodb(), "letters");
    let unread = in_an_invocation(letters.get("pay/1")).await;
    assert_eq!(unread.retry(), Retry::Later);
    let feed = DynamoDbFeed::new(aws.dynamodb(), aws.dynamodbstreams(), "events", 1);
    let unread = in_an_invocation(feed.begin()).await;
    assert_eq!(unread.retry(), Retry::Later);
}

#[tokio::test(start_paused = true)]
async fn no_call_to_a_queue_outlives_its_invocation() {
    let queue = to_a_silent_one().dead_letter_queue("http://queue");
    in_an_invocation(queue.receive()).await;
    in_an_invocation(queue.delete("receipt")).await;
    let given_up = GivenUp {
        payload: json!({}),
        request_id: None,
        class: Class::Permanent,
        cause: "no".into(),
        attempts: 1,
        first_failed_at: Timestamp::UNIX_EPOCH,
    };
    in_an_invocation(queue.give_up(&given_up)).await;
}

#[tokio::test(start_paused = true)]
async fn no_publication_outlives_its_invocation() {
    let publisher = EventBridgePublisher::new(to_a_silent_one().eventbridge(), "bus");
    let event = Envelope::new("1", "T", Timestamp::UNIX_EPOCH, json!({}));
    let events = [event.recorded("order-1", 1)];
    let publishing = async { publisher.publish(&events).await.remove(0) };
    let unknown = in_an_invocation(publishing).await;
    assert_eq!(unknown.retry(), Retry::Later);
}

#[tokio::test(start_paused = true)]
async fn no_call_of_a_function_outlives_its_invocation() {
    let patience = Duration::from_secs(35);
    let calls = FunctionCalls::new(to_a_silent_one().lambda(patience));
    let unknown = in_an_invocation(calls.call("process-payment", &json!({}))).await;
    assert!(
        matches!(unknown, CallError::Unavailable { .. }),
        "{unknown}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_mail_parameter_or_log_line_outlives_its_invocation() {
    let aws = to_a_silent_one();
    let mailer = SesMailer::new(aws.sesv2(), "shop@example.com");
    let unsent = in_an_invocation(mailer.send("a@example.com", "subject", "text")).await;
    assert!(matches!(unsent, MailError::Unavailable(_)), "{unsent}");
    in_an_invocation(parameter_store::read(&aws.ssm(), "/key")).await;
    in_an_invocation(parameter_store::find(&aws.ssm(), "/key")).await;
    let markers = CloudWatchMarkers::new(aws.cloudwatchlogs(), "group");
    let (from, until) = (Timestamp::UNIX_EPOCH, Timestamp::now());
    let unread = in_an_invocation(markers.published(from, until, None)).await;
    assert_eq!(unread.retry(), Retry::Later);
}
