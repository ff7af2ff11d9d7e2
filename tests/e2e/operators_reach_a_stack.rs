//! `--stack NAME`: the operator's commands on a stack in AWS. A running system stands for AWS
//! (`AWS_ENDPOINT_URL`); all else is as it is there.

use std::process::{Command, Output};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};

use crate::system::{System, command, order};

/// A command of an operator who is signed in, in an environment in which this stands for AWS.
pub fn signed_in(aws: &str, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command
        .env("AWS_ENDPOINT_URL", aws)
        .env("AWS_ACCESS_KEY_ID", "operator")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1");
    command
}

#[track_caller]
fn refused(output: &Output, with: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in with {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_verified_and_rebuilt_by_its_name() {
    let system = System::start(&["--parameter", "Prefix=shop-"]);
    system.stock("tea", 10, "1").await;
    let id = system.place("a", &order("u", "tea", 1, "1")).await;
    system.order_at(&id, "confirmed").await;
    let verify = ["verify", "--stack", "local", "--json"];
    let output = signed_in(&system.aws, &verify).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!(report["tampered"], json!([]));
    assert!(report["events"].as_u64() > Some(3), "{report}");
    let rebuild = ["rebuild", "orders", "--stack", "local"];
    let output = signed_in(&system.aws, &rebuild).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("switched from blue to green"), "{printed}");
    // The same without AWS's environment, by the address alone.
    let here = ["verify", "--json", "--aws-endpoint", &system.aws];
    assert_eq!(command(&here).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_stack_that_is_not_there_is_refused_with_where_it_was_looked_for() {
    let system = System::start(&[]);
    let verify = ["verify", "--stack", "shop"];
    let output = signed_in(&system.aws, &verify).output().unwrap();
    let parameter = "/orderflow/stacks/shop";
    refused(
        &output,
        &["no stack shop", parameter, &system.aws, "--region"],
    );
}

#[test]
fn without_credentials_or_a_region_it_is_said_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let verify = ["verify", "--stack", "shop"];
    // No AWS CLI on this path.
    let output = command(&verify)
        .env("PATH", folder.path())
        .output()
        .unwrap();
    refused(
        &output,
        &["no AWS credentials", "AWS_ACCESS_KEY_ID", "aws sso login"],
    );
    let output = signed_in("http://127.0.0.1:1", &verify)
        .env("PATH", folder.path())
        .env_remove("AWS_REGION")
        .output()
        .unwrap();
    refused(&output, &["no region", "--region"]);
}

#[test]
fn where_nothing_runs_it_is_said_how_to_say_what_is_meant() {
    let nothing = ["verify", "--aws-endpoint", "http://127.0.0.1:1"];
    let output = command(&nothing).output().unwrap();
    refused(&output, &["no system runs at", "cargo local", "--stack"]);
    let folder = tempfile::tempdir().unwrap();
    let empty = ["verify", "--data-dir", folder.path().to_str().unwrap()];
    let output = command(&empty).output().unwrap();
    refused(&output, &["keeps no system"]);
    let elsewhere = ["verify", "--aws-endpoint", "http://10.0.0.7:4566"];
    let output = command(&elsewhere).output().unwrap();
    refused(&output, &["--aws-endpoint", "not on this machine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_aws_does_not_accept_are_told_from_a_stack_that_is_not_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let expired = json!({"__type": "ExpiredTokenException",
        "message": "The security token included in the request is expired"});
    let answers = Router::new().route(
        "/",
        post(|| async move { (StatusCode::BAD_REQUEST, expired.to_string()) }),
    );
    tokio::spawn(async move { axum::serve(listener, answers).await });
    let output = signed_in(&url, &["verify", "--stack", "shop"]).output();
    refused(
        &output.unwrap(),
        &["ExpiredTokenException", "have expired", "sign in again"],
    );
}

/// The AWS CLI as far as it is asked: keys and a region for the profile `ops`.
#[cfg(unix)]
#[test]
fn the_aws_cli_is_asked_for_a_profile_also_when_the_environment_has_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let system = System::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aws");
    let script = r#"#!/bin/sh
case "$*" in
  "configure export-credentials --format process --profile ops")
    echo '{"Version": 1, "AccessKeyId": "profile-ops", "SecretAccessKey": "x", "SessionToken": "t"}' ;;
  "configure get region --profile ops") echo us-east-1 ;;
  *) echo "The config profile could not be found" >&2; exit 255 ;;
esac
"#;
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let with_profile = |profile: &str| {
        let verify = ["verify", "--stack", "local", "--profile", profile];
        signed_in(&system.aws, &verify)
            .env("PATH", folder.path())
            .env_remove("AWS_REGION")
            .output()
            .unwrap()
    };
    let output = with_profile("ops");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    refused(&with_profile("other"), &["could not be found", "--profile"]);
}
