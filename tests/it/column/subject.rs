//! Rows that are there already are sealed for the people they belong to, and for nobody else.

use std::fs;

use super::{Bench, shared};
use crate::support::on_each_server;
use crate::support::server::Kind;

on_each_server!(rows_are_sealed_for_their_people, rows_under_the_data_key_become_those_of_their_people);

const COLUMNS: &str = "id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, owner VARBINARY(8) NOT NULL, \
    phone VARCHAR(40), address VARCHAR(255), KEY by_phone (phone)";
const ROWS: u32 = 700;
const PEOPLE: u32 = 50;

fn policy(database: &str, keyset: &str, subject: &str) -> String {
    let column = |name: &str, kind: &str, more: &str| {
        format!(
            "[[column]]\nname = \"{database}.customers.{name}\"\nkeyset = \"{keyset}\"\ntype = \"{kind}\"\n{more}\n"
        )
    };
    [
        format!("keysets = [\"{keyset}\"]\n"),
        column("phone", "varchar(40)", &format!("index = {{ normaliser = \"raw\" }}\n{subject}")),
        column("address", "varchar(255)", subject),
        "[role.application]\naccess = \"plain\"\n[[account]]\nuser = \"root\"\nrole = \"application\"\n".to_owned(),
    ]
    .concat()
}

fn bench(kind: Kind, keyset: &str, subject: &str) -> Bench<'static> {
    let bench = Bench::with_policy(shared(kind), COLUMNS, |database| policy(database, keyset, subject));
    bench.keys(&["init"]);
    let rows: Vec<String> = (0..ROWS)
        .map(|number| {
            format!("('o{}', '090-{number}', IF({number} % 10 = 0, NULL, 'Street {number}'))", number % PEOPLE)
        })
        .collect();
    bench.sql(&format!("INSERT INTO customers (owner, phone, address) VALUES {}", rows.join(", ")));
    bench
}

/// People, and pairs of a person and a key: as many as people if each has one.
fn people_and_keys(bench: &Bench<'_>) -> String {
    bench.sql(
        "SELECT COUNT(DISTINCT owner), COUNT(DISTINCT owner, HEX(SUBSTRING(phone, 25, 4))), \
         COUNT(DISTINCT HEX(SUBSTRING(phone, 25, 4))), MIN(ORD(SUBSTRING(phone, 25, 1))) >= 128, \
         SUM(NOT SUBSTRING(phone, 25, 4) <=> SUBSTRING(address, 9, 4) AND address IS NOT NULL) FROM customers",
    )
}

const ONE_KEY_EACH: &str = "50\t50\t50\t1\t0\n";
const SUBJECT: &str = "subject = \"owner\"";

async fn rows_are_sealed_for_their_people(kind: Kind) {
    let bench = bench(kind, "owners", SUBJECT);
    let contents = bench.sql("SELECT id, owner, phone, address FROM customers ORDER BY id");
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!((bench.plaintexts("phone"), bench.plaintexts("address")), (0, 0));
    assert_eq!(people_and_keys(&bench), ONE_KEY_EACH);
    let verified = bench.run("verify", &["--json"]).ok().json();
    assert_eq!((&verified[0]["kind"], &verified[0]["rows"]), (&"sealed".into(), &ROWS.into()));
    bench.run("reindex", &[]).ok();
    assert_eq!(people_and_keys(&bench), ONE_KEY_EACH);

    // An erased person's rows are told until they are deleted.
    bench.keys(&["shred", "owners", "--subject-hex", "6F37", "--confirm", "6f37"]);
    let verified = bench.run("verify", &[]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stdout.contains("of a data subject was destroyed"), "{}", verified.stdout);
    bench.sql("DELETE FROM customers WHERE owner = 'o7'");
    bench.run("verify", &[]).ok();
    bench.run("decrypt", &["--ddl", "run"]).ok();
    let rest: String = contents.lines().filter(|row| !row.contains("\to7\t")).map(|row| format!("{row}\n")).collect();
    assert_eq!(bench.sql("SELECT id, owner, phone, address FROM customers ORDER BY id"), rest);
}

async fn rows_under_the_data_key_become_those_of_their_people(kind: Kind) {
    let bench = bench(kind, "later", "");
    bench.run("encrypt", &["--ddl", "run"]).ok();
    assert_eq!(people_and_keys(&bench), "50\t50\t1\t0\t0\n", "one key for all");
    fs::write(bench.file("policy.toml"), policy(&bench.database, "later", "subject = \"phone\"")).unwrap();
    let unreadable = bench.run("reencrypt", &[]);
    assert!(!unreadable.succeeded && unreadable.stderr.contains("protected column"), "{}", unreadable.stderr);
    fs::write(bench.file("policy.toml"), policy(&bench.database, "later", "subject = \"nobody\"")).unwrap();
    bench.keys(&["init"]);
    let unfit = bench.run("reencrypt", &[]);
    assert!(!unfit.succeeded && unfit.stderr.contains("column nobody"), "{}", unfit.stderr);
    bench.of_table("abort", &[]);
    fs::write(bench.file("policy.toml"), policy(&bench.database, "later", SUBJECT)).unwrap();
    bench.run("reencrypt", &[]).ok();
    assert_eq!(people_and_keys(&bench), ONE_KEY_EACH);
    bench.run("verify", &[]).ok();
}
