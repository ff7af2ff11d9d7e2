//! The business, end to end: the real binary, started as a user starts it, and the real
//! functions, spoken to over HTTP.

#![allow(clippy::unwrap_used)] // In a test, that is how to fail.

mod agreement;
mod archive;
mod authorisation;
mod bad_requests;
mod bad_starts;
mod chaos;
mod dead_letters;
mod demo;
mod direct_calls;
mod duplicates_and_disorder;
mod environments;
mod events_of_other_producers;
mod feed;
mod gateway_outage;
mod generator;
mod healing;
mod hot_sku;
mod insights;
mod interruptions;
mod kafka;
mod load;
mod logs;
mod open_api;
mod operators_decide_about_letters;
mod operators_reach_a_stack;
mod order_is_not_delivered;
mod order_is_paid_and_confirmed;
mod oversell;
mod permissions;
mod personal_data;
mod questions;
mod real_adapters;
mod rebuild;
mod reconciling;
mod repository;
mod restart;
mod rules;
mod sample_events;
mod shop;
mod snapshots;
mod store_contract;
mod system;
mod template_wiring;
mod unknown_payments;
mod verification;
mod watched;
