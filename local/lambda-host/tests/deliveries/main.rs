//! What Lambda promises of an event: asynchronous invocation and event source mappings, over
//! scripted functions and sources in memory, in tokio's paused time.
#![allow(clippy::expect_used)] // tests

mod async_nothing_lost;
mod async_retries;
mod async_setup;
mod fakes;
mod faults;
mod queue_mapping;
mod shards;
mod stream_batches;
mod stream_failures;
mod stream_setup;
mod windows;
