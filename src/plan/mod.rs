//! What happens to a statement and to its result.
//!
//! [`inspect()`] is the one door: it reads a statement, resolves its names against the catalog, asks policy, and returns
//! [`Admitted`] with a [`QueryPlan`], or a [`Refusal`]. A plan is made once per digest and applies to every statement of
//! that digest: it names tokens, not bytes. Carrying it out on bytes is [`crate::rewrite`]'s work.

mod alter;
mod analyze;
mod bound;
mod cache;
mod call;
mod index_definition;
mod inspect;
mod judge;
mod kept;
mod made;
mod mode;
mod other;
#[expect(clippy::module_inception, reason = "the module's one central type")]
mod plan;
mod protected_names;
mod refusal;
mod scope;
mod set;
mod sort;
mod statistics;
#[cfg(test)]
mod tests;
mod text;
mod unread;

pub use bound::{Bound, Tie};
pub use cache::PlanCache;
pub use inspect::{Admitted, Inspection, Scratch, inspect};
pub use kept::{ByName, KeptText, is_one_of_its_own};
pub use plan::{
    Among, CellAction, CommonPair, Comparison, Effect, GrantedSearch, Joined, Naming, Outputs, Pair, Piece, Qualified,
    QueryPlan, ResultName, SetColumn, SetPart, SetRows, Splice, SpliceKind, SubjectSource, SubjectValue, TableColumn,
    TagColumn, Tagged, Value,
};
pub use refusal::{Refusal, Subject, UnknownName, Verb};
pub use set::{SetText, SetTexts, nested_column, set_texts};
pub use sort::{Direction, Sort, SortBound, SortBy, SortKey};
pub use unread::Lookup;
