//! Runs Lambda functions on this machine as Lambda runs them, and delivers events to them as
//! Lambda delivers them.
//!
//! - [`host`]: [`LambdaHost`], functions as separate processes behind the Lambda Runtime API: one
//!   invocation at a time per process, scaled out on concurrent invocations, killed at the
//!   timeout, memory and cold starts counted.
//! - [`invocation`]: what goes into a function and what comes out: [`InvokeRequest`],
//!   [`Invocation`], [`Outcome`], and the [`Invoke`] port that the deliveries below call.
//! - [`async_invoke`]: asynchronous invocation: retries, age, destinations, dead letters.
//! - [`stream_mapping`]: event source mapping of a `DynamoDB` stream or a Kinesis stream.
//! - [`queue_mapping`]: event source mapping of an SQS queue.
//! - [`destination`], [`batch_answer`], [`clock`], [`limits`]: what those three share: where the
//!   failed ends up, `batchItemFailures`, the scaled retry delays, AWS's quotas.
//! - [`delivery_faults`]: what goes wrong with deliveries on purpose.
//!
//! # Example
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use lambda_host::{FunctionSpec, HostOptions, LambdaHost};
//!
//! let host = LambdaHost::start(HostOptions::default()).await?;
//! host.register(FunctionSpec::new("PlaceOrderFunction", "target/debug/place-order"))?;
//! let invocation = host.invoke("PlaceOrderFunction", "{}".into(), None).await?;
//! println!("{:?} in {:?}", invocation.outcome, invocation.duration);
//! # Ok(())
//! # }
//! ```

pub mod async_invoke;
pub mod batch_answer;
pub mod clock;
pub mod delivery_faults;
pub mod destination;
mod function;
pub mod host;
pub mod invocation;
pub mod limits;
pub mod log_sink;
mod memory;
mod orphan_guard;
mod process;
pub mod queue_mapping;
mod runtime_api;
pub mod stats;
pub mod stream_mapping;

pub use function::FunctionSpec;
pub use host::{HostError, HostOptions, Killed, LambdaHost};
pub use invocation::{Invocation, Invoke, InvokeError, InvokeRequest, Outcome};
pub use log_sink::{LogLine, LogSink, LogStream};
pub use stats::FunctionStats;

use std::future::Future;
use std::pin::Pin;

/// A boxed future, for the ports that are held as trait objects.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
