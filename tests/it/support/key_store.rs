//! `keys-policy/schema.sql` on a test's server: the tables under a name of the test's own, the accounts as the file
//! makes them. Everything that a test does through them is done with the file's privileges.

use std::time::Duration;

use candado::control::{KeyStore, Pool, Settings, Tls};

use super::server::Server;

pub(crate) const PROXY: &str = "candado_proxy";
pub(crate) const SECURITY: &str = "candado_security";
pub(crate) const BACKFILL: &str = "candado_backfill";
pub(crate) const AUDITOR: &str = "candado_auditor";
/// Password of all accounts.
pub(crate) const PASSWORD: &str = "control-password";

/// Runs the file with another schema name and opens the accounts. Returns the name.
pub(crate) fn create(server: &Server) -> String {
    let schema = server.database("keys");
    server.sql(&script(&schema));
    schema
}

/// `schema.sql` for a schema of that name, and what the administrator does after it.
pub(crate) fn script(schema: &str) -> String {
    let file = include_str!("../../../keys-policy/schema.sql");
    let tables =
        file.replace("candado.", &format!("{schema}.")).replace("EXISTS candado ", &format!("EXISTS {schema} "));
    let open = |account: &str| format!("ALTER USER '{account}'@'%' IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK;\n");
    format!("{tables}\n{}{}{}{}", open(PROXY), open(SECURITY), open(BACKFILL), open(AUDITOR))
}

/// Control connections under one of the accounts, over TLS.
pub(crate) fn pool(server: &Server, account: &str) -> Pool {
    Pool::new(&settings(server, account))
}

/// The key store of that schema under one of the accounts.
pub(crate) fn key_store(server: &Server, account: &str, schema: &str) -> KeyStore {
    KeyStore::new(pool(server, account), schema)
}

pub(crate) fn settings(server: &Server, account: &str) -> Settings {
    Settings {
        host: server.host.clone(),
        port: server.port,
        user: account.to_owned(),
        password: PASSWORD.to_owned().into(),
        tls: Tls::Verified { ca_file: Some(server.ca.clone()), server_name: None, identity: None },
        operation_timeout: Duration::from_secs(30),
        catalog_timeout: Duration::from_secs(60),
    }
}
