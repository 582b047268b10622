//! A comment that ends the statement early: what the application wrote behind the value is swallowed.
//!
//! Behind a literal and with a quote in it, it is what is left of the application's own text. A remark at the end of an
//! honest statement has no quotes but apostrophes. Behind a closing parenthesis, as of the rows that an injector closed for
//! the application, half a string is the sign: remarks quote whole words.

use super::{Rule, RuleId, Weight};
use crate::firewall::Reading;
use crate::sql::{Marks, TokenKind};

pub(super) const RULE: Rule = Rule {
    id: RuleId("swallowing-comment"),
    summary: "a comment to the end of the statement that holds a quote behind a literal, or half a string behind `)`",
    weight: Weight::Points(10),
    matches,
    refuses: &[
        "SELECT a FROM t WHERE name = 'admin' -- ' AND pass = 'x'",
        "SELECT a FROM t WHERE name = 'admin'#' AND pass = 'x'",
        "SELECT a FROM t WHERE id = 1 -- AND owner = 'me'",
        "DELETE FROM t WHERE name = 'x' -- '",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, (SELECT token FROM secrets LIMIT 1)) -- -')",
        "INSERT INTO t (a, b) VALUES (1, MID((SELECT token FROM secrets), 1))#', 7)",
        "SELECT a FROM t WHERE (name = 'x' AND id IN (SELECT id FROM u)) -- aBcD') ORDER BY a",
    ],
    passes: &[
        "SELECT a FROM t WHERE id = 1 -- the customer's page",
        "SELECT a FROM t WHERE id = 1 -- don't cache",
        "SELECT a FROM t WHERE name = 'x' -- AND shown = 1",
        "SELECT a FROM t WHERE id IN (1, 2) -- the users' page",
        "SELECT a FROM t WHERE id IN (1, 2) -- the customer's page, don't cache",
        "SELECT COUNT(*) FROM t WHERE id IN (1, 2) -- those in state 'new'",
        "SELECT COUNT(id) -- ('all)\nFROM t",
        "SELECT a FROM t -- all of \"them\"",
        "SELECT a FROM t WHERE id = 1 /* ' */",
        "SELECT a -- first 'column'\nFROM t WHERE id = 1",
        "SELECT a FROM t WHERE name = '-- '''",
    ],
};

fn matches(reading: &Reading<'_>) -> bool {
    let Some(last) = reading.last().filter(|_| reading.is_dml()) else { return false };
    let is_literal = matches!(
        last.kind,
        TokenKind::String
            | TokenKind::NationalString
            | TokenKind::Integer
            | TokenKind::Decimal
            | TokenKind::Float
            | TokenKind::Hex
            | TokenKind::Bit
    );
    last.marks.contains(Marks::COMMENTED_QUOTE | Marks::COMMENTED_TEXT)
        && (is_literal || last.kind == TokenKind::RightParen && last.marks.contains(Marks::COMMENTED_HALF))
}
