//! What happens to a statement and to its result.
//!
//! [`QueryPlan`] is made once per digest and applies to every statement of that digest: it names tokens, not bytes.
//! Carrying it out on bytes is [`crate::rewrite`]'s work.

#[expect(clippy::module_inception, reason = "the module's one central type")]
mod plan;

pub use plan::{CellAction, Comparison, Effect, Outputs, QueryPlan, Splice, SpliceKind, Value};
