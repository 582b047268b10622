//! Waits for whoever may still write as before a change: proxies that fell silent before they acknowledged it, and
//! transactions that began before every proxy knew of it.

use std::collections::HashSet;
use std::time::Duration;

use mysql_async::prelude::FromRow;
use tokio::time::{Instant, sleep};

use super::ColumnError;
use super::monitor::{Event, Observer};
use crate::control::{ControlError, KeyStore, LEASE, Pool, Session};

/// Longer than 100 ms: the server answers from a copy of the list that it renews only when nobody has read it for so long.
const POLL: Duration = Duration::from_millis(500);
const DOING: &str = "look at open transactions";
/// The server's code for bytes that are no text of a character set.
const NOT_TEXT: u16 = 3854;
/// How long the list of transactions may be unreadable.
const UNREADABLE_MAX: Duration = Duration::from_secs(60);

/// A transaction as the server tells it apart: its connection and the moment when it began. The id that the server gives
/// it changes when it begins to write.
type Transaction = (u64, String);

/// Waits until the lease of every proxy that never acknowledged the epoch is over. Twice the lease leaves room for its
/// last report to be older than what it last read. Whoever still reports is the fence's affair.
pub(super) async fn leases(store: &KeyStore, epoch: u64, observer: &dyn Observer) -> Result<(), ColumnError> {
    loop {
        let sql = format!(
            "SELECT COUNT(*) FROM {}.replica WHERE loaded_epoch < {epoch} \
             AND last_seen > UTC_TIMESTAMP(6) - INTERVAL {} SECOND",
            store.schema,
            LEASE.as_secs().saturating_mul(2)
        );
        let mut session = store.pool.session(DOING, store.pool.operation_timeout).await?;
        let silent: Vec<u64> = session.rows(&sql).await.map_err(ColumnError::from)?;
        if silent == [0] {
            return Ok(());
        }
        observer.hear(Event::Waiting("the leases of proxies that fell silent".to_owned()));
        drop(session);
        sleep(POLL).await;
    }
}

/// Waits until no transaction that is open now is open any more.
pub(super) async fn wait(pool: &Pool, observer: &dyn Observer, patience: Duration) -> Result<(), ColumnError> {
    let started = Instant::now();
    let before = open(pool).await?;
    loop {
        let now = open(pool).await?;
        let mut left: Vec<u64> = before.intersection(&now).map(|(connection, _)| *connection).collect();
        if left.is_empty() {
            return Ok(());
        }
        left.sort_unstable();
        let who = left.iter().map(|id| format!("connection {id}")).collect::<Vec<_>>().join(", ");
        if started.elapsed() > patience {
            return Err(ColumnError::TransactionsOpen { seconds: patience.as_secs(), who });
        }
        observer.hear(Event::Waiting(format!("transactions that are still open: {who}")));
        sleep(POLL).await;
    }
}

async fn open(pool: &Pool) -> Result<HashSet<Transaction>, ControlError> {
    let rows: Vec<Transaction> = listed(
        pool,
        "SELECT trx_mysql_thread_id, CAST(trx_started AS CHAR) FROM information_schema.innodb_trx \
         WHERE trx_mysql_thread_id <> CONNECTION_ID()",
    )
    .await?;
    Ok(rows.into_iter().collect())
}

/// For how many seconds the oldest transaction has been open, rounded up; 0 if there is none. Both moments are read from
/// the same list: it shows them in the server's time zone, whatever the session's is.
pub(super) async fn oldest(pool: &Pool) -> Result<u64, ControlError> {
    loop {
        let rows: Vec<(u64, u64)> = listed(
            pool,
            "SELECT COUNT(*), CAST(COALESCE(MAX(IF(o.trx_mysql_thread_id = CONNECTION_ID(), 0, \
             GREATEST(0, TIMESTAMPDIFF(SECOND, o.trx_started, own.trx_started)) + 1)), 0) AS UNSIGNED) \
             FROM information_schema.innodb_trx own JOIN information_schema.innodb_trx o \
             WHERE own.trx_mysql_thread_id = CONNECTION_ID()",
        )
        .await?;
        match rows.first() {
            Some((1.., seconds)) => return Ok(*seconds),
            // The list is from a moment before the transaction of this session.
            Some((0, _)) | None => sleep(POLL).await,
        }
    }
}

/// Reads from the list of transactions, inside one.
///
/// The list carries the statement that each transaction runs, also if nobody asks for it, and MySQL gives no list while
/// one of them is no text: bytes that are a parameter. Such a statement ends, so the list is asked for again. The
/// server's error shows the bytes and goes no further.
async fn listed<T: FromRow + Send + 'static>(pool: &Pool, sql: &str) -> Result<Vec<T>, ControlError> {
    let started = Instant::now();
    loop {
        let mut session: Session = pool.session(DOING, pool.operation_timeout).await?;
        session.control("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        match session.rows(sql).await {
            Ok(rows) => {
                session.control("COMMIT").await?;
                return Ok(rows);
            }
            Err(ControlError::Refused { code: NOT_TEXT, .. }) if started.elapsed() < UNREADABLE_MAX => {
                sleep(POLL).await;
            }
            Err(ControlError::Refused { code: NOT_TEXT, .. }) => {
                return Err(ControlError::Malformed { what: "a statement in the list of transactions" });
            }
            Err(error) => return Err(error),
        }
    }
}
