//! The endpoint as the real SDKs see it.

#![allow(
    clippy::expect_used,
    reason = "the exemption of tests does not reach the helper functions of an integration test"
)]

mod bus;
mod capacity;
mod data_streams;
mod deliveries;
mod faults;
mod items;
mod keys;
mod limits;
mod other_services;
mod queries;
mod queues;
mod restart;
mod setup;
mod streams;
mod tables;
mod throughput;
mod transactions;
