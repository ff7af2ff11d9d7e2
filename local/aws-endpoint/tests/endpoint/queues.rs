//! SQS over the real SDK.

use std::time::Duration;

use aws_endpoint::{ApiError, Endpoint, Options};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

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

async fn call(endpoint: &Endpoint, operation: &str, request: Value) -> Result<Value, ApiError> {
    endpoint.call("sqs", operation, request).await
}

/// Receives what is there and makes it visible again; how many there were.
async fn receive_and_return(endpoint: &Endpoint, url: &str) -> usize {
    let request = json!({"QueueUrl": url, "VisibilityTimeout": 0});
    let received = call(endpoint, "ReceiveMessage", request).await;
    let received = received.expect("received");
    received["Messages"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_message_stays_while_its_dead_letter_queue_does_not_exist_and_moves_once_it_does() {
    let endpoint = Endpoint::start(Options::default()).await.expect("started");
    let redrive = "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:later\",\
                   \"maxReceiveCount\":1}";
    let attributes = [("RedrivePolicy".to_owned(), redrive.to_owned())].into();
    let url = endpoint.create_queue("source", &attributes).await;
    let url = url.expect("a template may name the dead-letter queue after it");
    let message = json!({"QueueUrl": url, "MessageBody": "x"});
    call(&endpoint, "SendMessage", message).await.expect("sent");
    for _ in 0..4 {
        assert_eq!(receive_and_return(&endpoint, &url).await, 1);
    }

    endpoint
        .create_queue("later", &[].into())
        .await
        .expect("created");
    assert_eq!(receive_and_return(&endpoint, &url).await, 0);
    assert_eq!(endpoint.queue("later").map(|queue| queue.visible), Some(1));
    assert_eq!(endpoint.queue("source").map(|queue| queue.visible), Some(0));
}

#[tokio::test]
async fn a_redrive_policy_that_aws_refuses_is_refused() {
    let (endpoint, _client, url) = started().await;
    let arn = "arn:aws:sqs:us-east-1:000000000000:orders-dlq";
    let policy = |arn: &str, count: Value| {
        json!({"deadLetterTargetArn": arn, "maxReceiveCount": count}).to_string()
    };
    for (policy, part) in [
        ("{".to_owned(), "not a valid JSON map"),
        ("[]".to_owned(), "not a valid JSON map"),
        ("{\"maxReceiveCount\":3}".to_owned(), "deadLetterTargetArn"),
        (policy(arn, json!(0)), "from 1 to 1000"),
        (policy(arn, json!("1001")), "from 1 to 1000"),
        (policy(arn, json!(1.5)), "from 1 to 1000"),
        (
            policy("arn:aws:sqs:us-east-1:000000000000:nowhere", json!(3)),
            "does not exist",
        ),
    ] {
        let attributes = json!({"RedrivePolicy": policy});
        for (operation, request) in [
            (
                "CreateQueue",
                json!({"QueueName": "q", "Attributes": attributes}),
            ),
            (
                "SetQueueAttributes",
                json!({"QueueUrl": url, "Attributes": attributes}),
            ),
        ] {
            let error = call(&endpoint, operation, request)
                .await
                .expect_err(&policy);
            assert_eq!(error.code, "InvalidParameterValue", "{operation} {policy}");
            assert!(error.message.contains(part), "{error}");
        }
    }
    assert_eq!(endpoint.queue("q"), None);
    for policy in [
        policy(arn, json!("3")),
        policy(arn, json!(1000)),
        String::new(),
    ] {
        let request = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": policy}});
        let set = call(&endpoint, "SetQueueAttributes", request).await;
        assert_eq!(set, Ok(json!({})), "{policy}");
    }
}

#[tokio::test]
async fn a_queue_is_created_again_without_attributes_and_not_with_others() {
    let (endpoint, _client, _url) = started().await;
    let small = json!({"QueueName": "small", "Attributes": {"MaximumMessageSize": "1024"}});
    let plain = json!({"QueueName": "small"});
    for request in [&small, &plain, &small] {
        let created = call(&endpoint, "CreateQueue", request.clone()).await;
        assert_eq!(
            created,
            Ok(json!({"QueueUrl": endpoint.queue_url("small")}))
        );
    }
    let other = json!({"QueueName": "small", "Attributes": {"MaximumMessageSize": "2048"}});
    let error = call(&endpoint, "CreateQueue", other)
        .await
        .expect_err("other");
    assert_eq!(error.code, "QueueAlreadyExists");
}

#[tokio::test]
async fn a_long_poll_whose_caller_hung_up_takes_no_message() {
    let (endpoint, _client, url) = started().await;
    let poll = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let waiting = call(&endpoint, "ReceiveMessage", poll.clone());
    let moment = Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, waiting).await.is_err());
    let body = poll.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: local\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = tokio::net::TcpStream::connect(endpoint.addr())
        .await
        .expect("connected");
    connection
        .write_all(request.as_bytes())
        .await
        .expect("sent");
    tokio::time::sleep(moment).await;
    drop(connection);
    tokio::time::sleep(moment).await;

    let message = json!({"QueueUrl": url, "MessageBody": "x"});
    call(&endpoint, "SendMessage", message).await.expect("sent");
    tokio::time::sleep(moment).await;
    assert_eq!(receive_and_return(&endpoint, &url).await, 1);
}
