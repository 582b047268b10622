//! Policy that binds by roles of the server's own: those count that are active when an account logs in, and nothing that a
//! session does later gives it more.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, bounded, policy, prepared, refused, text};

on_each_server!(an_active_role_binds_at_login, what_a_session_does_later_widens_nothing);

/// Whoever has the role `reporting` is masked; the engineer without it sees values.
fn by_role(database: &str) -> String {
    let text = policy(database).replace("type = \"varchar(40)\"\n", "type = \"varchar(40)\"\nmask = \"phone\"\n");
    let role = format!(
        "[role.reporting]\naccess = \"deny\"\ncolumns = {{ \"{database}.customers.phone\" = \"masked\" }}\n\
         [[account]]\nmysql_role = \"{database}_rep\"\nrole = \"reporting\"\n[[account]]"
    );
    let text = text.replacen("[[account]]", &role, 1);
    text.replace("role = \"engineer\"\n", "role = \"application\"\n")
}

/// The engineer has the role from the beginning, nobody only when he asks for it.
fn open(kind: Kind) -> Shop<'static> {
    let deployment = Deployment::shared(kind);
    Shop::open_as(deployment, |database| {
        let (role, engineer, nobody) =
            (format!("{database}_rep"), format!("{database}_eng"), format!("{database}_nob"));
        let to = match kind {
            Kind::MySql => "TO",
            Kind::MariaDb => "FOR",
        };
        deployment.server.sql(&format!(
            "CREATE ROLE {role}; GRANT SELECT ON `{database}`.* TO {role}; GRANT {role} TO {engineer}; \
             GRANT {role} TO {nobody}; SET DEFAULT ROLE {role} {to} {engineer}"
        ));
        by_role(database)
    })
}

const PHONE: &str = "SELECT phone FROM customers";

async fn shown(conn: &mut Conn) -> Vec<Vec<Option<String>>> {
    let cells = text(conn, PHONE).await.cells();
    assert_eq!(prepared(conn, PHONE, ()).await.cells(), cells);
    cells
}

async fn opened(kind: Kind) -> Shop<'static> {
    let shop = open(kind);
    let mut application = shop.connect(Who::Application).await;
    let answer = text(&mut application, "INSERT INTO customers (id, phone) VALUES (1, '+81 90-1234-5678')").await;
    assert!(matches!(answer, Answer::Done { affected: 1, .. }), "{answer:?}");
    shop
}

fn cell(value: &str) -> Vec<Vec<Option<String>>> {
    vec![vec![Some(value.to_owned())]]
}

async fn an_active_role_binds_at_login(kind: Kind) {
    let shop = opened(kind).await;
    assert_eq!(shown(&mut shop.connect(Who::Application).await).await, cell("+81 90-1234-5678"));
    assert_eq!(shown(&mut shop.connect(Who::Engineer).await).await, cell("+81****78"));
    refused(&mut shop.connect(Who::Engineer).await, "SELECT email FROM customers", 1143, "42000").await;
    refused(&mut shop.connect(Who::Nobody).await, PHONE, 1143, "42000").await;
    // Without the role, the engineer falls under the entry behind.
    let (role, engineer) = (format!("{}_rep", shop.database), shop.account(Who::Engineer));
    shop.deployment.server.sql(&format!("REVOKE {role} FROM {engineer}"));
    assert_eq!(shown(&mut shop.connect(Who::Engineer).await).await, cell("+81 90-1234-5678"));
}

async fn what_a_session_does_later_widens_nothing(kind: Kind) {
    let shop = opened(kind).await;
    let role = format!("{}_rep", shop.database);
    // It would see a mask had it begun with the role.
    let mut nobody = shop.connect(Who::Nobody).await;
    for sql in [format!("SET ROLE {role}"), "SET sql_mode = 'ANSI_QUOTES'".to_owned()] {
        assert!(matches!(text(&mut nobody, &sql).await, Answer::Done { .. }), "{sql}");
        refused(&mut nobody, PHONE, 1143, "42000").await;
    }
    // It would see the value had it begun without the role. Its state is asked for again after some of these.
    let mut engineer = shop.connect(Who::Engineer).await;
    for sql in ["SET ROLE NONE", "SET session_track_schema = 0", "SET SESSION session_track_system_variables = ''"] {
        assert!(matches!(text(&mut engineer, sql).await, Answer::Done { .. }), "{sql}");
        assert_eq!(shown(&mut engineer).await, cell("+81****78"), "after {sql}");
    }
    assert!(bounded(engineer.reset()).await.unwrap());
    bounded(engineer.query_drop("SET ROLE NONE")).await.unwrap();
    assert_eq!(shown(&mut engineer).await, cell("+81****78"), "after a reset");
    // A role that is granted in the meantime counts from the next login on.
    let nobody_name = shop.account(Who::Nobody);
    let to = match kind {
        Kind::MySql => "TO",
        Kind::MariaDb => "FOR",
    };
    shop.deployment.server.sql(&format!("SET DEFAULT ROLE {role} {to} {nobody_name}"));
    refused(&mut nobody, PHONE, 1143, "42000").await;
    assert_eq!(shown(&mut shop.connect(Who::Nobody).await).await, cell("+81****78"));
}
