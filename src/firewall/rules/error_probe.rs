//! Functions whose error message repeats their argument, fed with something worth reading: error-based injection.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::sql::tree::{Expr, ExprKind, UnaryOp};

pub(super) const RULE: Rule = Rule {
    id: RuleId("error-probe"),
    summary: "a function that repeats its argument in an error, over a sub-query, a system value or CONCAT of constants",
    weight: Weight::Hard,
    matches,
    refuses: &[
        "SELECT a FROM t WHERE id = 1 AND EXTRACTVALUE(1, CONCAT(0x5c, (SELECT version())))",
        "SELECT a FROM t WHERE id = 1 AND updatexml(1, concat('~', user()), 1)",
        "SELECT a FROM t WHERE id = GTID_SUBSET(CONCAT('q', (SELECT 1), 'q'), 1)",
        "SELECT a FROM t WHERE id = 1 OR UUID_TO_BIN((SELECT password FROM users LIMIT 1))",
        "SELECT a FROM t WHERE id = 1 AND JSON_KEYS((SELECT CONVERT((SELECT CONCAT('a', @@version)) USING utf8)))",
        "SELECT a FROM t WHERE EXP(~(SELECT * FROM (SELECT user()) x))",
        "SELECT a FROM t WHERE id = EXTRACTVALUE(1, CONCAT(0x7e, 'x'))",
    ],
    passes: &[
        "SELECT EXTRACTVALUE(body, '/order/id') FROM messages WHERE id = 7",
        "SELECT EXTRACTVALUE(body, CONCAT('/order/', field)) FROM messages",
        "INSERT INTO t (id) VALUES (UUID_TO_BIN(UUID()))",
        "SELECT UUID_TO_BIN('6ccd780c-baba-1026-9564-5b8c656024db') FROM t",
        "SELECT JSON_KEYS(doc) FROM t",
        "SELECT EXP(1.5) FROM t",
        "SELECT GTID_SUBSET(@@gtid_executed, @@gtid_executed)",
    ],
};

const REPEATING: [&str; 15] = [
    "EXTRACTVALUE",
    "UPDATEXML",
    "GTID_SUBSET",
    "GTID_SUBTRACT",
    "UUID_TO_BIN",
    "BIN_TO_UUID",
    "JSON_KEYS",
    "ST_LATFROMGEOHASH",
    "ST_LONGFROMGEOHASH",
    "ST_POINTFROMGEOHASH",
    "GEOMETRYCOLLECTION",
    "POLYGON",
    "MULTIPOINT",
    "LINESTRING",
    "MULTILINESTRING",
];

fn matches(reading: &Reading<'_>) -> bool {
    // Replication tools compare GTID sets in statements that read no table; an injection sits in one that does.
    reading.reads_or_writes()
        && reading.exprs().iter().any(|expr| {
            reading.call(expr).is_some_and(|(name, args)| {
                if REPEATING.contains(&&*name) {
                    args.iter().any(|arg| worth_reading(reading, arg))
                } else {
                    &*name == "EXP" && args.iter().any(inverted_subquery)
                }
            })
        })
}

fn inverted_subquery(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Unary { op: UnaryOp::BitNot, operand }
        if matches!(operand.kind, ExprKind::Subquery(_)))
}

fn worth_reading(reading: &Reading<'_>, arg: &Expr) -> bool {
    reading.below(arg).iter().any(|expr| {
        matches!(expr.kind, ExprKind::Subquery(_) | ExprKind::SystemVariable)
            || reading.is_session_value(expr)
            || reading.call(expr).is_some_and(|(name, args)| {
                name.starts_with("CONCAT") && args.iter().all(|arg| matches!(arg.kind, ExprKind::Literal(_)))
            })
    })
}
