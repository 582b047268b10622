//! Integration tests: the real program in front of a real server, and the tidiness of the source tree.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod catalog;
mod docs_in_step;
#[path = "../support/fakekms/mod.rs"]
mod fakekms;
mod key_policies;
#[cfg(feature = "aws-kms")]
mod key_store;
#[cfg(feature = "aws-kms")]
mod key_task;
#[cfg(feature = "aws-kms")]
mod kms;
mod layering;
mod protected;
mod sql_oracle;
mod support;
mod twin;
