//! What most tests of the running program need: a database with a protected table and its unprotected twin, accounts for
//! each role, a proxy with the policy for them, and connections whose answers can be compared.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn, Error, OptsBuilder, Params, Row, SslOpts, Value};

use super::proxy::{Deployment, KEYSET, PATIENCE, Proxy, Tls, wait_until};
use super::server::Kind;

/// Password of every account.
pub(crate) const SECRET: &str = "application-password";

/// The protected columns of `customers`.
pub(crate) const PROTECTED: [&str; 5] = ["phone", "email", "code", "address", "note"];

/// Columns of `customers` as the server has them; those of `people` are what applications think that they are.
const STORED: &str = "id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), \
    phone VARBINARY(256) CHECK (phone IS NULL OR SUBSTRING(phone, 1, 4) = 0xC1FE1D01), \
    email VARBINARY(1024) CHECK (email IS NULL OR SUBSTRING(email, 1, 4) = 0xC1FE1D01), \
    code VARBINARY(256) CHECK (code IS NULL OR SUBSTRING(code, 1, 4) = 0xC1FE1D01), \
    address VARBINARY(1200) CHECK (address IS NULL OR SUBSTRING(address, 1, 4) = 0xC1FE1D01), \
    note MEDIUMBLOB CHECK (note IS NULL OR SUBSTRING(note, 1, 4) = 0xC1FE1D01), \
    KEY by_phone (phone(23)), KEY by_email (email(23)), KEY by_code (code(23))";
const APPARENT: &str = "id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), email VARCHAR(190), \
    code VARCHAR(30), address VARCHAR(255), note TEXT, KEY by_phone (phone), KEY by_email (email), KEY by_code (code)";

/// Shadow mode, as configured behind `[limits]`. The report lies in the proxy's folder.
pub(crate) const SHADOW: &str = "[shadow]\nreport = \"shadow.jsonl\"\ninterval_s = 86400";

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Role with access "plain".
    Application,
    /// Role with access "deny".
    Engineer,
    /// Role with access "plain" but for `address`.
    Support,
    /// No entry in the policy.
    Nobody,
}

impl Who {
    const ALL: [Self; 4] = [Self::Application, Self::Engineer, Self::Support, Self::Nobody];

    fn suffix(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Engineer => "eng",
            Self::Support => "sup",
            Self::Nobody => "nob",
        }
    }
}

/// The database with its proxy.
#[derive(Debug)]
pub(crate) struct Shop<'a> {
    pub(crate) proxy: Proxy,
    pub(crate) deployment: &'a Deployment,
    pub(crate) database: String,
    tls: Tls,
}

impl Shop<'static> {
    /// On the process's server of that kind.
    pub(crate) fn open(kind: Kind) -> Self {
        Self::open_on(Deployment::shared(kind), Tls::Off)
    }
}

impl<'a> Shop<'a> {
    /// On that server.
    pub(crate) fn open_on(deployment: &'a Deployment, tls: Tls) -> Self {
        let database = prepare(deployment);
        let proxy = Proxy::start(deployment, &policy(&database), tls);
        Self { proxy, deployment, database, tls }
    }

    /// On that server, with a policy of the test's own, made from the database's name. Its keys are made.
    pub(crate) fn open_as(deployment: &'a Deployment, policy: impl FnOnce(&str) -> String) -> Self {
        let database = prepare(deployment);
        let policy = policy(&database);
        deployment.security_team(&policy).done(&["init"]);
        let proxy = Proxy::start(deployment, &policy, Tls::Off);
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// On that server, with the columns as they were before anybody thought of protecting them.
    pub(crate) fn open_plain(deployment: &'a Deployment) -> Self {
        Self::open_plain_as(deployment, policy)
    }

    /// The same with a policy of the test's own.
    pub(crate) fn open_plain_as(deployment: &'a Deployment, policy: impl FnOnce(&str) -> String) -> Self {
        let database = prepare_as(deployment, APPARENT);
        deployment.server.sql(&stages(&database, "plain"));
        let proxy = Proxy::start(deployment, &policy(&database), Tls::Off);
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// On that server, in shadow mode, with the columns as they were before anybody thought of protecting them.
    pub(crate) fn open_in_shadow(deployment: &'a Deployment) -> Self {
        let database = prepare_as(deployment, APPARENT);
        let proxy = Proxy::start_with_limits(deployment, &policy(&database), Tls::Off, SHADOW);
        proxy.wait_ready();
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// Moves all protected columns to a stage, and waits until the proxy works there. The catalog is loaded as well.
    pub(crate) fn move_to(&self, stage: &str) {
        let epoch: u64 = self.deployment.server.sql(&stages(&self.database, stage)).trim().parse().unwrap();
        let opened = |event: &serde_json::Value| {
            event["message"] == "keys opened" && event["epoch"].as_u64().is_some_and(|opened| opened >= epoch)
        };
        wait_until("the proxy knows the stage", || self.proxy.events().iter().any(opened));
    }

    /// On that server, behind a proxy with these lines under `[limits]`.
    pub(crate) fn open_with_limits(deployment: &'a Deployment, limits: &str) -> Self {
        let database = prepare(deployment);
        let proxy = Proxy::start_with_limits(deployment, &policy(&database), Tls::Off, limits);
        proxy.wait_ready();
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// On that server, with a policy of the test's own that has environments, in one of them.
    pub(crate) fn open_in(deployment: &'a Deployment, policy: impl FnOnce(&str) -> String, environment: &str) -> Self {
        let database = prepare(deployment);
        let folder = tempfile::Builder::new().prefix("candado-it-").tempdir().unwrap();
        let config = deployment.write(folder.path(), &policy(&database), Tls::Off);
        let text = std::fs::read_to_string(&config).unwrap();
        let named = format!("[policy]\nenvironment = \"{environment}\"\n");
        std::fs::write(&config, text.replace("[policy]\n", &named)).unwrap();
        let proxy = Proxy::launch(deployment.command("AKIAPROXY"), folder, &config, "127.0.0.1");
        proxy.wait_ready();
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// On that server, with a policy of the test's own and these lines under `[limits]`.
    pub(crate) fn open_with(
        deployment: &'a Deployment,
        policy: impl FnOnce(&str) -> String,
        tls: Tls,
        limits: &str,
    ) -> Self {
        let database = prepare(deployment);
        let proxy = Proxy::start_with_limits(deployment, &policy(&database), tls, limits);
        proxy.wait_ready();
        Self { proxy, deployment, database, tls }
    }

    /// On that server, without waiting for the proxy to be ready.
    pub(crate) fn open_unready(deployment: &'a Deployment) -> Self {
        let database = prepare(deployment);
        let proxy = Proxy::start_unready(deployment, &policy(&database), Tls::Off);
        Self { proxy, deployment, database, tls: Tls::Off }
    }

    /// Starts another proxy, as after a crash. The old one ends.
    pub(crate) fn restart(&mut self) {
        self.proxy = Proxy::start(self.deployment, &policy(&self.database), self.tls);
    }

    /// Name of an account.
    pub(crate) fn account(&self, who: Who) -> String {
        format!("{}_{}", self.database, who.suffix())
    }

    /// A connection through the proxy.
    pub(crate) async fn connect(&self, who: Who) -> Conn {
        self.try_connect(who).await.unwrap()
    }

    /// The same where it may fail.
    pub(crate) async fn try_connect(&self, who: Who) -> Result<Conn, Error> {
        let mut options = self.options(self.proxy.port).user(Some(self.account(who))).pass(Some(SECRET));
        if self.tls == Tls::On {
            options = options.ssl_opts(trusting(&self.deployment.server.ca));
        }
        bounded(Conn::new(options)).await
    }

    /// A connection inside TLS, if the proxy's certificate comes from this authority.
    pub(crate) async fn connect_trusting(&self, who: Who, authority: &Path) -> Result<Conn, Error> {
        let options = self.options(self.proxy.port).user(Some(self.account(who))).pass(Some(SECRET));
        bounded(Conn::new(options.ssl_opts(trusting(authority)))).await
    }

    /// A connection straight to the server, as root.
    pub(crate) async fn direct(&self) -> Conn {
        bounded(Conn::new(self.options(self.deployment.server.port).user(Some("root")))).await.unwrap()
    }

    fn options(&self, port: u16) -> OptsBuilder {
        options("127.0.0.1", port, &self.database)
    }

    /// What one cell really holds.
    pub(crate) fn stored(&self, column: &str, id: u32) -> String {
        let sql = format!("SELECT HEX({column}) FROM `{}`.customers WHERE id = {id}", self.database);
        self.deployment.server.sql(&sql).trim_end().to_owned()
    }

    /// Checks that every protected cell is NULL or an envelope.
    pub(crate) fn assert_sealed(&self) {
        for column in PROTECTED {
            let sql = format!(
                "SELECT COUNT(*) FROM `{}`.customers WHERE NOT ({column} IS NULL OR HEX({column}) LIKE 'C1FE1D01%')",
                self.database
            );
            assert_eq!(self.deployment.server.sql(&sql), "0\n", "{column} holds plaintext");
        }
    }
}

/// SQL that moves all protected columns of a database to a stage. Its result is the epoch.
fn stages(database: &str, stage: &str) -> String {
    let rows: Vec<String> =
        PROTECTED.iter().map(|column| format!("('{database}.customers.{column}', '{stage}', NOW(6))")).collect();
    format!(
        "REPLACE INTO candado.column_stage (context, stage, changed_at) VALUES {}; \
         UPDATE candado.epoch SET epoch = epoch + 1; SELECT epoch FROM candado.epoch",
        rows.join(", ")
    )
}

/// How tests connect to a database.
pub(crate) fn options(host: &str, port: u16, database: &str) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .db_name(Some(database.to_owned()))
        .prefer_socket(false)
        // Otherwise the driver asks, and a proxy without keys refuses.
        .max_allowed_packet(Some(64 << 20))
        .wait_timeout(Some(28_800))
        .stmt_cache_size(0)
}

fn trusting(authority: &Path) -> SslOpts {
    SslOpts::default().with_root_certs(vec![authority.to_owned().into()]).with_disable_built_in_roots(true)
}

/// Makes a shop's database and accounts; returns its name.
pub(crate) fn prepare(deployment: &Deployment) -> String {
    prepare_as(deployment, STORED)
}

/// The same with the columns as they were before anybody thought of protecting them.
pub(crate) fn prepare_plain(deployment: &Deployment) -> String {
    prepare_as(deployment, APPARENT)
}

fn prepare_as(deployment: &Deployment, stored: &str) -> String {
    let database = deployment.server.database("shop");
    let mut sql = format!(
        "USE `{database}`; CREATE TABLE customers ({stored}) CHARACTER SET utf8mb4; \
         CREATE TABLE people ({APPARENT}) CHARACTER SET utf8mb4; \
         CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, remark VARCHAR(200), UNIQUE KEY (remark)) \
         CHARACTER SET utf8mb4;"
    );
    for who in Who::ALL {
        let user = format!("{database}_{}", who.suffix());
        sql.push_str(&format!("CREATE USER {user} IDENTIFIED BY '{SECRET}'; GRANT ALL ON `{database}`.* TO {user};"));
    }
    deployment.server.sql(&sql);
    database
}

/// The policy of a shop.
pub(crate) fn policy(database: &str) -> String {
    let column = |name: &str, kind: &str, index: &str| {
        format!(
            "[[column]]\nname = \"{database}.customers.{name}\"\nkeyset = \"{KEYSET}\"\ntype = \"{kind}\"\n{index}\n"
        )
    };
    let account =
        |who: Who, role: &str| format!("[[account]]\nuser = \"{database}_{}\"\nrole = \"{role}\"\n", who.suffix());
    [
        format!("keysets = [\"{KEYSET}\"]\n"),
        column("phone", "varchar(40)", "index = { normaliser = \"e164\", region = \"JP\" }"),
        column("email", "varchar(190)", "index = { normaliser = \"email\" }"),
        column("code", "varchar(30)", "index = { normaliser = \"raw\" }"),
        column("address", "varchar(255)", ""),
        column("note", "text", ""),
        format!(
            "[role.application]\naccess = \"plain\"\n[role.engineer]\naccess = \"deny\"\n[role.support]\n\
             access = \"plain\"\ncolumns = {{ \"{database}.customers.address\" = \"deny\" }}\n"
        ),
        // Root, for clients that speak the protocol by hand: it has no password.
        "[[account]]\nuser = \"root\"\nrole = \"application\"\n".to_owned(),
        account(Who::Application, "application"),
        account(Who::Engineer, "engineer"),
        account(Who::Support, "support"),
    ]
    .concat()
}

/// The same with a firewall that only observes the application: generated statements say things that honest ones do not.
pub(crate) fn observing_policy(database: &str) -> String {
    policy(database).replace("role = \"application\"\n", "role = \"application\"\nfirewall = \"observe\"\n")
}

/// What a driver tells the application about a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) name: String,
    kind: String,
    charset: u16,
    length: u32,
    flags: String,
    decimals: u8,
}

impl Shape {
    /// Without what depends on how the server carries a column through a nested query: size and kind of a TEXT, and
    /// what depends on the optimiser: the keys that it makes for its own use, and in MariaDB also whether it takes an
    /// outer join for an inner one, so that a column cannot be NULL.
    pub(crate) fn of_nested(mut self, kind: Kind) -> Self {
        if self.kind.ends_with("BLOB") {
            return Self { kind: "text".to_owned(), length: 0, flags: String::new(), ..self };
        }
        let by_optimiser: &[&str] = match kind {
            Kind::MySql => &["MULTIPLE_KEY_FLAG", "PART_KEY_FLAG"],
            Kind::MariaDb => &["MULTIPLE_KEY_FLAG", "PART_KEY_FLAG", "NOT_NULL_FLAG"],
        };
        for key in by_optimiser {
            self.flags =
                self.flags.replace(&format!("{key} | "), "").replace(&format!(" | {key}"), "").replace(key, "0x0");
        }
        self
    }

    /// Without what MySQL announces of an expression in which a parameter stands beside a column: the widest text there
    /// is, whatever the column's width.
    pub(crate) fn of_parameters(self) -> Self {
        if self.kind == "text" || self.kind == "MYSQL_TYPE_VAR_STRING" {
            return Self { kind: "text".to_owned(), length: 0, flags: String::new(), ..self };
        }
        self
    }

    /// Without what depends on whether the server groups rows by an index or in a table of its own: flags, the width of
    /// integers, and in MariaDB the name, which it takes from deeper inside.
    pub(crate) fn of_groups(self, server: Kind) -> Self {
        let kind = if self.kind == "MYSQL_TYPE_LONG" { "MYSQL_TYPE_LONGLONG".to_owned() } else { self.kind };
        let name = match server {
            Kind::MySql => self.name,
            Kind::MariaDb => String::new(),
        };
        Self { name, kind, flags: String::new(), decimals: 0, ..self }
    }

    /// Without the width of integers, which neither server carries through a set operation as through a group.
    pub(crate) fn of_compared_rows(self) -> Self {
        let length = if self.kind == "MYSQL_TYPE_LONGLONG" { 0 } else { self.length };
        Self { length, ..self }
    }

    fn of(column: &Column) -> Self {
        Self {
            name: column.name_str().into_owned(),
            kind: format!("{:?}", column.column_type()),
            charset: column.character_set(),
            length: column.column_length(),
            flags: format!("{:?}", column.flags()),
            decimals: column.decimals(),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A result set.
    Rows { columns: Vec<Shape>, rows: Vec<Vec<Value>> },
    /// OK.
    Done { affected: u64, last_insert_id: Option<u64> },
    /// An error packet.
    Refused { code: u16, state: String, text: String },
    /// No answer: the connection is gone.
    Lost,
}

impl Answer {
    /// The rows of a result set, cells as text.
    pub(crate) fn cells(&self) -> Vec<Vec<Option<String>>> {
        let Self::Rows { rows, .. } = self else { panic!("no rows: {self:?}") };
        rows.iter().map(|row| row.iter().map(cell).collect()).collect()
    }

    /// Code and SQLSTATE of an error.
    pub(crate) fn error(&self) -> (u16, &str) {
        let Self::Refused { code, state, .. } = self else { panic!("no error: {self:?}") };
        (*code, state)
    }
}

/// A cell as text.
pub(crate) fn cell(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.clone()).unwrap_or_else(|_| format!("{bytes:02x?}"))),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// Runs a statement over COM_QUERY.
pub(crate) async fn text(conn: &mut Conn, sql: impl AsRef<[u8]>) -> Answer {
    let sql = sql.as_ref().to_vec();
    bounded(async {
        let mut result = conn.query_iter(sql).await?;
        collect(&mut result).await
    })
    .await
    .unwrap_or_else(failed)
}

/// Runs a statement over COM_STMT_PREPARE and COM_STMT_EXECUTE.
pub(crate) async fn prepared(conn: &mut Conn, sql: &str, params: impl Into<Params>) -> Answer {
    let params = params.into();
    bounded(async {
        let statement = conn.prep(sql).await?;
        let mut result = conn.exec_iter(&statement, params).await?;
        let answer = collect(&mut result).await?;
        drop(result);
        conn.close(statement).await?;
        Ok(answer)
    })
    .await
    .unwrap_or_else(failed)
}

async fn collect<P>(result: &mut mysql_async::QueryResult<'_, '_, P>) -> Result<Answer, Error>
where
    P: mysql_async::prelude::Protocol,
{
    let columns: Vec<Shape> = result.columns_ref().iter().map(Shape::of).collect();
    if columns.is_empty() {
        return Ok(Answer::Done { affected: result.affected_rows(), last_insert_id: result.last_insert_id() });
    }
    let rows: Vec<Row> = result.collect().await?;
    Ok(Answer::Rows { columns, rows: rows.into_iter().map(Row::unwrap).collect() })
}

fn failed(error: Error) -> Answer {
    match error {
        Error::Server(error) => Answer::Refused { code: error.code, state: error.state, text: error.message },
        Error::Io(_) | Error::Driver(_) => Answer::Lost,
        other => panic!("{other}"),
    }
}

/// Runs something that must end: a hang fails the test.
pub(crate) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("an answer or the end of the connection")
}

/// The statement is answered with that error, and the connection goes on: the next answer belongs to the next statement.
pub(crate) async fn refused(conn: &mut Conn, sql: &str, code: u16, state: &str) {
    let answer = text(conn, sql).await;
    assert!(
        matches!(&answer, Answer::Refused { code: found, state: sqlstate, .. } if *found == code && sqlstate == state),
        "{sql}\nis answered by {answer:?} instead of {code} ({state})"
    );
    assert_in_step(conn, sql).await;
}

/// The same over the prepared protocol; the statement may fail when it is prepared or when it is executed.
pub(crate) async fn refused_prepared(conn: &mut Conn, sql: &str, params: impl Into<Params>, code: u16, state: &str) {
    let answer = prepared(conn, sql, params).await;
    assert!(
        matches!(&answer, Answer::Refused { code: found, state: sqlstate, .. } if *found == code && sqlstate == state),
        "prepared {sql}\nis answered by {answer:?} instead of {code} ({state})"
    );
    assert_in_step(conn, sql).await;
}

/// The connection works and its answers are not shifted.
pub(crate) async fn assert_in_step(conn: &mut Conn, after: &str) {
    let answer = text(conn, "SELECT 'in', 'step'").await;
    assert!(matches!(&answer, Answer::Rows { .. }), "after {after}\n{answer:?}");
    assert_eq!(answer.cells(), [[Some("in".to_owned()), Some("step".to_owned())]], "after {after}");
}
