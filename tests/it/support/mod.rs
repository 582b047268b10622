//! What the integration tests share: real servers.
#![allow(clippy::expect_used, reason = "test support")]

pub(crate) mod server;
