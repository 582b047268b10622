//! The table of shadow mode: what it counts, what it keeps, and where it ends.

use super::super::*;
use super::works::{catalog, decided, policy};
use crate::policy::RoleId;

fn note(table: &ShadowTable, sql: &str, occasion: Occasion) {
    let (catalog, policy) = (catalog(), policy());
    let sent = Sent {
        sql: sql.as_bytes(),
        dialect: super::dialect(),
        database: Some("shop"),
        role: RoleId(0),
        catalog: &catalog,
    };
    decided(sql, &catalog, &policy, |decision| table.note(sent, decision, &policy, occasion));
}

#[test]
fn statements_of_one_digest_and_outcome_are_one_line() {
    let table = ShadowTable::new(10);
    for sql in ["SELECT id FROM plain WHERE id = 1", "SELECT id FROM plain WHERE id = 22"] {
        note(&table, sql, Occasion::Executed);
    }
    note(&table, "SELECT id FROM customers WHERE phone = 'secret'", Occasion::Prepared);
    note(&table, "SELECT id FROM customers WHERE phone = 'secret'", Occasion::Executed);
    note(&table, "SELECT id FROM customers ORDER BY phone, 'secret'", Occasion::Executed);
    note(&table, "SELECT 'never closed", Occasion::Executed);
    let totals = ShadowTotals { relayed: 2, rewritten: 1, refused: 2, not_listed: 0 };
    assert_eq!(table.totals(), totals);
    let lines = table.lines();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (line.explained.verdict, line.executed, line.prepared, line.explained.text.as_deref()))
        .collect();
    assert_eq!(shown.len(), 4);
    assert!(shown.contains(&(Verdict::Refused, 1, 0, Some("SELECT id FROM customers ORDER BY phone, ?"))), "{shown:?}");
    assert!(shown.contains(&(Verdict::Refused, 1, 0, None)), "what cannot be read has no text: {shown:?}");
    let range = "SELECT id FROM customers WHERE (phone >= <tag> AND phone < <tag+1>)";
    assert_eq!(
        shown[2..],
        [(Verdict::Relayed, 2, 0, Some("SELECT id FROM plain WHERE id = ?")), (Verdict::Rewritten, 1, 1, Some(range)),]
    );
    assert!(!serde_json::to_string(&lines).unwrap().contains("secret"));
}

#[test]
fn what_the_schema_does_not_know_stands_nowhere() {
    let table = ShadowTable::new(10);
    let pasted = [
        "SELECT id FROM customers WHERE phone = Baker7Street",
        "SELECT id FROM plain WHERE name = Baker7Street",
        "SELECT id FROM customers ORDER BY phone, `Baker7Street`",
        "SELECT name, @Baker7Street FROM customers WHERE phone = 'x'",
        "SELECT id FROM customers WHERE id = 1 OR 1 = 1 OR name = Baker7Street",
    ];
    for sql in pasted {
        note(&table, sql, Occasion::Executed);
    }
    let lines = table.lines();
    assert_eq!(lines.len(), pasted.len());
    assert!(
        lines.iter().all(|line| line.explained.text.as_ref().is_some_and(|text| text.contains("<id>"))),
        "{lines:?}"
    );
    let written = serde_json::to_string(&lines).unwrap();
    assert!(!written.contains("Baker7Street"), "{written}");
    assert!(written.contains("column <id> is unknown or ambiguous"), "{written}");
}

#[test]
fn a_full_table_goes_on_counting() {
    let table = ShadowTable::new(2);
    for sql in ["SELECT 1", "SELECT 1, 2", "SELECT 1, 2, 3", "SELECT 1"] {
        note(&table, sql, Occasion::Executed);
    }
    assert_eq!(table.totals(), ShadowTotals { relayed: 4, not_listed: 1, ..ShadowTotals::default() });
    assert_eq!(table.lines().len(), 2);
}

#[test]
fn a_line_is_read_as_it_was_written_and_long_texts_are_cut() {
    let table = ShadowTable::new(10);
    note(&table, &format!("INSERT INTO customers (phone) VALUES {}('x')", "('x'), ".repeat(5000)), Occasion::Executed);
    note(&table, "SELECT id FROM customers ORDER BY phone", Occasion::Executed);
    for line in table.lines() {
        assert!(line.explained.text.as_ref().unwrap().chars().count() <= 2001);
        let written = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<ShadowLine>(&written).unwrap(), line);
    }
}
