//! A versioned comment (`/*!50000 … */`) that hides the words an injection needs.
//!
//! Dumps wrap whole statements in such comments, and query builders wrap single options (`/*!40001 SQL_NO_CACHE */`);
//! neither puts UNION, SELECT, OR or AND into one inside a DML statement.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;

pub(super) const RULE: Rule = Rule {
    id: RuleId("versioned-comment"),
    summary: "UNION, SELECT, OR or AND inside a versioned comment of a DML statement",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 /*!50000 UNION */ /*!50000 SELECT */ 1",
        "SELECT a FROM t WHERE id = 1 /*!OR*/ owner = 2",
        "UPDATE t SET a = 1 WHERE b = 2 /*!50000AND*/ 1",
    ],
    passes: &[
        "SELECT /*!40001 SQL_NO_CACHE */ * FROM t",
        "INSERT /*!40000 DELAYED */ INTO t VALUES (1)",
        "/*!40101 SET NAMES utf8 */",
        "/*!50001 CREATE VIEW v AS SELECT a FROM t WHERE b = 1 AND c = 2 */",
        "SELECT a FROM t WHERE note = '/*!50000 UNION */'",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    reading.is_dml()
        && ["UNION", "SELECT", "OR", "AND"].iter().any(|word| {
            reading.words().iter().any(|token| reading.is_word(*token, word) && reading.in_versioned_comment(*token))
        })
}
