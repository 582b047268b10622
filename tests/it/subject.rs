//! Keys of single data subjects: each person's values are sealed under a key of that person's own, so that one of them can
//! be erased. Everything runs through the program: proxies, `candado keys`, the accounts of schema.sql, and a key service
//! with a principal for each of them.

use std::process::Stdio;

use mysql_async::{Conn, Value};

use crate::fakekms::{FakeKms, Role};
use crate::support::office::signing_key;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, bounded, options, prepared, refused, refused_prepared, text};

on_each_server!(
    each_person_has_a_key_of_his_own,
    what_does_not_say_whose_a_row_is_is_refused,
    an_erased_person_is_gone_everywhere_and_others_are_not,
    old_backups_open_nothing_once_the_subject_key_is_destroyed,
    nobody_is_refused_while_the_subject_key_rotates,
    one_value_is_one_persons_while_the_index_key_changes,
    a_thousand_people_are_read_and_forged_ids_are_not_looked_for_without_end,
);

const KEYSET: &str = "person";

/// A database whose customers have keys of their own, with a deployment for itself.
struct House {
    deployment: Deployment,
    service: FakeKms,
    database: String,
    policy: String,
}

impl House {
    fn build(kind: Kind) -> Self {
        let service = FakeKms::start();
        service.allow_role("AKIAPROXY", Role::Proxy);
        service.allow_role("AKIASECURITY", Role::Security);
        service.allow_role("AKIABACKFILL", Role::Backfill);
        let (endpoint, arn) = (service.endpoint(), service.create_key());
        let deployment = Deployment::own(kind, &[], Provider::AwsKms { endpoint, arn });
        let database = deployment.server.database("house");
        let guarded = |name: &str| format!("{name} CHECK ({name} IS NULL OR SUBSTRING({name}, 1, 4) = 0xC1FE1D01)");
        let phone = guarded("phone").replacen("phone", "phone VARBINARY(256)", 1);
        let card = guarded("card").replacen("card", "card VARBINARY(256)", 1);
        let note = guarded("note").replacen("note", "note MEDIUMBLOB", 1);
        // MariaDB has a type for it, MySQL has none.
        let sessions = match kind {
            Kind::MySql => String::new(),
            Kind::MariaDb => format!("CREATE TABLE sessions (owner UUID NOT NULL, {note});"),
        };
        deployment.server.sql(&format!(
            "USE `{database}`; \
             CREATE TABLE customers (no INT AUTO_INCREMENT PRIMARY KEY, customer_id INT NOT NULL, city VARCHAR(50) UNIQUE, \
             {phone}, {note}, KEY by_phone (phone(23))); \
             CREATE TABLE members (name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, {phone}); \
             CREATE TABLE tokens (owner BINARY(4) NOT NULL, {note}); \
             CREATE TABLE drawn (id INT AUTO_INCREMENT PRIMARY KEY, {note}); \
             CREATE TABLE cards (customer_id INT NOT NULL, {card}, UNIQUE KEY one (card(23))); \
             CREATE TABLE plain (customer_id INT, phone VARCHAR(50)); \
             {sessions} \
             CREATE USER {database}_eng IDENTIFIED BY '{SECRET}'; GRANT ALL ON `{database}`.* TO {database}_eng"
        ));
        let column = |name: &str, kind: &str, subject: &str, more: &str| {
            format!(
                "[[column]]\nname = \"{database}.{name}\"\nkeyset = \"{KEYSET}\"\ntype = \"{kind}\"\n\
                 subject = \"{subject}\"\n{more}\n"
            )
        };
        let indexed = "index = { normaliser = \"e164\", region = \"JP\" }";
        let sessions = match kind {
            Kind::MySql => String::new(),
            Kind::MariaDb => column("sessions.note", "text", "owner", ""),
        };
        let policy = [
            format!("keysets = [\"{KEYSET}\"]\n"),
            sessions,
            column("customers.phone", "varchar(40)", "customer_id", indexed),
            column("customers.note", "text", "customer_id", ""),
            column("members.phone", "varchar(40)", "name", indexed),
            column("cards.card", "varchar(40)", "customer_id", "index = { normaliser = \"raw\" }"),
            column("tokens.note", "text", "owner", ""),
            column("drawn.note", "text", "id", ""),
            "[role.application]\naccess = \"plain\"\n[role.engineer]\naccess = \"deny\"\n".to_owned(),
            "[[account]]\nuser = \"root\"\nrole = \"application\"\n".to_owned(),
            format!("[[account]]\nuser = \"{database}_eng\"\nrole = \"engineer\"\n"),
        ]
        .concat();
        let config = deployment.write(deployment.folder(), &policy, Tls::Off);
        deployment.init_keys(&config);
        Self { deployment, service, database, policy }
    }

    fn proxy(&self) -> Proxy {
        Proxy::start(&self.deployment, &self.policy, Tls::Off)
    }

    async fn connect(&self, proxy: &Proxy) -> Conn {
        bounded(Conn::new(options("127.0.0.1", proxy.port, &self.database).user(Some("root")))).await.unwrap()
    }

    fn sql(&self, sql: &str) -> String {
        self.deployment.server.sql(&format!("USE `{}`; {sql}", self.database))
    }

    /// The ids of the keys that seal a column, in order of the rows.
    fn kids(&self, table: &str, column: &str, order: &str) -> Vec<u32> {
        let cells = self.sql(&format!("SELECT HEX({column}) FROM {table} WHERE {column} IS NOT NULL ORDER BY {order}"));
        cells.lines().map(kid).collect()
    }

    /// A backup of the keys of data subjects.
    fn backup(&self) -> String {
        let rows = self.sql(
            "SELECT CONCAT('(', kid, ',', keyset_id, ',x''', HEX(subject), ''',', sk_kid, ',x''', HEX(wrapped), ''',''', \
             created_at, ''')') FROM candado.subject_key WHERE wrapped IS NOT NULL",
        );
        rows.lines().collect::<Vec<_>>().join(",")
    }

    fn restore(&self, backup: &str) {
        self.sql(&format!(
            "DELETE FROM candado.subject_key; \
             INSERT INTO candado.subject_key (kid, keyset_id, subject, sk_kid, wrapped, created_at) VALUES {backup}"
        ));
    }

    fn epoch(&self) -> u64 {
        self.sql("SELECT epoch FROM candado.epoch").trim().parse().unwrap()
    }

    /// Waits until a proxy works with the newest epoch.
    fn wait_for(&self, proxy: &Proxy) {
        let epoch = self.epoch();
        let opened = |event: &serde_json::Value| {
            event["message"] == "keys opened" && event["epoch"].as_u64().is_some_and(|opened| opened >= epoch)
        };
        wait_until("the proxy knows the epoch", || proxy.events().iter().any(opened));
    }
}

/// The key that an envelope names.
fn kid(cell: &str) -> u32 {
    let index_octets = usize::from_str_radix(&cell[8..10], 16).unwrap();
    let start = 16 + 2 * index_octets;
    u32::from_str_radix(&cell[start..start + 8], 16).unwrap()
}

fn rows(cells: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    cells.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect()
}

async fn done(conn: &mut Conn, sql: &str) {
    let answer = text(conn, sql).await;
    assert!(matches!(answer, Answer::Done { .. }), "{sql}\n{answer:?}");
}

async fn done_prepared(conn: &mut Conn, sql: &str, params: Vec<Value>) {
    let answer = prepared(conn, sql, params).await;
    assert!(matches!(answer, Answer::Done { .. }), "prepared {sql}\n{answer:?}");
}

async fn each_person_has_a_key_of_his_own(kind: Kind) {
    let house = House::build(kind);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    done(
        &mut conn,
        "INSERT INTO customers (customer_id, phone, note) VALUES (1, '090-1', 'one'), ('2', '090-2', 'two')",
    )
    .await;
    let insert = "INSERT INTO customers (phone, customer_id, note) VALUES (?, ?, ?)";
    done_prepared(&mut conn, insert, vec!["090-11".into(), 1.into(), "eins".into()]).await;
    done_prepared(&mut conn, insert, vec!["090-22".into(), 2.0_f64.into(), Value::NULL]).await;
    done(&mut conn, "INSERT INTO customers SET customer_id = +002, note = 'zwei'").await;
    done(&mut conn, "REPLACE INTO customers VALUES (6, -3, 'Kyoto', '090-3', NULL)").await;

    let all = rows(&[&["1", "090-1"], &["2", "090-2"], &["1", "090-11"], &["2", "090-22"], &["-3", "090-3"]]);
    let read = "SELECT customer_id, phone FROM customers WHERE phone IS NOT NULL ORDER BY no";
    assert_eq!(text(&mut conn, read).await.cells(), all);
    assert_eq!(prepared(&mut conn, read, ()).await.cells(), all);
    let found = prepared(&mut conn, "SELECT no FROM customers WHERE phone = ?", ("(090) 22",)).await;
    assert_eq!(found.cells(), rows(&[&["4"]]), "look-ups go over all people");

    let kids = house.kids("customers", "phone", "no");
    assert!(kids.iter().all(|kid| kid >> 31 == 1), "{kids:?}");
    assert_eq!((kids[0], kids[1]), (kids[2], kids[3]), "a person has one key");
    assert!(kids[0] != kids[1] && kids[1] != kids[4] && kids[0] != kids[4], "{kids:?}");
    assert_eq!(house.kids("customers", "note", "no"), [kids[0], kids[1], kids[0], kids[1]]);

    // An UPDATE that says whose the rows are.
    done(&mut conn, "UPDATE customers SET note = 'uno' WHERE no > 0 AND (1 = customer_id) AND no < 3").await;
    let update = "UPDATE customers c SET c.note = ?, c.phone = ? WHERE c.no = ? AND c.customer_id = ?";
    done_prepared(&mut conn, update, vec!["due".into(), Value::NULL, 2.into(), 2.into()]).await;
    done(&mut conn, "UPDATE customers SET note = note, phone = NULL, city = 'Nara' WHERE no = 4").await;
    let read = "SELECT note FROM customers ORDER BY no LIMIT 2";
    assert_eq!(text(&mut conn, read).await.cells(), rows(&[&["uno"], &["due"]]));
    assert_eq!(house.kids("customers", "note", "no"), [kids[0], kids[1], kids[0], kids[1]]);

    // Other kinds of people.
    done(&mut conn, "INSERT INTO members VALUES ('Ann', '090-5'), (_utf8mb4'ann ', '090-6')").await;
    done_prepared(&mut conn, "REPLACE INTO members VALUES (?, ?)", vec!["Ann".into(), "090-7".into()]).await;
    done(&mut conn, "UPDATE members SET phone = '090-8' WHERE name = 'ann'").await;
    let members = house.kids("members", "phone", "HEX(name)");
    assert_ne!(members[0], members[1], "case counts");
    let read = text(&mut conn, "SELECT phone FROM members ORDER BY HEX(name)").await;
    assert_eq!(read.cells(), rows(&[&["090-7"], &["090-8"]]));
    done(&mut conn, "INSERT INTO tokens VALUES (x'00ff0001', 'hex'), ('abcd', 'ascii')").await;
    done_prepared(&mut conn, "INSERT INTO tokens VALUES (?, ?)", vec![b"abcd".to_vec().into(), "bytes".into()]).await;
    let tokens = house.kids("tokens", "note", "note IS NULL, owner");
    assert_eq!((tokens.len(), tokens[1]), (3, tokens[2]));
    let counted = house.sql("SELECT COUNT(*), COUNT(wrapped), MIN(kid) >= 2147483648 FROM candado.subject_key");
    assert_eq!(counted, "7\t7\t1\n", "three customers, two members, two owners");
    house.sql(
        "INSERT INTO candado.data_key (keyset_id, purpose, version, state, created_at) \
               SELECT keyset_id, 'audit', 9, 'pending', NOW() FROM candado.keyset WHERE name = 'person'",
    );
    assert_eq!(house.sql("SELECT MAX(kid) < 2147483648 FROM candado.data_key"), "1\n", "two lines of ids");
}

async fn what_does_not_say_whose_a_row_is_is_refused(kind: Kind) {
    let house = House::build(kind);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    done(&mut conn, "INSERT INTO customers (customer_id, phone, city) VALUES (1, '090-1', 'Kyoto')").await;
    // Nothing is sealed, so nobody need be named.
    done(&mut conn, "INSERT INTO customers (customer_id, phone) VALUES (6 + 1, NULL), (8, DEFAULT)").await;
    for refusal in [
        "INSERT INTO customers (phone) VALUES ('1')",
        "INSERT INTO customers (customer_id, phone) VALUES (1, '1'), (DEFAULT, '2')",
        "INSERT INTO customers (customer_id, phone) VALUES (NULL, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (1 + 0, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (@me, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (1.0, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (0x31, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (TRUE, '1')",
        "INSERT INTO customers (customer_id, phone) VALUES ('1x', '1')",
        "INSERT INTO customers (customer_id, phone) VALUES (2147483648, '1')",
        "INSERT INTO customers SET phone = '1'",
        "REPLACE INTO customers (phone, city) VALUES ('1', 'Nara')",
        "INSERT INTO customers (customer_id, phone) SELECT customer_id, phone FROM plain",
        "INSERT INTO customers (customer_id, phone, city) VALUES (1, '1', 'Kyoto') ON DUPLICATE KEY UPDATE phone = '2'",
        "INSERT INTO customers (customer_id, phone, city) VALUES (1, '1', 'Kyoto') ON DUPLICATE KEY UPDATE customer_id = 2",
        "UPDATE customers SET phone = '2'",
        "UPDATE customers SET phone = '2' WHERE no = 1",
        "UPDATE customers SET phone = '2' WHERE customer_id = 1 OR no = 1",
        "UPDATE customers SET phone = '2' WHERE NOT customer_id = 1",
        "UPDATE customers SET phone = '2' WHERE customer_id <> 1",
        "UPDATE customers SET phone = '2' WHERE customer_id IN (1)",
        "UPDATE customers SET phone = '2' WHERE customer_id = no",
        "UPDATE customers SET phone = '2' WHERE customer_id = 1 + 0",
        "UPDATE customers SET phone = '2' WHERE customer_id = '1x'",
        "UPDATE customers SET customer_id = 2",
        "UPDATE customers SET customer_id = 2, phone = '2' WHERE customer_id = 1",
        "UPDATE customers, plain SET customers.customer_id = 2 WHERE plain.customer_id = 3",
        "INSERT INTO members VALUES (CONCAT('A', 'nn'), '1')",
        "INSERT INTO members VALUES ('a name of more than twenty letters', '1')",
        "UPDATE members SET phone = '2' WHERE name = 42",
        "INSERT INTO tokens VALUES ('abc', 'too short')",
        "INSERT INTO tokens VALUES ('é12', 'not ASCII')",
        "INSERT INTO drawn (note) VALUES ('whose?')",
        "INSERT INTO drawn (id, note) VALUES (0, 'whose?')",
    ] {
        refused(&mut conn, refusal, 1235, "42000").await;
    }
    let insert = "INSERT INTO customers (customer_id, phone) VALUES (?, ?)";
    for whose in [Value::NULL, 1.5_f64.into(), "one".into(), i64::MAX.into(), u64::MAX.into()] {
        refused_prepared(&mut conn, insert, vec![whose, "1".into()], 1235, "42000").await;
    }
    let drawn = "INSERT INTO drawn (id, note) VALUES (?, ?)";
    refused_prepared(&mut conn, drawn, (0, "whose?"), 1235, "42000").await;
    done_prepared(&mut conn, drawn, vec![5.into(), "five".into()]).await;
    done_prepared(&mut conn, insert, vec![8.into(), Value::NULL]).await;
    for mixed in [
        ("INSERT INTO customers (customer_id, phone) VALUES (1, ?)", "2"),
        ("INSERT INTO customers (customer_id, phone) VALUES (?, '2')", "1"),
        ("UPDATE customers SET phone = ? WHERE customer_id = 1", "2"),
    ] {
        refused_prepared(&mut conn, mixed.0, (mixed.1,), 1235, "42000").await;
    }
    let answer = text(&mut conn, "INSERT INTO customers (phone) VALUES ('1')").await;
    let Answer::Refused { text: said, .. } = answer else { panic!("{answer:?}") };
    let column = format!("{}.customers.phone", house.database);
    assert!(said.contains(&column) && said.contains("whose the row is") && said.contains("`subject`"), "{said}");

    // A table that cannot say for certain whose a row is.
    for (subject, why) in [("city", "may be NULL"), ("nobody", "does not exist")] {
        let policy = house.policy.replace("subject = \"customer_id\"", &format!("subject = \"{subject}\""));
        let folder = tempfile::tempdir().unwrap();
        let config = house.deployment.write(folder.path(), &policy, Tls::Off);
        let mut check = house.deployment.command("AKIAPROXY");
        let checked = check.args(["check", "--json", "--config"]).arg(config).output().unwrap();
        let found = String::from_utf8(checked.stdout).unwrap();
        assert!(!checked.status.success() && found.contains(&format!("has subject {subject}, which {why}")), "{found}");
        let unfit = Proxy::start(&house.deployment, &policy, Tls::Off);
        let mut conn = house.connect(&unfit).await;
        let insert = "INSERT INTO customers (customer_id, city, phone) VALUES (1, 'Nagoya', '1')";
        refused(&mut conn, insert, 1235, "42000").await;
    }

    // What concerns no sealed value goes on.
    done(&mut conn, "UPDATE customers SET city = 'Nara' WHERE no = 1").await;
    done(
        &mut conn,
        "INSERT INTO customers (customer_id, city) VALUES (1 + 1, 'Osaka') ON DUPLICATE KEY UPDATE city = 'Kobe'",
    )
    .await;
    done(&mut conn, "DELETE FROM customers WHERE city = 'Osaka'").await;
    assert_eq!(house.sql("SELECT COUNT(*) FROM customers WHERE phone IS NOT NULL"), "1\n");

    // A role without access hears what it always heard.
    let engineer = options("127.0.0.1", proxy.port, &house.database);
    let engineer = engineer.user(Some(format!("{}_eng", house.database))).pass(Some(SECRET));
    let mut engineer = bounded(Conn::new(engineer)).await.unwrap();
    refused(&mut engineer, "SELECT phone FROM customers", 1143, "42000").await;
    refused(&mut engineer, "INSERT INTO customers (customer_id, phone) VALUES (1, '1')", 1143, "42000").await;
    assert_eq!(text(&mut engineer, "SELECT customer_id FROM customers WHERE no = 1").await.cells(), rows(&[&["1"]]));
}

/// MariaDB alone has the type.
#[test]
fn a_uuid_is_one_person_in_every_spelling() {
    crate::support::block_on(one_uuid_in_every_spelling());
}

async fn one_uuid_in_every_spelling() {
    let house = House::build(Kind::MariaDb);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    let spellings = [
        "0b7e7c2e-5a0f-4f0e-9a55-7a1f6a1f0c11",
        "0B7E7C2E-5A0F-4F0E-9A55-7A1F6A1F0C11",
        "0b7e7c2e5a0f4f0e9a557a1f6a1f0c11",
    ];
    for spelled in spellings {
        done(&mut conn, &format!("INSERT INTO sessions VALUES ('{spelled}', 'text')")).await;
        done_prepared(&mut conn, "INSERT INTO sessions VALUES (?, ?)", vec![spelled.into(), "bound".into()]).await;
    }
    done(&mut conn, "INSERT INTO sessions VALUES ('0b7e7c2e-5a0f-4f0e-9a55-7a1f6a1f0c12', 'somebody else')").await;
    done(&mut conn, "UPDATE sessions SET note = 'again' WHERE owner = '0B7E7C2E5A0F4F0E9A557A1F6A1F0C11'").await;
    let kids = house.kids("sessions", "note", "owner");
    assert!(kids.len() == 7 && kids[..6].iter().all(|kid| *kid == kids[0]) && kids[6] != kids[0], "{kids:?}");
    let read = text(&mut conn, "SELECT DISTINCT owner FROM sessions").await;
    assert_eq!(read.cells().len(), 2, "the server too sees two people");
    for nobody in ["'nobody'", "NULL", "x'0b7e7c2e5a0f4f0e9a557a1f6a1f0c11'"] {
        refused(&mut conn, &format!("INSERT INTO sessions VALUES ({nobody}, 'whose?')"), 1235, "42000").await;
    }
    let team = house.deployment.security_team(&house.policy);
    team.done(&["shred", KEYSET, "--subject", spellings[0], "--confirm", spellings[0]]);
    house.wait_for(&proxy);
    assert_eq!(text(&mut conn, "SELECT note FROM sessions LIMIT 1").await.error(), (3185, "HY000"));
    let other = text(&mut conn, "SELECT note FROM sessions WHERE owner LIKE '%12'").await;
    assert_eq!(other.cells(), rows(&[&["somebody else"]]));
}

async fn an_erased_person_is_gone_everywhere_and_others_are_not(kind: Kind) {
    let house = House::build(kind);
    let (first, second) = (house.proxy(), house.proxy());
    let (mut one, mut two) = (house.connect(&first).await, house.connect(&second).await);
    done(&mut one, "INSERT INTO customers (customer_id, phone) VALUES (1, '090-1'), (2, '090-2')").await;
    let of = |id: u32| format!("SELECT phone FROM customers WHERE customer_id = {id}");
    for conn in [&mut one, &mut two] {
        assert_eq!(text(conn, of(1)).await.cells(), rows(&[&["090-1"]]));
    }
    // The statement is held prepared over the erasure, with a value sealed at its preparation.
    let literal = bounded(mysql_async::prelude::Queryable::prep(
        &mut two,
        "INSERT INTO customers (customer_id, phone) VALUES (1, '090-111')",
    ));
    let literal = literal.await.unwrap();

    // With approvals it takes a second person, who is asked about this one data subject.
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ben.pem").to_str().unwrap().to_owned();
    let team = house.deployment.security_team(&house.policy);
    let signers = format!("[{{ name = \"ben\", key = \"{}\" }}]", signing_key(&key));
    team.configure(&format!("[approval]\nthreshold = 1\nsigners = {signers}\n"));
    assert_eq!(team.refused(&["shred", KEYSET, "--subject", "3", "--confirm", "3"]).0, "unknown_subject");
    let (code, said) = team.refused(&["shred", KEYSET, "--subject", "1", "--confirm", "1"]);
    assert_eq!((code.as_str(), text(&mut one, of(1)).await.cells()), ("not_approved", rows(&[&["090-1"]])), "{said}");
    let request = said.split("candado approve ").nth(1).and_then(|rest| rest.split('`').next()).expect(&said);
    team.approve(request, &key);
    assert_eq!(team.refused(&["shred", KEYSET, "--subject", "2", "--confirm", "2"]).0, "not_approved", "another one");
    let rehearsed = team.done(&["shred", KEYSET, "--subject", "1", "--dry-run"]);
    assert_eq!(text(&mut one, of(1)).await.cells(), rows(&[&["090-1"]]), "nothing was done");
    assert_eq!(team.run(&["shred", KEYSET, "--subject", "1"]).0, 1, "it has to be confirmed");
    let (code, erased, said) = team.run(&["shred", KEYSET, "--subject", "1", "--confirm", "1"]);
    assert_eq!((code, &erased["key_id"]), (0, &rehearsed["key_id"]), "{said}");
    assert_eq!(erased["key_id"].as_u64(), Some(u64::from(house.kids("customers", "phone", "no")[0])));
    assert!(said.contains("customers.phone") && said.contains("for good"), "{said}");
    assert_eq!(team.refused(&["shred", KEYSET, "--subject", "1", "--confirm", "1"]).0, "subject_gone");
    let recorded = house.sql("SELECT act, subject, value_after FROM candado.event ORDER BY seq DESC LIMIT 1");
    assert!(recorded.starts_with("subject.shred\tdata subject "), "{recorded}");
    assert!(recorded.contains(erased["subject"].as_str().unwrap()), "the digest alone: {recorded}");
    let counted = team.done(&["subjects", KEYSET]);
    assert_eq!((&counted["living"], &counted["erased"]), (&1.into(), &1.into()));

    house.wait_for(&first);
    house.wait_for(&second);
    let third = house.proxy();
    let mut three = house.connect(&third).await;
    for conn in [&mut one, &mut two, &mut three] {
        let answer = text(conn, of(1)).await;
        let Answer::Refused { code, text: said, .. } = &answer else { panic!("{answer:?}") };
        assert!(*code == 3185 && said.contains("destroyed on purpose") && said.contains("rows"), "{said}");
        assert_eq!(prepared(conn, &of(1), ()).await.error(), (3185, "HY000"));
        assert_eq!(text(conn, of(2)).await.cells(), rows(&[&["090-2"]]));
        refused(conn, "INSERT INTO customers (customer_id, phone) VALUES (1, '090-9')", 3185, "HY000").await;
        let insert = "INSERT INTO customers (customer_id, phone) VALUES (?, ?)";
        refused_prepared(conn, insert, (1, "090-9"), 3185, "HY000").await;
        refused(conn, "UPDATE customers SET phone = '090-9' WHERE customer_id = 1", 3185, "HY000").await;
    }
    let executed = bounded(mysql_async::prelude::Queryable::exec_drop(&mut two, &literal, ())).await;
    let mysql_async::Error::Server(error) = executed.unwrap_err() else { panic!("no answer") };
    assert_eq!(error.code, 3185, "what was sealed before is not written afterwards");
    assert_eq!(house.sql("SELECT COUNT(*) FROM customers"), "2\n");
    // His rows can be deleted, and everybody else goes on.
    done(&mut one, "DELETE FROM customers WHERE customer_id = 1").await;
    done(&mut one, "INSERT INTO customers (customer_id, phone) VALUES (2, '090-22'), (4, '090-4')").await;
    let rest = rows(&[&["2", "090-2"], &["2", "090-22"], &["4", "090-4"]]);
    assert_eq!(text(&mut two, "SELECT customer_id, phone FROM customers ORDER BY no").await.cells(), rest);
}

async fn old_backups_open_nothing_once_the_subject_key_is_destroyed(kind: Kind) {
    let house = House::build(kind);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    done(&mut conn, "INSERT INTO customers (customer_id, phone) VALUES (1, '090-1'), (2, '090-2')").await;
    let backup = house.backup();
    let team = house.deployment.security_team(&house.policy);
    let erased = team.done(&["shred", KEYSET, "--subject", "1", "--confirm", "1"]);
    let old = erased["wrapped_by"].to_string();
    house.wait_for(&proxy);
    let of = |id: u32| format!("SELECT phone FROM customers WHERE customer_id = {id}");
    assert_eq!(text(&mut conn, of(1)).await.error(), (3185, "HY000"));

    // As long as the subject key lives, a backup brings him back: that is why it has to end.
    house.restore(&backup);
    house.sql("UPDATE candado.epoch SET epoch = epoch + 1");
    house.wait_for(&proxy);
    assert_eq!(text(&mut conn, of(1)).await.cells(), rows(&[&["090-1"]]));
    team.done(&["shred", KEYSET, "--subject", "1", "--confirm", "1"]);

    let new = team.done(&["rotate", KEYSET, "--purpose", "subject"])["key_id"].to_string();
    assert_ne!(old, new);
    let (code, text_of) = team.refused(&["retire", &old]);
    assert_eq!(code, "subjects_left", "{text_of}");
    // The security team opens no key of a column, so it cannot wrap anything under another one either.
    assert_eq!(team.refused(&["rewrap", KEYSET, "--subjects"]).0, "subject_keys");
    let rewrap = |more: &[&str]| {
        let output = team.command_of_engine(&[&["rewrap", KEYSET, "--subjects"], more].concat()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}{}", String::from_utf8(output.stdout).unwrap());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(rewrap(&["--dry-run"])["keys"], 1);
    assert_eq!(rewrap(&[])["keys"], 1);
    assert_eq!(rewrap(&[])["keys"], 0, "run again, there is nothing left");
    house.wait_for(&proxy);
    team.done(&["retire", &old]);
    house.wait_for(&proxy);
    team.done(&["destroy", &old, "--grace", "0", "--confirm", &old]);
    house.wait_for(&proxy);
    assert_eq!(text(&mut conn, of(2)).await.cells(), rows(&[&["090-2"]]));
    done(&mut conn, "INSERT INTO customers (customer_id, phone) VALUES (2, '090-22'), (3, '090-3')").await;

    // The backup again: it opens neither of the two, and nobody has another key made in their place.
    house.restore(&backup);
    house.sql("UPDATE candado.epoch SET epoch = epoch + 1");
    house.wait_for(&proxy);
    let fresh = house.proxy();
    let mut second = house.connect(&fresh).await;
    for conn in [&mut conn, &mut second] {
        assert_eq!(text(conn, of(1)).await.error(), (3185, "HY000"));
        assert_eq!(text(conn, of(2)).await.error(), (3185, "HY000"));
        refused(conn, "INSERT INTO customers (customer_id, phone) VALUES (1, '1')", 3185, "HY000").await;
    }
    assert_eq!(house.sql("SELECT COUNT(*) FROM candado.subject_key"), "2\n");
}

async fn nobody_is_refused_while_the_subject_key_rotates(kind: Kind) {
    let house = House::build(kind);
    let (first, second) = (house.proxy(), house.proxy());
    let mut conns = [house.connect(&first).await, house.connect(&second).await];
    let team = house.deployment.security_team(&house.policy);
    let mut rotation = team.command(&["rotate", KEYSET, "--purpose", "subject"]);
    let mut rotation = rotation.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut people = 0;
    // Every row is another person's, so that a key is made for each while the one that wraps it changes.
    while rotation.try_wait().unwrap().is_none() {
        for conn in &mut conns {
            people += 1;
            done(conn, &format!("INSERT INTO customers (customer_id, phone) VALUES ({people}, '0{people}')")).await;
        }
    }
    assert!(rotation.wait().unwrap().success());
    let counted = team.done(&["subjects", KEYSET]);
    assert_eq!(counted["living"], people);
    assert_eq!(counted["by_key"].as_array().unwrap().len(), 2, "before and after: {counted}");
    for conn in &mut conns {
        let read = text(conn, "SELECT COUNT(phone) FROM customers").await;
        assert_eq!(read.cells(), rows(&[&[&people.to_string()]]));
        let read = text(conn, "SELECT phone FROM customers ORDER BY customer_id").await;
        assert_eq!(read.cells().len(), people);
    }
}

async fn one_value_is_one_persons_while_the_index_key_changes(kind: Kind) {
    let house = House::build(kind);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    done(&mut conn, "INSERT INTO cards VALUES (1, 'A'), (2, 'B')").await;
    let kids = house.kids("cards", "card", "customer_id");
    let team = house.deployment.security_team(&house.policy);
    team.done(&["rotate", KEYSET, "--purpose", "index"]);
    // This one has opened nobody's key: the row that is in its way has to be brought to the new index key first.
    let fresh = house.proxy();
    let mut second = house.connect(&fresh).await;
    refused(&mut second, "INSERT INTO cards VALUES (3, 'A')", 1062, "23000").await;
    refused_prepared(&mut second, "INSERT INTO cards VALUES (?, ?)", (3, "B"), 1062, "23000").await;
    assert_eq!(house.kids("cards", "card", "customer_id"), kids, "each is still under its person's key");
    let read = text(&mut conn, "SELECT customer_id, card FROM cards ORDER BY customer_id").await;
    assert_eq!(read.cells(), rows(&[&["1", "A"], &["2", "B"]]));
}

async fn a_thousand_people_are_read_and_forged_ids_are_not_looked_for_without_end(kind: Kind) {
    let house = House::build(kind);
    let proxy = house.proxy();
    let mut conn = house.connect(&proxy).await;
    let asked = house.service.calls("Decrypt");
    let values: Vec<String> = (1..=1_000).map(|id| format!("({id}, 'note of {id}')")).collect();
    done(&mut conn, &format!("INSERT INTO customers (customer_id, note) VALUES {}", values.join(", "))).await;
    assert_eq!(house.sql("SELECT COUNT(*) FROM candado.subject_key"), "1000\n");
    assert_eq!(house.service.calls("Decrypt"), asked, "the key service hears nothing of people");
    // A proxy that has none of the keys.
    let fresh = house.proxy();
    let mut reader = house.connect(&fresh).await;
    let all: Vec<_> = (1..=1_000).map(|id| vec![Some(format!("note of {id}"))]).collect();
    assert_eq!(text(&mut reader, "SELECT note FROM customers ORDER BY no").await.cells(), all);
    assert_eq!(prepared(&mut reader, "SELECT note FROM customers ORDER BY no", ()).await.cells(), all);

    // One after the other, each row names a key that does not exist.
    house.sql("UPDATE customers SET note = INSERT(note, 9, 4, UNHEX(HEX(0xFF000000 + no))) WHERE no <= 100");
    let mut another = house.connect(&fresh).await;
    for no in 1..=100 {
        let answer = text(&mut another, format!("SELECT note FROM customers WHERE no = {no}")).await;
        assert_eq!(answer.error(), (3185, "HY000"), "{no}");
    }
    let warned = "stored values go on naming keys of data subjects that do not exist; they are not looked for";
    assert!(fresh.events().iter().any(|event| event["message"] == warned), "a flood is noticed");
    // And people who exist are read again, by a connection that has to ask for the key.
    let last = house.proxy();
    drop(fresh);
    let mut last = house.connect(&last).await;
    assert_eq!(text(&mut last, "SELECT note FROM customers WHERE no = 500").await.cells(), all[499..500]);
}
