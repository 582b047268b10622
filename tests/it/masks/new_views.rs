//! Views over protected columns that were made on the server itself, behind the proxy's back.

use mysql_async::Conn;

use super::{MASKED, ONE, masking, store};
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, prepared, text};

pub(super) async fn are_read_before_they_are_shown(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, masking);
    let database = &shop.database;
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    let mask = MASKED[0].map(str::to_owned);
    for (number, is_prepared) in [(1, false), (2, true)] {
        let view = format!("shown{number}");
        deployment
            .server
            .sql(&format!("CREATE VIEW {database}.{view} AS SELECT id, phone AS p FROM {database}.customers"));
        deployment.server.sql(&format!("GRANT SELECT, SHOW VIEW ON {database}.{view} TO candado_proxy"));
        let sql = format!("SELECT p FROM {view}");
        // For a second after it has asked, a connection does not ask again.
        let mut engineer = shop.connect(Who::Engineer).await;
        let mut nobody = shop.connect(Who::Nobody).await;
        let shown = if is_prepared { prepared(&mut engineer, &sql, ()).await } else { text(&mut engineer, &sql).await };
        assert_eq!(shown.cells(), [[mask.clone()]], "{sql}");
        assert_eq!(text(&mut nobody, &sql).await.error(), (1143, "42000"));
    }
    let mut engineer = shop.connect(Who::Engineer).await;
    // What is no view is the server's to judge, and a temporary table is one's own.
    assert_eq!(text(&mut engineer, "SELECT 1 FROM nowhere").await.error(), (1146, "42S02"));
    let made = text(&mut engineer, "CREATE TEMPORARY TABLE mine (a INT)").await;
    assert!(matches!(made, Answer::Done { .. }), "{made:?}");
    for sql in ["INSERT INTO mine VALUES (1)", "UPDATE mine SET a = 2"] {
        assert!(matches!(text(&mut engineer, sql).await, Answer::Done { affected: 1, .. }), "{sql}");
    }
    assert_eq!(prepared(&mut engineer, "SELECT a FROM mine", ()).await.cells(), [[Some("2".to_owned())]]);
}

/// Whoever meets the new view first is told to ask again, and is shown then what the role sees.
pub(super) async fn are_noticed_when_they_are_replaced(kind: Kind) {
    let deployment = Deployment::shared(kind);
    let shop = Shop::open_as(deployment, |database| {
        for view in ["named1", "named2", "named3", "named4", "named5"] {
            deployment.server.sql(&format!(
                "CREATE VIEW {database}.{view} AS SELECT id, name AS p FROM {database}.customers; \
                 GRANT SELECT, SHOW VIEW ON {database}.{view} TO candado_proxy"
            ));
        }
        masking(database)
    });
    let database = &shop.database;
    let mut application = shop.connect(Who::Application).await;
    store(&mut application, ONE).await;
    // Alone, and in a result of which something else is opened.
    let (alone, beside) = ("SELECT p FROM", "SELECT p, c.phone FROM customers c JOIN");
    let masked = MASKED[0].unwrap();
    let cases = [
        ("named1", alone, Who::Application, false, ONE[0]),
        ("named2", alone, Who::Engineer, true, masked),
        ("named3", alone, Who::Application, true, ONE[0]),
        ("named4", beside, Who::Engineer, false, masked),
        ("named5", beside, Who::Engineer, true, masked),
    ];
    for (view, select, who, is_prepared, shown) in cases {
        let mut conn = shop.connect(who).await;
        let end = if select == beside { " USING (id)" } else { "" };
        let sql = format!("{select} {view}{end}");
        let expected = |p: &str| {
            let cells = [p, shown].map(|cell| Some(cell.to_owned()));
            vec![cells[..if select == beside { 2 } else { 1 }].to_vec()]
        };
        assert_eq!(text(&mut conn, &sql).await.cells(), expected("Ana"));
        let closed = closed(&mut conn).await;
        deployment.server.sql(&format!(
            "CREATE OR REPLACE VIEW {database}.{view} AS SELECT id, phone AS p FROM {database}.customers"
        ));
        for attempt in ["first", "second"] {
            let answer = if is_prepared { prepared(&mut conn, &sql, ()).await } else { text(&mut conn, &sql).await };
            match attempt {
                "first" => {
                    assert_eq!(answer.error(), (1615, "HY000"), "{sql}: {answer:?}");
                    // The client does not know of a statement that it got an error for.
                    assert_eq!(self::closed(&mut conn).await, closed + u64::from(is_prepared), "{sql}");
                }
                _ => assert_eq!(answer.cells(), expected(shown), "{sql}"),
            }
        }
    }
    // Text as bytes is what the client asked for.
    text(&mut application, "SET character_set_results = binary").await;
    assert!(matches!(text(&mut application, "SELECT * FROM named1").await, Answer::Rows { .. }));
}

/// How many statements the server has closed on the connection's word.
async fn closed(conn: &mut Conn) -> u64 {
    let shown = text(conn, "SHOW SESSION STATUS LIKE 'Com_stmt_close'").await.cells();
    shown[0][1].as_deref().unwrap().parse().unwrap()
}
