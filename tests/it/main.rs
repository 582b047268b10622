//! Integration tests: the real program in front of a real server, and the tidiness of the source tree.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod catalog;
mod clients;
mod docs_in_step;
#[path = "../support/fakekms/mod.rs"]
mod fakekms;
#[cfg(feature = "aws-kms")]
mod faults;
mod firewall;
mod key_policies;
#[cfg(feature = "aws-kms")]
mod key_store;
#[cfg(feature = "aws-kms")]
mod key_task;
#[cfg(feature = "aws-kms")]
mod kms;
mod layering;
mod leaks;
mod protected;
mod roles;
mod round_trip;
mod search;
mod sql_oracle;
mod statements;
mod support;
mod twin;
