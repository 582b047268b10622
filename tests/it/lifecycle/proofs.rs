//! Records of verifications, as `candado column verify` writes them, put there by hand.

use crate::support::server::Server;

/// A record of a scan.
#[derive(Clone, Debug)]
pub(super) struct Proof<'a> {
    /// The column's context.
    pub(super) context: &'a str,
    /// When the scan began, as SQL.
    pub(super) started: &'a str,
    /// Whether it came to its end.
    pub(super) finished: bool,
    /// Cells by data key, JSON.
    pub(super) by_kid: &'a str,
    /// Cells by version of the index key, JSON.
    pub(super) by_index: &'a str,
}

impl<'a> Proof<'a> {
    /// A scan that began now and found nothing.
    pub(super) fn clean(context: &'a str) -> Self {
        Self { context, started: "UTC_TIMESTAMP(6)", finished: true, by_kid: "{}", by_index: "{}" }
    }

    pub(super) fn write(&self, server: &Server, schema: &str) {
        let Self { context, started, finished, by_kid, by_index } = self;
        let finished = if *finished { "UTC_TIMESTAMP(6)" } else { "NULL" };
        server.sql(&format!(
            "CREATE TABLE IF NOT EXISTS {schema}.proof (proof_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, \
             context VARBINARY(578) NOT NULL, kind ENUM('sealed','plain','count') NOT NULL, \
             epoch BIGINT UNSIGNED NOT NULL, started_at DATETIME(6) NOT NULL, finished_at DATETIME(6) NULL, \
             rows_scanned BIGINT UNSIGNED NOT NULL, nulls BIGINT UNSIGNED NOT NULL, plaintexts BIGINT UNSIGNED NOT NULL, \
             by_kid JSON NOT NULL, by_index_version JSON NOT NULL, digest BINARY(32) NOT NULL); \
             INSERT INTO {schema}.proof (context, kind, epoch, started_at, finished_at, rows_scanned, nulls, plaintexts, \
             by_kid, by_index_version, digest) \
             VALUES ('{context}', 'count', 1, {started}, {finished}, 0, 0, 0, '{by_kid}', '{by_index}', '')"
        ));
    }
}

/// Moves the end of a key's writing, and the moment of its last change, into the past.
pub(crate) fn age(server: &Server, schema: &str, kid: u32, hours: u32) {
    server.sql(&format!(
        "UPDATE {schema}.data_key SET deactivated_at = deactivated_at - INTERVAL {hours} HOUR, \
         changed_at = changed_at - INTERVAL {hours} HOUR WHERE kid = {kid}"
    ));
}
