//! From a statement to what the server gets: admitted by the real planner, rewritten with real keys.

mod predicate;
mod stages;

use data_encoding::HEXUPPER;
use expect_test::{Expect, expect};

use super::fixture::{Fixture, Lexed, NOTES, PHONE, dialect};
use super::*;
use crate::crypto::is_envelope;
use crate::plan::{Admitted, Inspection, Lookup, PlanCache, Scratch, inspect};
use crate::policy::{Account, FirewallMode, RoleId};
use crate::sql::TokenKind;

fn admit<'a>(
    fixture: &'a Fixture,
    sql: &'a str,
    scratch: &'a mut Scratch,
    cache: &'a PlanCache,
    account: &'a Account,
) -> Admitted<'a> {
    let cx = Inspection {
        lookup: Lookup::Again,
        dialect: dialect(),
        default_database: Some("shop"),
        catalog: &fixture.catalog,
        policy: &fixture.policy,
        role: RoleId(0),
        account,
        firewall: FirewallMode::Block,
        profile: None,
        cache,
        scratch,
    };
    inspect(sql.as_bytes(), cx).unwrap()
}

/// Rewrites a statement; hexadecimal literals are shown as the value that they seal or look up.
fn rewritten(fixture: &Fixture, sql: &str, looked_up: &[&str]) -> (String, Option<ParamMap>) {
    let cache = PlanCache::new(16, 1 << 16);
    let account = Account { user: "app".into(), host: "%".into() };
    let mut scratch = Scratch::default();
    let admitted = admit(fixture, sql, &mut scratch, &cache, &account);
    let mut out = Vec::new();
    let out = match statement(&admitted, &fixture.cx(), &mut out).unwrap() {
        Rewritten::Unchanged => sql.as_bytes().to_vec(),
        Rewritten::Replaced => out,
    };
    let mut shown = String::new();
    let mut copied = 0;
    for token in Lexed::new(&out, &dialect()).tokens.iter().filter(|token| token.kind == TokenKind::Hex) {
        let (start, end) = (token.start as usize, token.end as usize);
        shown.push_str(str::from_utf8(&out[copied..start]).unwrap());
        let digits = out[start..end].strip_prefix(b"x'").unwrap().strip_suffix(b"'").unwrap();
        let bytes = HEXUPPER.decode(digits).unwrap();
        let bound = looked_up.iter().find_map(|value| {
            let (low, high) = fixture.ranges(PHONE, value.as_bytes()).remove(0);
            let side = if bytes == low { "low" } else { "high" };
            (bytes == low || bytes == high).then(|| format!("{side}({value})"))
        });
        shown.push_str(&bound.unwrap_or_else(|| {
            assert!(is_envelope(&bytes));
            let column = if fixture.opens(PHONE, &bytes) { PHONE } else { NOTES };
            format!("sealed({})", String::from_utf8(fixture.opened(column, &bytes)).unwrap())
        }));
        copied = end;
    }
    shown.push_str(str::from_utf8(&out[copied..]).unwrap());
    let map = ParamMap::of(admitted.plan(), &fixture.cx()).unwrap();
    let marks = Lexed::new(&out, &dialect()).tokens.iter().filter(|token| token.kind == TokenKind::Param).count();
    if let Some(map) = &map {
        assert_eq!(map.server_params(), marks, "{shown}");
    }
    (shown, map)
}

fn check(sql: &str, looked_up: &[&str], expected: &Expect) {
    expected.assert_eq(&rewritten(&Fixture::new(), sql, looked_up).0);
}

#[test]
fn values_are_sealed_where_they_are_written() {
    check(
        "INSERT INTO customers (id, phone, notes) VALUES (1, '090', NULL), (2, N'a' 'b', 'é')",
        &[],
        &expect!["INSERT INTO customers (id, phone, notes) VALUES (1, sealed(090), NULL), (2, sealed(ab), sealed(é))"],
    );
    check(
        "REPLACE INTO customers SET phone='1', id = 2",
        &[],
        &expect!["REPLACE INTO customers SET phone=sealed(1), id = 2"],
    );
    check(
        "UPDATE customers SET notes = 'n', phone = ? WHERE id = 3",
        &[],
        &expect!["UPDATE customers SET notes = sealed(n), phone = ? WHERE id = 3"],
    );
    check(
        "INSERT INTO customers (phone) VALUES (?) ON DUPLICATE KEY UPDATE phone = VALUES(phone), notes = 'x'",
        &[],
        &expect![
            "INSERT INTO customers (phone) VALUES (?) ON DUPLICATE KEY UPDATE phone = VALUES(phone), notes = sealed(x)"
        ],
    );
}

#[test]
fn lookups_become_ranges() {
    check(
        "SELECT * FROM customers WHERE phone = '090' AND id > 1",
        &["090"],
        &expect!["SELECT * FROM customers WHERE (phone >= low(090) AND phone < high(090)) AND id > 1"],
    );
    check(
        "SELECT c.phone FROM customers AS c WHERE '090' = c.phone",
        &["090"],
        &expect!["SELECT c.phone FROM customers AS c WHERE (c.phone >= low(090) AND c.phone < high(090))"],
    );
    check(
        "DELETE FROM customers WHERE phone IN ('1', '2') OR NOT phone <> '3'",
        &["1", "2", "3"],
        &expect![
            "DELETE FROM customers WHERE ((phone >= low(1) AND phone < high(1)) OR (phone >= low(2) AND phone < high(2))) OR NOT (NOT (phone >= low(3) AND phone < high(3)))"
        ],
    );
    check(
        "SELECT id FROM customers WHERE phone IS NULL",
        &[],
        &expect!["SELECT id FROM customers WHERE phone IS NULL"],
    );
    check(
        "SELECT id FROM customers WHERE phone NOT IN (?, '1', NULL) AND id = ?",
        &["1"],
        &expect![
            "SELECT id FROM customers WHERE (NOT ((phone >= ? AND phone < ?) OR (phone >= low(1) AND phone < high(1)) OR (phone = NULL))) AND id = ?"
        ],
    );
}

#[test]
fn the_plans_parameters_and_the_statements_agree() {
    for versions in 1..=2 {
        let fixture = Fixture::with_index_versions(versions);
        let sql = "UPDATE customers SET phone = ?, id = ? WHERE phone = ? AND id = ? AND phone IN (?, ?)";
        let map = rewritten(&fixture, sql, &[]).1.unwrap();
        assert_eq!(map.client_params(), 6);
        assert_eq!(map.server_params(), 3 + 3 * 2 * usize::from(versions));
    }
    assert!(rewritten(&Fixture::new(), "SELECT phone FROM customers WHERE id = ?", &[]).1.is_none());
}
