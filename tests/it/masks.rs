//! Roles that see masks or envelopes: what they are shown, and that no statement tells them more.

mod attempts;
mod conflicts;
mod diagnostics;
mod new_views;
mod page;
mod temporary;

use mysql_async::Conn;

use self::attempts::{ATTEMPTS, End, SEARCHES};
use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, assert_in_step, policy, prepared, refused, text};

on_each_server!(
    a_masked_role_sees_masks_in_both_protocols,
    a_role_of_ciphertext_sees_envelopes_that_are_never_alike,
    what_a_role_sees_reaches_it_through_views_and_nested_queries,
    a_masked_value_cannot_be_written_back,
    no_attempt_tells_more_than_the_mask,
    a_grant_to_search_opens_no_attempt_but_searches,
    field_lists_and_explanations_show_no_more,
    the_page_says_what_each_role_gets,
    a_cursor_shows_masks,
    the_error_of_a_key_shows_no_value,
    diagnostics_show_no_envelope,
    diagnostics_are_refused_where_they_were_prepared_before,
    no_write_asks_a_unique_key_for_a_value,
    how_many_values_there_are_is_told_to_nobody_else,
    a_view_made_behind_the_proxys_back_is_read_first,
    a_view_replaced_behind_the_proxys_back_shows_no_envelope,
    a_temporary_table_in_the_place_of_another_shows_no_envelope,
);

/// Two customers who look alike to a masked role.
const ONE: [&str; 5] = ["+81 90-1234-5678", "anna@example.org", "KX-1111-77", "Chuo 1-2-3, Tokyo", "likes tea"];
const OTHER: [&str; 5] = ["+81 90-8765-4378", "aida@example.org", "KY-2222-77", "Minato 4-5-6, Tokyo", "has a cat"];
const MASKED: [Option<&str>; 5] =
    [Some("+81****78"), Some("a****@example.org"), Some("****77"), Some("****, Tokyo"), None];

/// The engineer is masked, support sees envelopes, nobody is denied.
fn masking(database: &str) -> String {
    let mut text = policy(database);
    for (from, to) in [
        ("type = \"varchar(40)\"\n", "mask = \"phone\"\n"),
        ("type = \"varchar(190)\"\n", "mask = \"email\"\n"),
        ("type = \"varchar(30)\"\n", "mask = { kind = \"last\", shown = 2 }\n"),
        ("type = \"varchar(255)\"\n", "mask = { kind = \"address\", keep = \"city\" }\n"),
        ("type = \"text\"\n", "mask = \"null\"\n"),
    ] {
        assert!(text.contains(from));
        text = text.replace(from, &format!("{from}{to}"));
    }
    let (head, tail) = text.split_once("[role.engineer]").unwrap();
    let (_, tail) = tail.split_once("[[account]]").unwrap();
    let roles = "[role.engineer]\naccess = \"masked\"\n[role.support]\naccess = \"ciphertext\"\n";
    // The firewall would refuse some attempts before the role is asked.
    let tail = tail.replace("role = \"engineer\"\n", "role = \"engineer\"\nfirewall = \"off\"\n");
    let tail = tail.replace("role = \"support\"\n", "role = \"support\"\nfirewall = \"off\"\n");
    format!("{head}{roles}[[account]]{tail}[unlisted]\nfirewall = \"off\"\n")
}

fn open(kind: Kind) -> Shop<'static> {
    Shop::open_as(Deployment::shared(kind), masking)
}

async fn store(conn: &mut Conn, values: [&str; 5]) {
    let [phone, email, code, address, note] = values;
    let sql = "REPLACE INTO customers (id, name, phone, email, code, address, note) VALUES (1, 'Ana', ?, ?, ?, ?, ?)";
    let answer = prepared(conn, sql, (phone, email, code, address, note)).await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
}

fn owned(cells: [Option<&str>; 5]) -> Vec<Vec<Option<String>>> {
    vec![cells.map(|cell| cell.map(str::to_owned)).to_vec()]
}

const ALL: &str = "SELECT phone, email, code, address, note FROM customers";

async fn a_masked_role_sees_masks_in_both_protocols(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    for values in [ONE, OTHER] {
        store(&mut application, values).await;
        shop.assert_sealed();
        assert_eq!(text(&mut engineer, ALL).await.cells(), owned(MASKED));
        assert_eq!(prepared(&mut engineer, ALL, ()).await.cells(), owned(MASKED));
        assert_eq!(text(&mut application, ALL).await.cells(), owned(values.map(Some)));
    }
    // NULL stays NULL, and other columns are what they are.
    text(&mut application, "INSERT INTO customers (id, name, phone) VALUES (2, 'Ben', NULL)").await;
    let sql = "SELECT id, name, phone, note, id FROM customers WHERE name = 'Ben'";
    let expected = [["2", "Ben", "", "", "2"].map(|cell| Some(cell.to_owned()).filter(|cell| !cell.is_empty()))];
    assert_eq!(text(&mut engineer, sql).await.cells(), expected);
    assert_eq!(prepared(&mut engineer, sql, ()).await.cells(), expected);
    // The definition is that of the logical column, as for everybody.
    let shapes = |answer: Answer| match answer {
        Answer::Rows { columns, .. } => columns,
        other => panic!("{other:?}"),
    };
    let sql = "SELECT phone, email, code, address FROM customers";
    assert_eq!(shapes(text(&mut engineer, sql).await), shapes(text(&mut application, sql).await));
}

async fn a_role_of_ciphertext_sees_envelopes_that_are_never_alike(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    text(&mut application, "INSERT INTO customers (id, phone) VALUES (2, '+81 90-1234-5678'), (3, NULL)").await;
    let mut support = shop.connect(Who::Support).await;
    let sql = "SELECT phone FROM customers ORDER BY id";
    for answer in [text(&mut support, sql).await, prepared(&mut support, sql, ()).await] {
        let Answer::Rows { rows, .. } = answer else { panic!("{answer:?}") };
        let bytes: Vec<Option<Vec<u8>>> = rows
            .into_iter()
            .flatten()
            .map(|value| match value {
                mysql_async::Value::NULL => None,
                mysql_async::Value::Bytes(bytes) => Some(bytes),
                other => panic!("{other:?}"),
            })
            .collect();
        let [Some(one), Some(two), None] = bytes.as_slice() else { panic!("{bytes:?}") };
        let stored: Vec<u8> = (0..one.len())
            .map(|at| u8::from_str_radix(&shop.stored("phone", 1)[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert_eq!((&one[..7], &one[23..]), (&stored[..7], &stored[23..]), "the rest is what is stored");
        assert_ne!(one[7..23], stored[7..23], "the blind index is not shown");
        assert_ne!(one[7..23], two[7..23], "equal values do not show");
    }
    // What is shown is of no use in a look-up.
    refused(&mut support, "SELECT id FROM customers WHERE phone >= x'C1FE1D01'", 1143, "42000").await;
}

async fn what_a_role_sees_reaches_it_through_views_and_nested_queries(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        deployment.server.sql(&format!(
            "CREATE VIEW {database}.shown AS SELECT id, phone AS p FROM {database}.customers WHERE id > 0; \
             CREATE VIEW {database}.chosen AS SELECT id, phone AS p FROM {database}.customers WHERE phone IS NOT NULL; \
             GRANT SELECT ON {database}.shown TO candado_proxy; GRANT SELECT ON {database}.chosen TO candado_proxy"
        ));
        masking(database)
    });
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let expected = [[Some("+81****78".to_owned())]];
    for sql in [
        "SELECT p FROM shown",
        "SELECT d.p FROM (SELECT phone AS p FROM customers) d",
        "WITH c AS (SELECT phone AS p FROM customers) SELECT p FROM c",
        "SELECT phone FROM customers WHERE id = 1 UNION ALL SELECT phone FROM customers WHERE id = 2",
        "SELECT c.phone FROM customers c LEFT JOIN orders o ON o.customer = c.id ORDER BY c.id LIMIT 1",
    ] {
        assert_eq!(text(&mut engineer, sql).await.cells(), expected, "{sql}");
        assert_eq!(prepared(&mut engineer, sql, ()).await.cells(), expected, "{sql}");
    }
    for sql in ["SELECT p FROM chosen", "SELECT id FROM chosen", "SELECT id FROM shown WHERE p = 'x'"] {
        refused(&mut engineer, sql, 1143, "42000").await;
    }
}

async fn a_cursor_shows_masks(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let login = Login { user: &shop.account(Who::Engineer), password: SECRET, ..Login::default() };
    let mut raw = Raw::open(shop.proxy.port, &login);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    let (id, packets) = raw.prepare("SELECT note, phone FROM customers");
    assert_eq!(error_code(&packets), 0);
    assert_eq!(error_code(&raw.statement(0x17, id, b"\x01\x01\0\0\0")), 0);
    let fetched = raw.statement(0x1c, id, &5_u32.to_le_bytes());
    // The NULL bitmap begins with two bits of no meaning: the first column is NULL.
    assert_eq!(fetched[0].1.as_slice(), b"\0\x04\x09+81****78");
}

async fn the_error_of_a_key_shows_no_value(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        deployment.server.sql(&format!("ALTER TABLE {database}.customers ADD UNIQUE KEY one_name (code(23), name)"));
        masking(database)
    });
    let mut application = shop.connect(Who::Application).await;
    let sql = "INSERT INTO customers (id, name, code) VALUES (1, 'Ana', 'KX-1111-77'), (2, 'Ben', 'KX-1111-77')";
    assert!(matches!(text(&mut application, sql).await, Answer::Done { .. }));
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        for answer in [
            text(&mut conn, "UPDATE customers SET name = 'Ana' WHERE id = 2").await,
            prepared(&mut conn, "UPDATE customers SET name = ? WHERE id = 2", ("Ana",)).await,
        ] {
            let Answer::Refused { code: 1062, text: said, .. } = &answer else { panic!("{answer:?}") };
            assert!(said.starts_with("Duplicate entry '<protected>' for key ") && !said.contains("xC1"), "{said}");
        }
    }
}

async fn diagnostics_are_refused_where_they_were_prepared_before(kind: Kind) {
    diagnostics::are_refused_where_they_were_prepared_before(kind).await;
}

async fn diagnostics_show_no_envelope(kind: Kind) {
    diagnostics::show_no_envelope(kind).await;
}

async fn no_write_asks_a_unique_key_for_a_value(kind: Kind) {
    conflicts::answer_nothing(kind).await;
}

async fn how_many_values_there_are_is_told_to_nobody_else(kind: Kind) {
    conflicts::are_counted_for_nobody_else(kind).await;
}

async fn a_view_made_behind_the_proxys_back_is_read_first(kind: Kind) {
    new_views::are_read_before_they_are_shown(kind).await;
}

async fn a_view_replaced_behind_the_proxys_back_shows_no_envelope(kind: Kind) {
    new_views::are_noticed_when_they_are_replaced(kind).await;
}

async fn a_temporary_table_in_the_place_of_another_shows_no_envelope(kind: Kind) {
    temporary::tables_lead_nowhere(kind).await;
}

async fn the_page_says_what_each_role_gets(kind: Kind) {
    page::is_what_happens(kind).await;
}

async fn a_masked_value_cannot_be_written_back(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let before = shop.stored("phone", 1);
    let mut engineer = shop.connect(Who::Engineer).await;
    // What an ORM does that writes back all that it has read.
    let sql = "UPDATE customers SET name = ?, phone = ? WHERE id = ?";
    let answer = prepared(&mut engineer, sql, ("Bea", "+81****78", 1)).await;
    assert_eq!(answer.error(), (1143, "42000"), "{answer:?}");
    let Answer::Refused { text: said, .. } = &answer else { panic!("{answer:?}") };
    assert!(said.contains("UPDATE command denied to user") && said.contains("column 'phone'"), "{said}");
    // The columns that are not protected it may write.
    let answer = prepared(&mut engineer, "UPDATE customers SET name = ? WHERE id = ?", ("Bea", 1)).await;
    assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{answer:?}");
    assert_eq!(shop.stored("phone", 1), before);
    let rows = text(&mut application, "SELECT name, phone FROM customers").await.cells();
    assert_eq!(rows, [["Bea", ONE[0]].map(|cell| Some(cell.to_owned()))]);
}

/// Each attempt that is not denied is made twice, with other values in the row that are masked alike: if the role is told
/// anything of them, the answers differ, or one of them holds a piece of the value.
async fn no_attempt_tells_more_than_the_mask(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    let mut tried = 0;
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let mut answers: Vec<Vec<String>> = Vec::new();
        for values in [ONE, OTHER] {
            store(&mut application, values).await;
            text(&mut application, "DELETE FROM orders").await;
            let mut conn = shop.connect(who).await;
            let mut told = Vec::new();
            for attempt in ATTEMPTS.iter().filter(|attempt| attempt.server.is_none_or(|only| only == kind)) {
                // What was denied is denied before the server hears of it.
                if attempt.end == End::Denied && !answers.is_empty() {
                    continue;
                }
                for (column, guess) in [("phone", ONE[0]), ("address", ONE[3])] {
                    // A second column, without an index, is tried by one role.
                    if column == "address" && who != Who::Engineer {
                        continue;
                    }
                    let sql = attempt.sql.replace("{c}", column).replace("{v}", guess);
                    for protocol in ["text", "prepared"] {
                        let answer = match protocol {
                            "text" => text(&mut conn, &sql).await,
                            _ => prepared(&mut conn, &sql, ()).await,
                        };
                        judge(who, attempt.end, protocol, &sql, &answer);
                        if attempt.end != End::Denied {
                            told.push(format!("{protocol} {sql}: {}", told_by(&answer)));
                        }
                        tried += 1;
                    }
                }
            }
            assert_in_step(&mut conn, "all attempts").await;
            answers.push(told);
        }
        let [one, other] = answers.as_slice() else { panic!("two rounds") };
        assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(other) {
            assert_eq!(one, other, "{who:?} can tell the values apart");
        }
    }
    assert!(ATTEMPTS.len() >= 180 && tried > 1500, "{} attempts, {tried} tried", ATTEMPTS.len());
}

/// With a grant for `phone`, searches by it are no attempts any more. All others stay what they were.
async fn a_grant_to_search_opens_no_attempt_but_searches(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), |database| {
        let granted = format!("search = {{ columns = [\"{database}.customers.phone\"], per_minute = 100000 }}\n");
        let text = masking(database);
        ["masked", "ciphertext"].iter().fold(text, |text, access| {
            let line = format!("access = \"{access}\"\n");
            text.replace(&line, &format!("{line}{granted}"))
        })
    });
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let mut searches = 0;
    for who in [Who::Engineer, Who::Support] {
        let mut conn = shop.connect(who).await;
        let attempts = ATTEMPTS.iter().filter(|attempt| attempt.server.is_none_or(|only| only == kind));
        for attempt in attempts.filter(|attempt| attempt.end == End::Denied) {
            for (column, guess) in [("phone", ONE[0]), ("address", ONE[3])] {
                let sql = attempt.sql.replace("{c}", column).replace("{v}", guess);
                let answer = text(&mut conn, &sql).await;
                if column == "phone" && SEARCHES.contains(&attempt.sql) {
                    assert!(matches!(answer, Answer::Rows { .. } | Answer::Done { .. }), "{sql}: {answer:?}");
                    searches += 1;
                } else {
                    judge(who, End::Denied, "text", &sql, &answer);
                }
            }
        }
        assert_in_step(&mut conn, "all attempts").await;
    }
    assert_eq!(searches, 2 * SEARCHES.len());
}

fn judge(who: Who, end: End, protocol: &str, sql: &str, answer: &Answer) {
    let told = format!("{answer:?}");
    let upper = told.to_uppercase();
    // The guess may be in the server's or Candado's words only as the client's own; what is stored may not.
    for secret in ONE.iter().chain(&OTHER).filter(|secret| !sql.contains(**secret)) {
        let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        for form in [(*secret).to_owned(), bytes.join(", "), hex] {
            assert!(!upper.contains(&form.to_uppercase()), "{who:?} {protocol} {sql}\n{told}");
        }
    }
    match (answer, end) {
        (Answer::Refused { code, .. }, End::Denied) => assert_eq!(*code, 1143, "{who:?} {protocol} {sql}\n{told}"),
        // Not because it is wrong: 1064, 1054, 1146 and the like would try nothing.
        (Answer::Refused { code, .. }, End::Refused) => {
            assert!(![1064, 1054, 1146, 1305].contains(code), "{who:?} {protocol} {sql}\n{told}");
        }
        (Answer::Refused { .. } | Answer::Rows { .. } | Answer::Done { .. }, End::Harmless) => {}
        (Answer::Rows { .. } | Answer::Done { .. } | Answer::Lost, _) => {
            panic!("{who:?} {protocol} {sql}\n{told}")
        }
    }
}

/// An answer without what differs from one time to the next: references in errors, random bytes, generated numbers.
fn told_by(answer: &Answer) -> String {
    match answer {
        Answer::Rows { .. } => {
            let rows = answer.cells().into_iter().map(|row| {
                row.into_iter()
                    .map(|cell| match cell {
                        Some(cell) if cell.starts_with("[c1, fe, 1d, 01") => format!("an envelope of {}", cell.len()),
                        cell => format!("{cell:?}"),
                    })
                    .collect::<Vec<_>>()
            });
            format!("{:?}", rows.collect::<Vec<_>>())
        }
        Answer::Done { affected, .. } => format!("{affected} rows"),
        Answer::Refused { code, text, .. } => {
            format!("{code} {}", text.split(" (ref ").next().unwrap_or_default())
        }
        Answer::Lost => "lost".to_owned(),
    }
}

async fn field_lists_and_explanations_show_no_more(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let mut engineer = shop.connect(Who::Engineer).await;
    let explained = text(&mut engineer, "EXPLAIN CANDADO SELECT phone FROM customers").await.cells();
    let expected = format!("{}.customers.phone", shop.database);
    assert!(explained.iter().any(|row| row.iter().flatten().any(|cell| cell == "masks")), "{explained:?}");
    assert!(explained.iter().any(|row| row.iter().flatten().any(|cell| *cell == expected)), "{explained:?}");
    let explained = text(&mut engineer, "EXPLAIN CANDADO SELECT id FROM customers WHERE phone = 'x'").await.cells();
    assert!(explained.iter().any(|row| row.iter().flatten().any(|cell| cell == "1143 (42000)")), "{explained:?}");
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let login = Login { user: &shop.account(who), password: SECRET, ..Login::default() };
        let mut raw = Raw::open(shop.proxy.port, &login);
        assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
        let packets = raw.command(b"\x04customers\0%");
        assert_eq!(error_code(&packets), 0);
        let all: Vec<u8> = packets.into_iter().flat_map(|(_, payload)| payload).collect();
        assert!(memchr::memmem::find(&all, b"5678").is_none());
    }
}
