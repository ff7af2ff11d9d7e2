//! The whole template on one machine.
//!
//! `cargo local` reads `template.yaml` and runs what it says, and nothing else. In reading order:
//!
//! - [`cli`], [`help`], [`commands`]: what can be asked of it.
//! - [`template`], [`guard`], [`error`]: what is refused at the start, and how.
//! - [`stack`]: everything running. It starts `programs` as functions, `http_api` and
//!   `lambda_api` (with `log_tail`) before them, [`issuer`] (tokens for the API) beside the AWS endpoint, and the deliveries: `bus` and `delivery` (rules, retries, dead
//!   letters; `receivers` are what takes events besides functions and queues), `schedules`, `mappings`
//!   over `table_source`, `data_source` and `queue_source`, `queues` (destinations), `archive`
//!   (delivery streams), `journal` (what outlives the process).
//! - [`steps`], [`subjects`], [`terminal`]: what is told of it, and how it is printed.
//! - [`store_view`], [`given_up`], `gateway_log`: what was stored, given up and charged; the crate
//!   `invariants` says whether it is as it must be.
//! - [`faults`]: what goes wrong on purpose; `history`: what happened that no table tells.
//! - [`http_client`]: how it calls itself; [`open_files`]: so that it may do so often at a time.

mod archive;
pub mod bus;
pub mod cli;
pub mod commands;
mod data_source;
mod dead_letters;
mod delivery;
pub mod error;
pub mod faults;
pub mod functions;
mod gateway_log;
pub mod given_up;
pub mod guard;
pub mod help;
mod history;
mod http_api;
pub mod http_client;
pub mod issuer;
mod journal;
mod lambda_api;
mod log_groups;
mod log_meter;
mod log_tail;
mod mappings;
pub mod open_files;
mod permissions;
pub mod programs;
mod queue_source;
pub mod queues;
mod receivers;
mod schedules;
mod server;
pub mod stack;
pub mod steps;
pub mod store_view;
pub mod subjects;
mod table_source;
pub mod template;
pub mod terminal;
mod watching;

pub use error::LocalError;
pub use programs::Programs;
pub use stack::{Stack, StackOptions};
