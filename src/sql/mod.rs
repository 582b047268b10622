//! Reading MySQL's SQL exactly as the connected server does: lexer, digest, DML parser, literals.
//!
//! Works on bytes; statements need not be UTF-8. Knows the catalog's reserved words and nothing of policy, keys or
//! network. Name resolution against the catalog is [`crate::plan`]'s.

mod mode;
pub mod tree;
pub mod walk;

pub use mode::{Dialect, SqlMode};
