//! The function under test: this test binary itself, run again with an environment variable set.
//! It is built on the real `lambda_runtime` and does what the event says.

use std::path::Path;
use std::time::Duration;

use lambda_host::FunctionSpec;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

/// Set to what the process is to be; the process it belongs to has it in its environment only.
pub const ROLE: &str = "TEST_ROLE";

/// The function, by the name of the test that becomes it.
pub fn spec(name: &str) -> FunctionSpec {
    with_role(name, "function")
}

/// A process with another role.
pub fn with_role(name: &str, role: &str) -> FunctionSpec {
    let mut spec = FunctionSpec::new(name, std::env::current_exe().expect("path of this test"));
    spec.args = ["--exact", "this_binary_acts_as_a_function", "--nocapture"]
        .map(str::to_owned)
        .to_vec();
    spec.environment.insert(ROLE.to_owned(), role.to_owned());
    spec.timeout = Duration::from_mins(1);
    spec
}

/// Runs as the function if that is this process's role.
pub fn run_if_asked() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    match std::env::var(ROLE).as_deref() {
        Ok("function") => {
            let run = lambda_runtime::run(service_fn(handle));
            let ended = runtime().block_on(run);
            std::process::exit(i32::from(ended.is_err()));
        }
        Ok("exits at init") => std::process::exit(7),
        Ok("hangs at init") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let number = |name: &str| event.payload[name].as_u64().expect("a number");
    match event.payload["do"].as_str().unwrap_or("echo") {
        "fail" => Err("the shelf is empty".into()),
        "panic" => panic!("the roof is on fire"),
        "exit" => std::process::exit(i32::try_from(number("code")).expect("an exit code")),
        "hang" => loop {
            // Not a future: nothing in the process notices anything any more.
            std::thread::sleep(Duration::from_secs(1));
        },
        "tell pid and hang" => {
            let file = event.payload["file"].as_str().expect("a file");
            std::fs::write(format!("{file}.tmp"), std::process::id().to_string())?;
            std::fs::rename(format!("{file}.tmp"), file)?;
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        "wait" => {
            let file = event.payload["for"].as_str().expect("a file");
            while !Path::new(file).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(json!("waited"))
        }
        "wait and write" => {
            while !Path::new(event.payload["for"].as_str().expect("a file")).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            std::fs::write(event.payload["file"].as_str().expect("a file"), "done")?;
            Ok(json!("written"))
        }
        "allocate" => {
            let bytes = usize::try_from(number("mb"))? * 1024 * 1024;
            let block = vec![1_u8; bytes];
            Ok(json!(
                block.iter().map(|byte| u64::from(*byte)).sum::<u64>()
            ))
        }
        "answer much" => Ok(json!("x".repeat(usize::try_from(number("bytes"))?))),
        "print" => {
            println!("to stdout");
            eprintln!("to stderr");
            Ok(Value::Null)
        }
        "environment" => Ok(std::env::vars()
            .map(|(name, value)| (name, json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()),
        "context" => Ok(json!({
            "requestId": event.context.request_id,
            "deadline": event.context.deadline,
            "arn": event.context.invoked_function_arn,
            "trace": event.context.xray_trace_id,
            "custom": event.context.client_context.as_ref().map(|told| &told.custom),
        })),
        _ => Ok(event.payload),
    }
}
