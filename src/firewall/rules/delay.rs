//! Functions that make the server wait, inside a statement that works on data: time-based blind injection.
//!
//! A bare `SELECT SLEEP(1)` or `DO SLEEP(1)` is a health check, a bare `SELECT GET_LOCK(..)` an advisory lock.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;

pub(super) const RULE: Rule = Rule {
    id: RuleId("delay"),
    summary: "a function that waits, in a statement with FROM, WHERE, SET or VALUES",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT name FROM products WHERE id = 1 AND SLEEP(5)",
        "SELECT name FROM products WHERE id = 1 AND (SELECT 1 FROM (SELECT SLEEP(5)) x)",
        "SELECT name FROM products WHERE id = IF(1=1, BENCHMARK(5000000, SHA1('a')), 0)",
        "INSERT INTO log (note) VALUES ('a' OR sleep(3))",
        "UPDATE t SET a = GET_LOCK('x', 10) WHERE id = 1",
        "SELECT 1 WHERE SLEEP (2)",
    ],
    passes: &[
        "SELECT SLEEP(1)",
        "DO SLEEP(1)",
        "SELECT GET_LOCK('migrations', 10)",
        "SELECT sleep FROM nights WHERE sleep > 8",
        "SELECT name FROM products WHERE note = 'SLEEP(5)'",
        "SELECT RELEASE_LOCK('migrations')",
    ],
};

const WAITING: [&str; 8] = [
    "SLEEP",
    "BENCHMARK",
    "GET_LOCK",
    "MASTER_POS_WAIT",
    "SOURCE_POS_WAIT",
    "MASTER_GTID_WAIT",
    "WAIT_FOR_EXECUTED_GTID_SET",
    "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
];

const WORKING: [&str; 4] = ["FROM", "WHERE", "SET", "VALUES"];

fn matches(reading: &Reading<'_>) -> bool {
    reading.has_call(&WAITING) && WORKING.iter().any(|word| reading.has_word(word))
}
