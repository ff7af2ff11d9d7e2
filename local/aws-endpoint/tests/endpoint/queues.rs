//! SQS over the real SDK.

use aws_endpoint::{Endpoint, Options};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use crate::setup::config;

pub fn sqs(endpoint: &Endpoint) -> Client {
    let retries = aws_sdk_sqs::config::retry::RetryConfig::disabled();
    Client::from_conf(config!(aws_sdk_sqs, endpoint).retry_config(retries).build())
}

async fn started() -> (Endpoint, Client, String) {
    let endpoint = Endpoint::start(Options::default()).await.expect("started");
    let attributes = [("VisibilityTimeout".to_owned(), "30".to_owned())].into();
    let url = endpoint
        .create_queue("orders-dlq", &attributes)
        .await
        .expect("a queue");
    let client = sqs(&endpoint);
    (endpoint, client, url)
}

#[tokio::test]
async fn a_message_is_received_with_its_attributes_and_deleted() {
    let (endpoint, client, url) = started().await;
    assert_eq!(
        url,
        format!("http://{}/000000000000/orders-dlq", endpoint.addr())
    );
    let looked_up = client.get_queue_url().queue_name("orders-dlq").send().await;
    assert_eq!(
        looked_up.expect("found").queue_url.as_deref(),
        Some(url.as_str())
    );
    let cause = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("timeout")
        .build()
        .expect("an attribute");
    client
        .send_message()
        .queue_url(&url)
        .message_body("{\"orderId\":\"o-1\"}")
        .message_attributes("cause", cause)
        .send()
        .await
        .expect("sent");

    let receive = || {
        client
            .receive_message()
            .queue_url(&url)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
    };
    let received = receive()
        .await
        .expect("received")
        .messages
        .expect("messages");
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].body(), Some("{\"orderId\":\"o-1\"}"));
    let attributes = received[0].message_attributes().expect("attributes");
    assert_eq!(attributes["cause"].string_value(), Some("timeout"));
    assert_eq!(
        endpoint
            .queue("orders-dlq")
            .map(|q| (q.visible, q.in_flight)),
        Some((0, 1))
    );
    assert_eq!(receive().await.expect("received").messages, None);

    let handle = received[0].receipt_handle().expect("a handle");
    for _ in 0..2 {
        // Deleting twice is no error on AWS either.
        client
            .delete_message()
            .queue_url(&url)
            .receipt_handle(handle)
            .send()
            .await
            .expect("deleted");
    }
    assert_eq!(
        endpoint.queue("orders-dlq"),
        Some(aws_endpoint::QueueDepth::default())
    );
}

#[tokio::test]
async fn each_receive_counts_once_and_a_dead_letter_queue_takes_over_after_the_last() {
    let (endpoint, client, url) = started().await;
    let redrive = "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dlq\",\
                   \"maxReceiveCount\":\"3\"}";
    let source = endpoint
        .create_queue(
            "orders",
            &[("RedrivePolicy".to_owned(), redrive.to_owned())].into(),
        )
        .await
        .expect("a queue");
    client
        .send_message()
        .queue_url(&source)
        .message_body("x")
        .send()
        .await
        .expect("sent");
    let mut counts = Vec::new();
    for _ in 0..4 {
        let received = client
            .receive_message()
            .queue_url(&source)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .expect("received");
        for message in received.messages.unwrap_or_default() {
            let attributes = message.attributes().expect("attributes");
            counts.push(attributes[&MessageSystemAttributeName::ApproximateReceiveCount].clone());
            client
                .change_message_visibility()
                .queue_url(&source)
                .receipt_handle(message.receipt_handle().expect("a handle"))
                .visibility_timeout(0)
                .send()
                .await
                .expect("made visible");
        }
    }
    assert_eq!(counts, ["1", "2", "3"]);
    assert_eq!(endpoint.queue("orders").map(|q| q.visible), Some(0));
    assert_eq!(endpoint.queue("orders-dlq").map(|q| q.visible), Some(1));
    drop(url);
}

#[tokio::test]
async fn a_long_poll_returns_as_soon_as_something_is_sent() {
    let (_endpoint, client, url) = started().await;
    let waiting = tokio::spawn(
        client
            .receive_message()
            .queue_url(&url)
            .wait_time_seconds(20)
            .send(),
    );
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .expect("sent");
    let received = waiting.await.expect("joined").expect("received");
    assert_eq!(received.messages().len(), 1);
}

#[tokio::test]
async fn a_batch_reports_each_entry_and_attributes_show_the_depth() {
    let (_endpoint, client, url) = started().await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(body)
            .build()
            .expect("an entry")
    };
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("a", "1"))
        .entries(entry("b", "bad \u{1}"))
        .entries(entry("c", "3"))
        .send()
        .await
        .expect("answered");
    assert_eq!(sent.successful().len(), 2);
    assert_eq!(sent.failed()[0].id(), "b");
    assert_eq!(sent.failed()[0].code(), "InvalidMessageContents");
    let attributes = client
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .expect("attributes")
        .attributes
        .expect("attributes");
    assert_eq!(
        attributes[&QueueAttributeName::ApproximateNumberOfMessages],
        "2"
    );
    assert_eq!(
        attributes[&QueueAttributeName::MaximumMessageSize],
        "1048576"
    );
}

#[tokio::test]
async fn messages_up_to_one_mib_are_taken_and_larger_ones_are_not() {
    let (_endpoint, client, url) = started().await;
    let send = |bytes: usize| {
        client
            .send_message()
            .queue_url(&url)
            .message_body("x".repeat(bytes))
            .send()
    };
    send(1024 * 1024).await.expect("sent");
    let error = send(1024 * 1024 + 1).await.expect_err("too large");
    assert_eq!(
        error.into_service_error().meta().code(),
        Some("InvalidParameterValue")
    );
}

#[tokio::test]
async fn an_unknown_queue_is_the_error_the_sdk_knows() {
    let (endpoint, client, _url) = started().await;
    let error = client
        .send_message()
        .queue_url(endpoint.queue_url("nowhere"))
        .message_body("x")
        .send()
        .await
        .expect_err("unknown")
        .into_service_error();
    assert!(
        matches!(error, SendMessageError::QueueDoesNotExist(_)),
        "{error:?}"
    );
}
