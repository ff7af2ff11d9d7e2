//! Functions as processes: one invocation at a time each, scaled out, killed, counted.
#![allow(clippy::expect_used)] // tests

mod ending;
mod function;
mod outcomes;
mod scaling;
mod setup;
mod surroundings;

use serde_json::json;

use setup::{host, payload};

#[test]
fn this_binary_acts_as_a_function() {
    function::run_if_asked();
}

/// Plays the host in a process of its own, for the test below; does nothing otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_binary_acts_as_a_host() {
    let Ok(file) = std::env::var("TEST_HOST_PID_FILE") else {
        return;
    };
    let host = host(function::spec("f")).await;
    let event = payload(&json!({"do": "tell pid and hang", "file": file}));
    let _ = host.invoke("f", event, None).await;
}
