//! A column with `kind = "password_hash"`: hashes are stored and read as any other value, everything else is refused
//! before the server hears of it, in both protocols and at every stage.

use mysql_async::Conn;

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, assert_in_step, policy, prepared, text};

on_each_server!(a_hash_is_stored_and_all_else_is_refused, a_column_that_is_not_sealed_yet_takes_hashes_alone,);

const ARGON2: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$2W5zbZRqy6QnGi2WLdVRwQ$c475gl3MbCe1cjMyLQR2LeziOEvXIs4uhwqlJ32SrTM";
const DJANGO: &str = "pbkdf2_sha256$1000000$VPyKG07n9e4QbvKjwtHxAR$+1Slpm5yqvbrPZglLlz3Z77Lh9mFEJA2alJro2GiUBg=";
const BCRYPT: &str = "$2b$10$1Ild/2lWpJU39OhbDM/0FuG7FnfUZnqsSlK2y00VmHURLJqBcnTy6";

/// What is refused, and what the error says of it.
const REFUSED: [(&str, &str); 4] = [
    ("zqSecretOfAnaxQ", "this value is none; make one with argon2id, scrypt, bcrypt or PBKDF2"),
    ("", "this value is none"),
    ("5f4dcc3b5aa765d61d8327deb882cf99", "this value is none"),
    (BCRYPT, "this one, by bcrypt, costs too little"),
];

/// Every way in which a value gets into the column `{v}`.
const WRITES: [&str; 8] = [
    "INSERT INTO customers (id, address) VALUES (50, {v})",
    "INSERT INTO customers (id, address) VALUES (50, NULL), (51, {v})",
    "REPLACE INTO customers SET id = 50, address = {v}",
    "INSERT INTO customers (id, name) VALUES (1, 'x') ON DUPLICATE KEY UPDATE address = {v}",
    "UPDATE customers SET address = {v}",
    "UPDATE customers SET address = CASE id WHEN 1 THEN {v} ELSE address END",
    "UPDATE customers SET address = COALESCE(address, {v})",
    "INSERT INTO customers (id, address) SELECT id + 50, COALESCE(address, {v}) FROM customers",
];

/// Copies of cells with the value `{v}` beside them, farther inside than is looked for what is stored.
const COPIES: [&str; 2] = [
    "INSERT INTO customers (id, address) SELECT d.id + 50, d.a FROM (SELECT id, COALESCE(address, {v}) AS a FROM customers) d",
    "REPLACE INTO customers (id, address) WITH d AS (SELECT id, IFNULL(address, {v}) AS a FROM customers) SELECT id + 50, a FROM d",
];

/// The shop, in which `address` holds hashes; bcrypt must cost more than by default.
fn of_hashes(database: &str) -> String {
    let column = format!("{database}.customers.address\"\n");
    let policy = policy(database);
    assert!(policy.contains(&column), "{policy}");
    format!(
        "{}\n[password_hash]\nbcrypt_cost = 12\n",
        policy.replace(&column, &format!("{column}kind = \"password_hash\"\n"))
    )
}

async fn a_hash_is_stored_and_all_else_is_refused(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), of_hashes);
    let mut conn = shop.connect(Who::Application).await;
    written(&mut conn).await;
    shop.assert_sealed();
}

async fn a_column_that_is_not_sealed_yet_takes_hashes_alone(kind: Kind) {
    let shop = Shop::open_plain_as(Deployment::shared(kind), of_hashes);
    let mut conn = shop.connect(Who::Application).await;
    written(&mut conn).await;
}

async fn written(conn: &mut Conn) {
    let sql = format!("INSERT INTO customers (id, address) VALUES (1, '{ARGON2}'), (2, NULL)");
    assert!(matches!(text(conn, &sql).await, Answer::Done { affected: 2, .. }));
    let insert = "INSERT INTO customers (id, address) VALUES (3, ?)";
    assert!(matches!(prepared(conn, insert, (DJANGO,)).await, Answer::Done { affected: 1, .. }));
    let before = stored(conn).await;
    assert_eq!(before, [Some(ARGON2.to_owned()), None, Some(DJANGO.to_owned())]);
    let heard = statements(conn).await;
    for (value, said) in REFUSED {
        for write in WRITES {
            let literal = write.replace("{v}", &format!("'{value}'"));
            refused(text(conn, &literal).await, value, said, &literal);
            let parameter = write.replace("{v}", "?");
            refused(prepared(conn, &parameter, (value,)).await, value, said, &parameter);
        }
        assert_in_step(conn, "refusals").await;
    }
    // Beside cells that are copied, where it would be sealed as what is shown.
    for copying in COPIES {
        for value in [REFUSED[0].0, ARGON2] {
            let answer = text(conn, copying.replace("{v}", &format!("'{value}'"))).await;
            assert_eq!(answer.error(), (1235, "42000"), "{copying}");
            assert_eq!(prepared(conn, &copying.replace("{v}", "?"), (value,)).await.error(), (1235, "42000"));
        }
    }
    assert_eq!(statements(conn).await, heard, "the server heard of a statement");
    assert_eq!(stored(conn).await, before);
    for write in WRITES {
        let literal = write.replace("{v}", &format!("'{DJANGO}'"));
        assert!(matches!(text(conn, &literal).await, Answer::Done { .. }), "{literal}");
        let parameter = write.replace("{v}", "?");
        let again = "DELETE FROM customers WHERE id >= 50";
        assert!(matches!(text(conn, again).await, Answer::Done { .. }));
        assert!(matches!(prepared(conn, &parameter, (DJANGO,)).await, Answer::Done { .. }), "{parameter}");
        assert!(matches!(text(conn, again).await, Answer::Done { .. }));
    }
}

fn refused(answer: Answer, value: &str, said: &str, sql: &str) {
    let Answer::Refused { code, state, text } = answer else { panic!("{sql}: {answer:?}") };
    assert_eq!((code, state.as_str()), (1366, "HY000"), "{sql}: {text}");
    assert!(text.contains(said), "{sql}: {text}");
    assert!(value.is_empty() || !text.contains(value), "{sql}: {text}");
}

async fn stored(conn: &mut Conn) -> Vec<Option<String>> {
    let cells = text(conn, "SELECT address FROM customers ORDER BY id").await.cells();
    cells.into_iter().map(|mut row| row.remove(0)).collect()
}

/// How many statements that write the server has executed on this connection.
async fn statements(conn: &mut Conn) -> Vec<Vec<Option<String>>> {
    let sql = "SHOW SESSION STATUS WHERE Variable_name IN \
               ('Com_insert', 'Com_replace', 'Com_update', 'Com_stmt_execute')";
    text(conn, sql).await.cells()
}
