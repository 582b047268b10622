//! Engineers who may do everything on the server, and are nobody else by it.

use mysql_async::Conn;

use super::{ONE, open, store};
use crate::support::raw::{Login, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, assert_in_step, prepared, text};

/// What the proxy's own error 1227 says.
pub(super) const OURS: &str = "let one of them do it, or an administrator on the server itself";

const TAKEN: &str = "taken-by-somebody";

/// Statements that would lead to the account `{app}`, on a server of that kind.
fn takings(kind: Kind) -> Vec<&'static str> {
    let common = [
        "CREATE USER '{app}'@'127.0.0.1' IDENTIFIED BY '{taken}'",
        "ALTER USER '{app}'@'%' IDENTIFIED BY '{taken}'",
        "ALTER USER CURRENT_USER() IDENTIFIED BY '{own}', '{app}'@'%' IDENTIFIED BY '{taken}'",
        "DROP USER '{app}'@'%'",
        "CREATE PROCEDURE taking() ALTER USER '{app}'@'%' IDENTIFIED BY '{taken}'",
        "CREATE EVENT taking ON SCHEDULE EVERY 1 SECOND DO ALTER USER '{app}'@'%' IDENTIFIED BY '{taken}'",
        "PREPARE taking FROM 'ALTER USER ''{app}''@''%'' IDENTIFIED BY ''{taken}'''",
        "CREATE VIEW taking AS SELECT * FROM mysql.user",
    ];
    let more: &[&str] = match kind {
        Kind::MySql => &[
            "SET PASSWORD FOR '{app}'@'%' = '{taken}'",
            "UPDATE mysql.user SET account_locked = 'Y' WHERE user = '{app}'",
            "SET GLOBAL mandatory_roles = '{app}'",
        ],
        Kind::MariaDb => &[
            "SET @a = 1, PASSWORD FOR '{app}'@'%' = PASSWORD('{taken}')",
            "UPDATE mysql.global_priv SET priv = JSON_SET(priv, '$.authentication_string', PASSWORD('{taken}')) \
                WHERE user = '{app}'",
            "EXECUTE IMMEDIATE 'ALTER USER ''{app}''@''%'' IDENTIFIED BY ''{taken}'''",
            "SET STATEMENT max_statement_time = 1 FOR ALTER USER '{app}'@'%' IDENTIFIED BY '{taken}'",
            "BEGIN NOT ATOMIC ALTER USER '{app}'@'%' IDENTIFIED BY '{taken}'; END",
        ],
    };
    common.into_iter().chain(more.iter().copied()).collect()
}

pub(super) async fn leads_to_no_other_account(kind: Kind) {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    for who in [Who::Engineer, Who::Support, Who::Nobody, Who::Application] {
        let user = shop.account(who);
        shop.deployment.server.sql(&format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION"));
    }
    for who in [Who::Engineer, Who::Support, Who::Nobody] {
        let mut conn = shop.connect(who).await;
        for sql in takings(kind) {
            let sql = written(&shop, sql);
            for answer in [text(&mut conn, &sql).await, prepared(&mut conn, &sql, ()).await] {
                let Answer::Refused { code: 1227, text: said, .. } = &answer else { panic!("{sql}: {answer:?}") };
                assert!(said.contains(OURS), "{sql}: {said}");
            }
        }
        assert_in_step(&mut conn, "all attempts").await;
        assert_eq!(login(&shop, Who::Application, TAKEN), 1045);
        assert_eq!(login(&shop, Who::Application, SECRET), 0);
        changes_its_own_password(&shop, kind, who, &mut conn).await;
    }
    // Who sees the values may: on the server the statement would have led there.
    let mut conn = shop.connect(Who::Application).await;
    let made = written(&shop, "CREATE USER '{app}'@'127.0.0.1' IDENTIFIED BY '{taken}'");
    assert!(matches!(text(&mut conn, &made).await, Answer::Done { .. }));
    assert_eq!(login(&shop, Who::Application, TAKEN), 0);
    shop.deployment.server.sql(&written(&shop, "DROP USER '{app}'@'127.0.0.1'"));
}

/// The twin that is allowed.
async fn changes_its_own_password(shop: &Shop<'_>, kind: Kind, who: Who, conn: &mut Conn) {
    let [one, other] = match kind {
        Kind::MySql => ["ALTER USER USER() IDENTIFIED BY 'one-of-my-own'", "SET PASSWORD = '{own}'"],
        Kind::MariaDb => ["SET PASSWORD = PASSWORD('one-of-my-own')", "SET PASSWORD = PASSWORD('{own}')"],
    };
    assert!(matches!(text(conn, one).await, Answer::Done { .. }), "{who:?}");
    assert_eq!((login(shop, who, SECRET), login(shop, who, "one-of-my-own")), (1045, 0), "{who:?}");
    assert!(matches!(text(conn, &written(shop, other)).await, Answer::Done { .. }), "{who:?}");
    assert_eq!(login(shop, who, SECRET), 0, "{who:?}");
}

fn written(shop: &Shop<'_>, sql: &str) -> String {
    let app = shop.account(Who::Application);
    sql.replace("{app}", &app).replace("{taken}", TAKEN).replace("{own}", SECRET)
}

/// The code of a login through the proxy; 0 if it succeeds.
fn login(shop: &Shop<'_>, who: Who, password: &str) -> u16 {
    let user = shop.account(who);
    let login = Login { user: &user, password, plugin: "caching_sha2_password", ..Login::default() };
    let raw = Raw::open(shop.proxy.port, &login);
    error_code(&[raw.welcome])
}
