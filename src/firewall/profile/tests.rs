//! Shapes, distances, digests, sightings and the text form, on statements of a small shop.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{self, ProfileEntry};
use super::*;
use crate::firewall::{CatalogNames, Digest, Reading, Vocabulary, outline};
use crate::policy::Account;
use crate::schema::{Catalog, Charset, Column, ServerKind, ServerVersion, Table, TableKind, TableRef};
use crate::sql::{self, Dialect, ReservedWords, SqlMode};

const SERVER: ServerVersion = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
const DIALECT: Dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server: SERVER };

fn names() -> CatalogNames {
    let column = |name: &str| Column {
        name: name.into(),
        data_type: "int".into(),
        column_type: "int".into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let table = |name: &str, columns: &[&str]| Table {
        name: TableRef::new("shop", name),
        kind: TableKind::Base,
        columns: columns.iter().map(|name| column(name)).collect(),
        definition: Some("".into()),
    };
    let tables = vec![
        table("orders", &["id", "customer", "remark", "total", "state"]),
        table("users", &["id", "name", "password", "role"]),
    ];
    CatalogNames::collect(&Catalog::new(1, SERVER, 0, std::collections::HashSet::new(), tables, Vec::new()))
}

fn digest(text: &str) -> Digest {
    let mut tokens = Vec::new();
    sql::lex(text.as_bytes(), &DIALECT, &mut tokens).unwrap();
    Digest::of(text.as_bytes(), &tokens)
}

fn shape(text: &str) -> Option<Shape> {
    let mut tokens = Vec::new();
    sql::lex(text.as_bytes(), &DIALECT, &mut tokens).unwrap();
    let reserved = ReservedWords::Default(ServerKind::MySql);
    let statement = sql::parse(text.as_bytes(), &tokens, &DIALECT, &reserved).ok();
    let class = sql::statement_class(text.as_bytes(), &tokens);
    Shape::of(&Reading::new(text.as_bytes(), &tokens, class, statement.as_ref()), &names())
}

fn shown(text: &str) -> String {
    let mut tokens = Vec::new();
    sql::lex(text.as_bytes(), &DIALECT, &mut tokens).unwrap();
    let vocabulary = Vocabulary { names: &names(), reserved: &ReservedWords::Default(ServerKind::MySql) };
    outline(text.as_bytes(), &tokens, vocabulary, TEXT_OCTETS)
}

fn profile(known: &[&str]) -> Profile {
    Profile::new(Growth::Frozen, known.iter().map(|text| (digest(text), shape(text))))
}

fn points(known: &[&str], unknown: &str) -> u32 {
    match profile(known).novelty(digest(unknown), || shape(unknown)) {
        Novelty::Known => panic!("{unknown} is known"),
        Novelty::Unknown(points) => points,
    }
}

#[test]
fn what_an_injection_adds_is_far() {
    let known = ["SELECT id, remark FROM orders WHERE id = 1", "SELECT id FROM orders WHERE remark LIKE 'x' LIMIT 5"];
    for unknown in [
        "SELECT id, remark FROM orders WHERE id = 2 - 1",
        "SELECT id, remark FROM orders WHERE id = id",
        "SELECT id, remark FROM orders WHERE id = (1)-(0)",
        "SELECT id, remark FROM orders WHERE id = ABS(1)",
        "SELECT id, remark FROM orders WHERE id = (SELECT id FROM orders LIMIT 1)",
        "SELECT id, remark FROM orders WHERE id = 1 OR customer = 2",
        "SELECT id, remark FROM orders WHERE id = 1 OR id > 0",
        "SELECT id, remark FROM orders WHERE id = 1 XOR remark",
        "SELECT id, remark FROM orders WHERE id = 1 UNION SELECT id, remark FROM orders",
        "SELECT id, remark FROM orders WHERE id = 1 UNION SELECT name, password FROM users",
        "SELECT id, remark FROM orders, users WHERE id = 1 AND name = 'x'",
        "SELECT id, password FROM orders, users WHERE id = 1",
        "SELECT id, remark FROM orders a, users, orders b WHERE id = 1",
        "SELECT id FROM orders WHERE remark LIKE 'x' AND id = 1 AND state = 2 LIMIT 5",
        "SELECT id, remark FROM orders WHERE id = 1 AND EXISTS (SELECT * FROM users)",
        "SELECT id, remark FROM orders WHERE id = @id",
        "SELECT id, remark FROM orders WHERE id = @@version",
        "SELECT id, remark FROM orders WHERE id = CASE WHEN remark LIKE 'a%' THEN 1 ELSE 2 END",
        "SELECT id, remark FROM orders WHERE id = 1 AND total > 1 AND state LIKE 'a%' AND customer > 3",
        "SELECT id, remark FROM orders WHERE id = 1 -- ",
        "SELECT id, remark FROM orders WHERE id = 1 # x",
        "SELECT id, remark FROM orders WHERE id = 1/**/",
        "DELETE FROM orders WHERE id = 1",
        "SELECT id FROM orders WHERE remark LIKE 'x' LIMIT 5 PROCEDURE ANALYSE()",
        "SHOW TABLES",
    ] {
        assert_eq!(points(&known, unknown), FAR, "{unknown}");
    }
}

#[test]
fn what_an_application_varies_is_near() {
    let known = [
        "SELECT id, remark FROM orders WHERE id IN (1, 2) AND state = 1 ORDER BY id LIMIT 10",
        "UPDATE users SET name = 'x', role = 'y' WHERE id = 1",
        "INSERT INTO orders (id, remark) VALUES (1, 'x')",
        "SELECT COUNT(*) FROM users WHERE name = 'x' AND role = 'y'",
    ];
    for unknown in [
        "SELECT id FROM orders WHERE state = 1",
        "SELECT remark FROM orders WHERE id IN (3) AND state = 'x' LIMIT 10, 20",
        "SELECT id, total FROM orders WHERE id IN (1) ORDER BY id DESC",
        "SELECT id FROM orders WHERE state = 1 AND customer = 3 AND id IN (4)",
        "UPDATE users SET role = 'y' WHERE id = 1",
        "INSERT INTO orders (remark, id) VALUES (NULL, 2)",
        "SELECT COUNT(*) FROM users WHERE name LIKE 'x'",
        "SELECT id FROM users WHERE id = 1",
    ] {
        assert!(points(&known, unknown) < FAR, "{unknown}: {}", points(&known, unknown));
    }
    assert_eq!(points(&known, "UPDATE users SET password = 'x' WHERE id = 1"), FAR, "another column is given a value");
    assert_eq!(points(&known, "INSERT INTO orders (id, remark) VALUES (1, 'x'), (2, 'y')"), FAR, "another row");
}

#[test]
fn the_nearest_known_statement_counts() {
    let unknown = "SELECT id FROM users WHERE id = 1 OR name = 'x'";
    assert_eq!(points(&["SELECT id FROM orders WHERE id = 1"], unknown), FAR);
    let known = ["SELECT id FROM orders WHERE id = 1", "SELECT id FROM users WHERE id = 1 OR role = 'x'"];
    assert_eq!(points(&known, unknown), 3, "one column is new");
    assert_eq!(points(&[], unknown), FAR, "nothing is known");
}

#[test]
fn a_list_has_one_digest_whatever_its_length_and_another_if_it_has_one_element() {
    let same = |one: &str, other: &str| digest(one) == digest(other);
    assert!(same("SELECT id FROM orders WHERE id IN (1, 2)", "SELECT id FROM orders WHERE id IN (1,2,3, 4);"));
    assert!(!same("SELECT id FROM orders WHERE id IN (1)", "SELECT id FROM orders WHERE id IN (1, 2)"));
    assert!(!same("SELECT id FROM orders WHERE id IN (1, 2)", "SELECT id FROM orders WHERE id IN (1, 2, '3')"));
    let rows = |count: usize| format!("INSERT INTO orders (id, remark) VALUES {}", vec!["(1, 'x')"; count].join(","));
    assert!(same(&rows(2), &rows(3)) && same(&rows(2), &rows(1000)));
    assert!(!same(&rows(1), &rows(2)), "one more row is another structure");
    assert!(!same(&rows(3), &rows(3).replacen("'x'", "NULL", 1)));
    assert!(!same("SELECT 1, 2", "SELECT 1, 2, 3"), "columns of a result are no list");
    assert!(!same("SELECT id FROM orders WHERE id IN (1, 2)", "SELECT id FROM orders WHERE id IN (1, 2/**/, 3)"));
    assert!(!same("SELECT id FROM orders WHERE id IN (id, 2)", "SELECT id FROM orders WHERE id IN (id, id, 2)"));
}

#[test]
fn a_shape_is_what_its_text_says() {
    let found = shape("SELECT COUNT(*), remark FROM shop.orders WHERE id = 1 AND id < 3 AND state LIKE 'a' LIMIT 3");
    let found = found.unwrap();
    assert_eq!(
        found.to_string(),
        "SELECT table:shop.orders function:COUNT and*2 column:id*2 column:remark column:state predicate:< \
         predicate:LIKE clause:LIMIT"
    );
    assert_eq!(Shape::parse(&found.to_string()), Some(found));
    for wrong in ["", "-", "SELECT nothing:x", "SELECT and*x", "SELECT column:%zz", "SELECT column:%f"] {
        assert_eq!(Shape::parse(wrong), None, "{wrong}");
    }
    assert_eq!(shape("SET NAMES utf8mb4"), None);
}

#[test]
fn names_that_the_schema_does_not_know_are_not_kept() {
    let sql =
        "SELECT remark AS zqAlias, 'zqValue', 0x7a71, 17 FROM orders zqTable WHERE zqTable.zqColumn = @zqVariable";
    assert_eq!(shown(sql), "SELECT remark AS <id>, ?, ?, ? FROM orders <id> WHERE <id>.<id> = @<id>");
    let kept = shape(sql).unwrap().to_string();
    assert!(!kept.to_lowercase().contains("zq"), "{kept}");
    assert!(kept.contains("table:orders"), "{kept}");
    let system = shape("SELECT table_name FROM information_schema.tables").unwrap().to_string();
    assert!(system.contains("table:information_schema.tables"), "{system}");
    assert_eq!(shown("SELECT id -- secret\nFROM `orders` /* secret */ LIMIT 1"), "SELECT id FROM orders LIMIT ?");
    let long = format!("SELECT id FROM orders WHERE {}", vec!["id = 1"; 500].join(" AND "));
    assert!(shown(&long).ends_with(" ...") && shown(&long).chars().count() <= TEXT_CHARS_MAX);
}

#[test]
fn sightings_are_counted_until_they_are_stored_and_bounded() {
    let sightings = Sightings::default();
    let place = Place { account: "app@%".into(), database: "shop".into() };
    let see = |number: u8| sightings.of(&place, Digest([number; 32]), || (None, "text".to_owned()));
    let first = see(1).unwrap();
    first.count();
    first.count();
    see(1).unwrap().count();
    assert_eq!(first.pending(), 3);
    drop(see(2));
    let pending = sightings.pending();
    assert_eq!(pending.len(), 1, "what nobody used is let go");
    pending[0].settled(2);
    assert_eq!(first.pending(), 1);
    first.settled(1);
    assert!(sightings.pending().is_empty());
    for number in 0..30_000_u32 {
        let mut digest = [9; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        drop(sightings.of(&place, Digest(digest), || (None, String::new())));
    }
    assert!(sightings.passed_over() > 0);
    assert!(see(1).is_some(), "what is there already is still counted");
}

#[test]
fn stamps_change_with_the_content_alone() {
    let account = Account { user: "app".into(), host: "%".into() };
    let place = Place { account: "app@%".into(), database: "shop".into() };
    let stored = |known: &[&str]| HashMap::from([(place.clone(), Arc::new(profile(known)))]);
    let exceptions =
        |texts: &[&str]| HashMap::from([("app@%".into(), texts.iter().map(|text| digest(text)).collect())]);
    let stamp = |profiles: &Profiles| {
        let found = profiles.of(&account, Some("shop"));
        (found.profile.map(|found| found.stamp), found.exceptions.map(|found| found.stamp))
    };
    let none = Profiles::default();
    assert_eq!((stamp(&none), none.loaded()), ((None, None), Loaded::No));
    let first = none.next(stored(&["SELECT 1"]), exceptions(&["SELECT 2"]));
    let same = first.next(stored(&["SELECT 1"]), exceptions(&["SELECT 2"]));
    assert_eq!(stamp(&first), stamp(&same));
    assert!(same.same_as(&first) && !first.same_as(&none));
    let grown = same.next(stored(&["SELECT 1", "SELECT 1, 2"]), exceptions(&["SELECT 2"]));
    assert_ne!(stamp(&grown).0, stamp(&same).0);
    assert_eq!((stamp(&grown).1, grown.version()), (stamp(&same).1, same.version()), "nothing is refused anew");
    let shrunk = grown.next(stored(&["SELECT 1"]), exceptions(&["SELECT 2"]));
    assert!(shrunk.version() > grown.version());
    let without = shrunk.next(stored(&["SELECT 1"]), HashMap::new());
    assert!(without.version() > shrunk.version());
    let other = Account { user: "other".into(), host: "%".into() };
    assert!(shrunk.of(&other, Some("shop")).profile.is_none());
    assert!(shrunk.of(&account, None).profile.is_none(), "another database");
    assert!(shrunk.of(&account, None).allows(digest("SELECT 2")), "exceptions hold in every database");
    assert!(!shrunk.of(&other, None).allows(digest("SELECT 2")));
}

#[test]
fn profiles_survive_the_way_through_a_text() {
    let entry = |account: &str, database: &str, sql: &str| ProfileEntry {
        place: Place { account: account.into(), database: database.into() },
        digest: digest(sql),
        text: shown(sql),
        shape: shape(sql),
        first_seen: "2026-03-04T05:06:07Z".to_owned(),
        seen: 17,
    };
    let entries = [
        entry("app@%", "shop", "SELECT id FROM orders WHERE id = 1"),
        entry("strange name@x@10.0.0.%", "", "SET NAMES utf8mb4"),
    ];
    let text = entry::write(&entries);
    assert_eq!(entry::read(&text).unwrap(), entries);
    let remarked = text.replace("\n\n", "\n\n# checked by ana\n");
    assert_eq!(entry::read(&remarked).unwrap(), entries);
}

#[test]
fn bad_lines_are_named_with_their_number() {
    let good = "account app@%\ndatabase shop\nseen 1\nfirst-seen 2026-03-04T05:06:07Z\nshape -\ntext SELECT ?\n";
    let digest = format!("digest {}\n", "ab".repeat(32));
    let file = |block: &str| format!("candado firewall profiles 1\n\n{block}");
    assert_eq!(entry::read(&file(&format!("{good}{digest}"))).unwrap().len(), 1);
    let lines = |text: &str| -> Vec<usize> { entry::read(text).unwrap_err().iter().map(|bad| bad.line).collect() };
    assert_eq!(lines(""), [1]);
    assert_eq!(lines("something else\n"), [1]);
    assert_eq!(lines(&file(good)), [3], "no digest: the block's first line");
    assert_eq!(lines(&file(&format!("{good}digest 12\n"))), [9]);
    assert_eq!(lines(&file(&format!("{good}{digest}{digest}"))), [10], "said twice");
    for (right, wrong) in [
        ("app@%", "app"),
        ("seen 1", "seen many"),
        ("2026-03-04T", "2026-03-04 "),
        ("shape -", "shape SELECT what:x"),
        ("text SELECT ?", "text"),
        ("database shop", "base shop"),
    ] {
        let bad = entry::read(&file(&format!("{}{digest}", good.replacen(right, wrong, 1)))).unwrap_err();
        assert_eq!(bad.len(), 1, "{wrong}: {bad:?}");
        assert!((3..9).contains(&bad[0].line), "{wrong}: {bad:?}");
    }
}
