//! The connections that exist, with counters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counters of one connection, or of all that are gone.
#[derive(Debug, Default)]
pub struct Counters {
    statements: AtomicU64,
    refusals: AtomicU64,
    bytes_to_client: AtomicU64,
    bytes_to_server: AtomicU64,
    unknown_keys: AtomicU64,
    repreparations: AtomicU64,
    over_budget: AtomicU64,
    near_budget: AtomicU64,
    searches: AtomicU64,
    searches_refused: AtomicU64,
}

/// The counters' values at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted since start.
    pub accepted: u64,
    /// Connections that exist.
    pub connections: u64,
    /// Statements received.
    pub statements: u64,
    /// Statements that the proxy refused.
    pub refusals: u64,
    /// Bytes written to clients in answers.
    pub bytes_to_client: u64,
    /// Bytes written to the server in commands.
    pub bytes_to_server: u64,
    /// Stored values met whose key the ring did not know.
    pub unknown_keys: u64,
    /// Prepared statements that were prepared again unseen by the client.
    pub repreparations: u64,
    /// Results that were ended because a budget was spent.
    pub over_budget: u64,
    /// Times that most of a budget was spent.
    pub near_budget: u64,
    /// Values that roles which do not see them searched for.
    pub searches: u64,
    /// Statements refused because their account had searched too often.
    pub searches_refused: u64,
}

impl Counters {
    pub(super) fn statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn to_client(&self, bytes: usize) {
        self.bytes_to_client.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn to_server(&self, bytes: usize) {
        self.bytes_to_server.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn unknown_key(&self) {
        self.unknown_keys.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn repreparation(&self) {
        self.repreparations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn over_budget(&self) {
        self.over_budget.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn near_budget(&self) {
        self.near_budget.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn searched(&self, values: u64) {
        self.searches.fetch_add(values, Ordering::Relaxed);
    }

    pub(super) fn search_refused(&self) {
        self.searches_refused.fetch_add(1, Ordering::Relaxed);
    }

    fn add_to(&self, totals: &mut Totals) {
        totals.statements += self.statements.load(Ordering::Relaxed);
        totals.refusals += self.refusals.load(Ordering::Relaxed);
        totals.bytes_to_client += self.bytes_to_client.load(Ordering::Relaxed);
        totals.bytes_to_server += self.bytes_to_server.load(Ordering::Relaxed);
        totals.unknown_keys += self.unknown_keys.load(Ordering::Relaxed);
        totals.repreparations += self.repreparations.load(Ordering::Relaxed);
        totals.over_budget += self.over_budget.load(Ordering::Relaxed);
        totals.near_budget += self.near_budget.load(Ordering::Relaxed);
        totals.searches += self.searches.load(Ordering::Relaxed);
        totals.searches_refused += self.searches_refused.load(Ordering::Relaxed);
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number since start; in logs and in texts to the client.
    pub id: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// The account that the server authenticated, as `user@host`.
    pub account: Mutex<Option<Arc<str>>>,
    /// Its counters.
    pub counters: Counters,
}

impl Connection {
    /// The number of the statement that is being decided: under it and the connection's own number the log has what an
    /// error's text leaves out.
    pub(super) fn statement(&self) -> u64 {
        self.counters.statements.load(Ordering::Relaxed)
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Registry {
    next_id: AtomicU64,
    known: Mutex<Known>,
}

/// Under one lock, or a connection that ends meanwhile would be counted twice or not at all, and a counter that falls looks
/// like a restart to whoever reads it.
#[derive(Debug, Default)]
struct Known {
    connections: HashMap<u64, Arc<Connection>>,
    /// Sums over those that are gone.
    gone: Totals,
}

/// A place in the registry, left on drop.
#[derive(Debug)]
pub(super) struct Place {
    registry: Arc<Registry>,
    pub(super) connection: Arc<Connection>,
}

impl Registry {
    /// The connections that exist, in no order.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.known().connections.values().cloned().collect()
    }

    /// Sums over all connections since start. None of them ever falls, but for the number of connections that exist.
    pub fn totals(&self) -> Totals {
        let known = self.known();
        let mut totals = known.gone;
        for connection in known.connections.values() {
            connection.counters.add_to(&mut totals);
        }
        totals.connections = known.connections.len() as u64;
        totals.accepted = self.next_id.load(Ordering::Relaxed);
        totals
    }

    /// Enters a connection; `None` if `connections_max` are there.
    pub(super) fn enter(self: &Arc<Self>, client: SocketAddr, connections_max: usize) -> Option<Place> {
        let mut known = self.known();
        if known.connections.len() >= connections_max {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = Arc::new(Connection { id, client, account: Mutex::default(), counters: Counters::default() });
        known.connections.insert(id, connection.clone());
        drop(known);
        Some(Place { registry: self.clone(), connection })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.registry.known();
        self.connection.counters.add_to(&mut known.gone);
        known.connections.remove(&self.connection.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sum_falls_while_connections_come_and_go() {
        let registry = Arc::new(Registry::default());
        let client = SocketAddr::from(([10, 0, 0, 1], 3306));
        std::thread::scope(|scope| {
            let come_and_go = || {
                for _ in 0..20_000 {
                    registry.enter(client, 10).unwrap().connection.counters.statement();
                }
            };
            let clients = [scope.spawn(come_and_go), scope.spawn(come_and_go)];
            let mut last = 0;
            while clients.iter().any(|client| !client.is_finished()) {
                let now = registry.totals().statements;
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
        assert_eq!((registry.totals().statements, registry.totals().connections), (40_000, 0));
    }
}
