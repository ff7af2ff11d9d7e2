//! A host with one function, `f`.

use std::time::{Duration, Instant};

use lambda_host::{FunctionSpec, FunctionStats, HostOptions, LambdaHost, Outcome};
use serde_json::Value;

pub async fn host(spec: FunctionSpec) -> LambdaHost {
    host_with(HostOptions::default(), spec).await
}

pub async fn host_with(options: HostOptions, spec: FunctionSpec) -> LambdaHost {
    let host = LambdaHost::start(options).await.expect("a host");
    host.register(spec).expect("a function");
    host
}

pub fn payload(value: &Value) -> bytes::Bytes {
    value.to_string().into()
}

pub fn answer(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answer(payload) => serde_json::from_slice(payload).expect("JSON"),
        other => panic!("no answer: {other:?}"),
    }
}

pub fn stats(host: &LambdaHost) -> FunctionStats {
    host.stats()["f"]
}

#[track_caller]
pub fn until(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    async move {
        while !condition() {
            assert!(Instant::now() < deadline, "in vain waited for: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
