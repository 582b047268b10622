//! Integration tests: the real program in front of a real server.

mod catalog;
#[path = "../support/fakekms/mod.rs"]
mod fakekms;
mod key_policies;
#[cfg(feature = "aws-kms")]
mod key_store;
#[cfg(feature = "aws-kms")]
mod key_task;
#[cfg(feature = "aws-kms")]
mod kms;
mod support;
