//! Parameters, mail, identity, and what is not served.

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_endpoint::{Endpoint, Options};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use serde_json::Value;

use crate::setup::config;

async fn started() -> Endpoint {
    Endpoint::start(Options::default()).await.expect("started")
}

#[tokio::test]
async fn a_parameter_is_read_and_a_secure_one_only_with_decryption() {
    let endpoint = started().await;
    endpoint.set_parameter("/orderflow/mode", "simulated");
    endpoint.set_secure_parameter("/orderflow/stripe-key", "sk_test");
    let client = aws_sdk_ssm::Client::from_conf(config!(aws_sdk_ssm, endpoint).build());
    let read = |name: &'static str, decrypt| {
        client
            .get_parameter()
            .name(name)
            .with_decryption(decrypt)
            .send()
    };
    let value = |output: aws_sdk_ssm::operation::get_parameter::GetParameterOutput| {
        output.parameter.and_then(|parameter| parameter.value)
    };
    assert_eq!(
        value(read("/orderflow/mode", false).await.expect("read")).as_deref(),
        Some("simulated")
    );
    let plain = value(read("/orderflow/stripe-key", true).await.expect("read"));
    assert_eq!(plain.as_deref(), Some("sk_test"));
    let encrypted = value(read("/orderflow/stripe-key", false).await.expect("read"));
    assert_ne!(encrypted, plain);
    let error = read("/nowhere", true)
        .await
        .expect_err("missing")
        .into_service_error();
    assert!(
        matches!(error, GetParameterError::ParameterNotFound(_)),
        "{error:?}"
    );
    let several = client
        .get_parameters()
        .names("/orderflow/mode")
        .names("/nowhere")
        .send()
        .await
        .expect("read");
    assert_eq!(several.parameters().len(), 1);
    assert_eq!(several.invalid_parameters(), ["/nowhere"]);
}

#[tokio::test]
async fn a_mail_is_recorded_and_one_without_recipient_is_refused() {
    let endpoint = started().await;
    let client = aws_sdk_sesv2::Client::from_conf(config!(aws_sdk_sesv2, endpoint).build());
    let text = |data: &str| Content::builder().data(data).build().expect("content");
    let message = Message::builder()
        .subject(text("Your order"))
        .body(Body::builder().text(text("It is on its way.")).build())
        .build();
    let send = |destination| {
        client
            .send_email()
            .from_email_address("Shop <shop@example.com>")
            .destination(destination)
            .content(EmailContent::builder().simple(message.clone()).build())
            .send()
    };
    let to = Destination::builder()
        .to_addresses("abc123@example.com")
        .build();
    let accepted = send(to).await.expect("sent");
    let error = send(Destination::builder().build())
        .await
        .expect_err("refused");
    assert!(error.into_service_error().is_bad_request_exception());

    let mails = endpoint.sent_emails();
    assert_eq!(mails.len(), 1);
    assert_eq!(Some(mails[0].message_id.as_str()), accepted.message_id());
    assert_eq!(mails[0].recipients, ["abc123@example.com"]);
    assert_eq!(
        (mails[0].subject.as_str(), mails[0].text.as_str()),
        ("Your order", "It is on its way.")
    );
}

/// One raw HTTP request; returns status line with headers, and the body.
fn post(endpoint: &Endpoint, headers: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(endpoint.addr()).expect("connected");
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: local\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n\r\n{body}",
        body.len()
    )
    .expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_is_told_and_what_is_not_served_is_named() {
    let endpoint = started().await;
    let form = "content-type: application/x-www-form-urlencoded";
    let (head, body) = post(
        &endpoint,
        form,
        "Action=GetCallerIdentity&Version=2011-06-15",
    );
    assert!(head.starts_with("http/1.1 200") && body.contains("<Account>000000000000</Account>"));

    for (headers, body, code, part) in [
        (
            "x-amz-target: AWSLambda.Invoke",
            "{}",
            "UnknownOperationException",
            "AWSLambda.Invoke",
        ),
        (
            "x-amz-target: DynamoDB_20120810.ExportTableToPointInTime",
            "{}",
            "UnknownOperationException",
            "dynamodb:ExportTableToPointInTime",
        ),
        (
            "x-amz-target: DynamoDB_20120810.PutItem",
            "{",
            "SerializationException",
            "not JSON",
        ),
        (
            form,
            "Action=SendMessage",
            "UnknownOperationException",
            "SendMessage",
        ),
    ] {
        let (head, answer) = post(&endpoint, headers, body);
        assert!(
            head.starts_with("http/1.1 400") && head.contains("x-amzn-requestid"),
            "{head}"
        );
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(
            answer["__type"].as_str().is_some_and(|t| t.ends_with(code)),
            "{answer}"
        );
        assert!(
            answer["message"].as_str().is_some_and(|m| m.contains(part)),
            "{answer}"
        );
    }
}
