//! Integration tests: the real program in front of a real server, and the tidiness of the source tree.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod docs_in_step;
mod layering;
