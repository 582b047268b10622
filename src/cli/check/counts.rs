//! Whether what accounts are shown and search for can be counted by all proxies together.

use super::{Report, Verdict};
use crate::budget::Span;
use crate::control::{KeyStore, Pool, SCHEMA};

impl Report {
    /// Says nothing where all is well.
    pub(super) async fn counts(&mut self, pool: &Pool) {
        match KeyStore::new(pool.clone(), SCHEMA).unknown_spans().await {
            Ok(spans) if spans.is_empty() => {}
            Ok(spans) => {
                let spans = spans.into_iter().map(Span::name).collect::<Vec<_>>().join(", ");
                let text = format!(
                    "the tables of budgets are older than what is counted in them ({spans}): each proxy counts that alone; \
                     run keys-policy/schema.sql again"
                );
                self.add("budgets", Verdict::Warning, text);
            }
            Err(error) => {
                self.add("budgets", Verdict::Wrong, error.chain());
            }
        }
    }
}
