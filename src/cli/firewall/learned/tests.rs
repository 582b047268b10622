//! What is learned and judged off line, without a server.

mod measured;

use super::super::offline::judge;
use super::*;
use crate::schema::{Charset, ServerKind, ServerVersion};
use crate::sql::SqlMode;

const DIALECT: Dialect = Dialect {
    mode: SqlMode::empty(),
    charset: Charset::Utf8mb4,
    server: ServerVersion { kind: ServerKind::MySql, number: 90_700 },
};

fn pieces<'a>(texts: &[&'a str]) -> Vec<Piece<'a>> {
    (1..).zip(texts).map(|(line, sql)| Piece { line, sql: sql.as_bytes(), database: None }).collect()
}

fn learned(texts: &[&str]) -> Learned {
    Learned::of(&pieces(texts), DIALECT).unwrap()
}

#[test]
fn what_is_far_is_refused_and_says_what_is_new() {
    let known = learned(&[
        "CREATE TABLE orders (id INT, remark TEXT, total INT)",
        "SELECT id FROM orders WHERE id = 1",
        "UPDATE orders SET remark = 'x' WHERE id = 1",
    ]);
    let report = judge(
        &pieces(&[
            "SELECT id FROM orders WHERE id = 7",
            "SELECT id FROM orders WHERE id = 7 ORDER BY total",
            "ROLLBACK TO SAVEPOINT never_seen",
            "SELECT id FROM orders WHERE id = 2-1",
            "SELECT id FROM orders, users WHERE id = 1 AND name = 'secret'",
            "SELECT id FROM orders WHERE id = 1 OR 1 = 1",
            "DELETE FROM orders WHERE id = 1",
        ]),
        DIALECT,
        Some(&known),
    );
    expect_test::expect![[r#"
        line 4            1 x  profile
            SELECT id FROM orders WHERE id = ?-?
            digest 7f80347bf4496de1e9b558819ab683546b047b72b01f7b03246639fac05d60bb
            new, 10 points: arithmetic 10
        line 5            1 x  profile
            SELECT id FROM orders, users WHERE id = ? AND name = ?
            digest c1e88a4d46d6f48f0f4fe69ea90f124879e128010981566361ad46c37ece627a
            new, 15 points: table:<id> 7, and 5, column:<id> 3
        line 6            1 x  constant-operand
            SELECT id FROM orders WHERE id = ? OR ? = ?
            digest 3c52f0dbd2649ce94eed094846e41cce2c6b38b9eddbbc48854602bcb93d6b50
        line 7            1 x  profile
            DELETE FROM orders WHERE id = ?
            digest eadb88a104938040aeb5b83f3eb6ff873ea5137a274a51ffc36821ea2433c8d1
            new: a statement of another kind than all known
        4 of 7 digests refused (7 statements)
        2 known, 1 near, 3 far from the 3 digests of the profile"#]]
    .assert_eq(&report.text());
}

#[test]
fn what_a_hard_signature_refuses_is_not_learned() {
    let attack = "SELECT id FROM orders WHERE id = 1 AND SLEEP(5)";
    let soft = "SELECT id FROM orders WHERE id = 1 OR 2 = 2";
    let known = learned(&["SELECT id FROM orders WHERE id = 1", attack, soft]);
    assert_eq!(known.len(), 2);
    let knows = |sql: &str| {
        known
            .knows(sql.as_bytes(), crate::firewall::digest(sql.as_bytes(), &DIALECT).as_deref().and_then(Digest::parse))
    };
    assert!(knows(soft) && knows("BEGIN") && !knows(attack));
    assert!(Learned::of(&pieces(&[attack]), DIALECT).is_err(), "nothing is left");
    assert!(Learned::of(&[], DIALECT).is_err());
}

#[test]
fn without_a_profile_signatures_alone_decide() {
    let report = judge(&pieces(&["SELECT id FROM orders WHERE id = 2-1", "SELECT 1 OR 2 = 2"]), DIALECT, None);
    assert!(!report.text().contains("known"), "{}", report.text());
    let known = learned(&["SELECT id FROM orders WHERE id = 1"]);
    let report = judge(&pieces(&["SELECT id FROM orders WHERE id = 2-1"]), DIALECT, Some(&known));
    assert!(report.text().contains("arithmetic 10"), "{}", report.text());
}
