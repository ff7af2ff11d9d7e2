//! Parameters, mail, identity, and what is not served.

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_endpoint::{ApiError, Endpoint, Options};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use serde_json::{Value, json};

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

async fn ssm(endpoint: &Endpoint, operation: &str, request: Value) -> Result<Value, ApiError> {
    endpoint.call("ssm", operation, request).await
}

async fn parameter(endpoint: &Endpoint, name: &str) -> (String, String, u64) {
    let request = json!({"Name": name, "WithDecryption": true});
    let answer = ssm(endpoint, "GetParameter", request).await.expect("read");
    let text = |member: &str| answer["Parameter"][member].as_str().unwrap_or_default();
    let version = answer["Parameter"]["Version"].as_u64().expect("a number");
    (text("Value").to_owned(), text("Type").to_owned(), version)
}

#[tokio::test]
async fn a_parameter_that_was_put_survives_a_restart_and_the_initial_value_of_the_next_start() {
    let directory = tempfile::tempdir().expect("a folder");
    let options = || Options {
        data_dir: Some(directory.path().to_owned()),
        ..Options::default()
    };
    let endpoint = Endpoint::start(options()).await.expect("started");
    for name in ["/shop/mode", "/shop/other"] {
        endpoint.set_parameter(name, "initial");
    }
    for request in [
        json!({"Name": "/shop/key", "Type": "SecureString", "Value": "sk_1"}),
        json!({"Name": "/shop/mode", "Overwrite": true, "Value": "mine"}),
    ] {
        let answer = ssm(&endpoint, "PutParameter", request).await;
        assert_eq!(answer.expect("put")["Tier"], "Standard");
    }
    endpoint.shutdown().await.expect("stopped");
    let file = directory.path().join("parameters.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).expect("it is kept").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    let kept = std::fs::read_to_string(&file).expect("it is kept");
    assert!(!kept.contains("/shop/other"), "{kept}");

    let endpoint = Endpoint::start(options()).await.expect("started");
    for name in ["/shop/mode", "/shop/other"] {
        endpoint.set_parameter(name, "of the next template");
    }

    let expected = [
        ("/shop/key", "sk_1", "SecureString", 1),
        ("/shop/mode", "mine", "String", 2),
        ("/shop/other", "of the next template", "String", 1),
    ];
    for (name, value, kind, version) in expected {
        let read = parameter(&endpoint, name).await;
        assert_eq!(read, (value.to_owned(), kind.to_owned(), version), "{name}");
    }
}

#[tokio::test]
async fn an_overwritten_parameter_keeps_its_type_and_a_new_one_needs_one() {
    let endpoint = started().await;
    endpoint.set_secure_parameter("/shop/key", "sk_1");
    let put = |request| ssm(&endpoint, "PutParameter", request);
    put(json!({"Name": "/shop/key", "Value": "sk_2", "Overwrite": true}))
        .await
        .expect("put");
    assert_eq!(
        parameter(&endpoint, "/shop/key").await,
        ("sk_2".to_owned(), "SecureString".to_owned(), 2)
    );
    let error = put(json!({"Name": "/shop/new", "Value": "x"})).await;
    assert!(error.expect_err("no type").message.contains("type"));
    let error = put(json!({"Name": "/shop/key", "Value": "x"})).await;
    assert_eq!(
        error.expect_err("no overwrite").code,
        "ParameterAlreadyExists"
    );
}

#[tokio::test]
async fn members_of_a_put_that_would_have_no_effect_are_refused() {
    let endpoint = started().await;
    for (member, value) in [
        ("Policies", json!("[]")),
        ("AllowedPattern", json!("^x$")),
        ("Tier", json!("Advanced")),
        ("DataType", json!("aws:ec2:image")),
    ] {
        let mut request = json!({"Name": "/shop/a", "Type": "String", "Value": "y"});
        request[member] = value;
        let error = ssm(&endpoint, "PutParameter", request).await;
        let error = error.expect_err(member);
        assert_eq!(error.code, "ValidationException");
        assert!(error.message.contains(member), "{error}");
    }
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
