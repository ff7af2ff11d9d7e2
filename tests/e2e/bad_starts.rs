//! What keeps the system from starting, and what it says then.

use std::net::TcpListener;

use crate::system::{System, changed_template, command, run};

#[track_caller]
fn refused(arguments: &[&str], with: &[&str]) {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in with {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn a_template_with_an_unknown_property_is_refused_by_its_resource() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("template.yaml");
    let yaml = "Resources:\n  Orders:\n    Type: AWS::SQS::Queue\n    Properties: {Colour: red}\n";
    std::fs::write(&path, yaml).unwrap();
    let path = path.to_str().unwrap();
    refused(
        &["--api-port", "0", "--aws-port", "0", "--template", path],
        &["`Orders`", "Colour"],
    );
}

#[test]
fn a_parameter_that_the_template_does_not_have_is_refused_by_its_name() {
    refused(&["demo", "--parameter", "Nonsense=1"], &["Nonsense"]);
}

#[test]
fn an_environment_that_points_to_aws_is_refused() {
    let output = command(&["demo"])
        .env(
            "AWS_ENDPOINT_URL",
            "https://dynamodb.us-east-1.amazonaws.com",
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("AWS_ENDPOINT_URL"), "{said}");
    assert!(said.contains("never talks to AWS"), "{said}");
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(
        &["--api-port", &port, "--aws-port", "0"],
        &[&port, "--api-port", "the HTTP API"],
    );
    refused(
        &["--api-port", "0", "--aws-port", &port],
        &[&port, "--aws-port", "the AWS endpoint"],
    );
}

#[test]
fn an_unknown_function_is_refused_with_the_names_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    std::fs::write(&event, "{}").unwrap();
    let event = event.to_str().unwrap();
    refused(
        &["invoke", "place-ordr", event],
        &["place-ordr", "place-order", "notify-user"],
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_utf_8_in_arguments_and_environment_is_no_panic() {
    use std::os::unix::ffi::OsStrExt as _;
    let odd = std::ffi::OsStr::from_bytes(b"od\xffd");
    let event = "events/notify-user-plain.json";
    let run = command(&["invoke", "notify-user", event])
        .env(odd, odd)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let refused = command(&[]).arg(odd).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("Usage"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_version_is_refused_with_what_to_do_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let system = System::start(&["--data-dir", data]);
    system.stock("tea", 3, "2").await;
    assert_eq!(system.interrupt(), Some(0));
    let (_other, template) = changed_template(|template| {
        assert!(template.contains("IndexName: by-user\n"));
        template.replace("IndexName: by-user\n", "IndexName: by-customer\n")
    });
    let ports = ["--api-port", "0", "--aws-port", "0"];
    let of_another = ["--data-dir", data, "--template", &template];
    let said = [
        "Orders",
        "GlobalSecondaryIndexes",
        data,
        "Go on with that version",
    ];
    refused(&[&of_another[..], &ports].concat(), &said);
    let system = System::start(&["--data-dir", data]);
    let level = system.get("/inventory/tea").await;
    assert_eq!(level.json()["available"], 3);
}
