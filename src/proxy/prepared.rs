//! The prepared statements of a connection, by the server's statement id.

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot::Snapshot;
use super::statement::{Opening, Reading};
use crate::client_error::{ClientError, Complaint};
use crate::plan::QueryPlan;
use crate::rewrite::{LongData, ParamMap, ParamTypes, ResultColumn};

/// The statement id that means the last one prepared (MariaDB's connectors, which execute before they know the id).
const LAST: u32 = u32::MAX;

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The client's text: it is planned again when policy or catalog change.
    pub(super) sql: Box<[u8]>,
    pub(super) reading: Reading,
    pub(super) plan: Arc<QueryPlan>,
    /// `None`: nothing is stored or looked up.
    pub(super) map: Option<ParamMap>,
    pub(super) types: ParamTypes,
    pub(super) long_data: LongData,
    /// Why the next execution is refused: errors of COM_STMT_SEND_LONG_DATA, which has no answer.
    pub(super) failed: Option<ClientError>,
    pub(super) made_under: Versions,
    /// Rows that wait for COM_STMT_FETCH, if they are opened.
    pub(super) cursor: Option<Cursor>,
}

/// Versions of what a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    policy: u64,
    catalog: u64,
    ring: Option<u64>,
}

impl Versions {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            policy: snapshot.policy.version(),
            catalog: snapshot.catalog.version,
            ring: snapshot.keys().map(crate::keys::KeyRing::version),
        }
    }
}

/// An open cursor whose rows are opened.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) opening: Opening,
    /// The columns as the server announced them.
    pub(super) columns: Vec<ResultColumn>,
}

/// All prepared statements of a connection.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_id: HashMap<u32, Prepared>,
    last: u32,
    /// Bytes of long data held over all of them.
    held_octets: usize,
}

impl Statements {
    /// Keeps a statement that the server has just prepared.
    pub(super) fn insert(&mut self, id: u32, prepared: Prepared) {
        self.last = id;
        self.close(id);
        self.by_id.insert(id, prepared);
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn resolve(&self, id: u32) -> u32 {
        if id == LAST { self.last } else { id }
    }

    /// A statement by id.
    pub(super) fn find(&mut self, id: u32) -> Option<&mut Prepared> {
        let id = self.resolve(id);
        self.by_id.get_mut(&id)
    }

    /// Takes a statement out, to be put back by [`Statements::restore`].
    pub(super) fn take(&mut self, id: u32) -> Option<(u32, Prepared)> {
        let id = self.resolve(id);
        self.by_id.remove(&id).map(|prepared| (id, prepared))
    }

    /// Puts back what [`Statements::take`] took.
    pub(super) fn restore(&mut self, id: u32, prepared: Prepared) {
        self.by_id.insert(id, prepared);
    }

    /// Forgets a statement.
    pub(super) fn close(&mut self, id: u32) {
        let id = self.resolve(id);
        if let Some(prepared) = self.by_id.remove(&id) {
            self.held_octets = self.held_octets.saturating_sub(prepared.long_data.octets());
        }
    }

    /// COM_STMT_RESET: long data and cursor are gone.
    pub(super) fn reset(&mut self, id: u32) {
        let id = self.resolve(id);
        if let Some(prepared) = self.by_id.get_mut(&id) {
            self.held_octets = self.held_octets.saturating_sub(prepared.long_data.octets());
            prepared.long_data.clear();
            prepared.failed = None;
            prepared.cursor = None;
        }
    }

    /// Takes a piece of long data. Returns the server's parameter number if the piece is sent on.
    pub(super) fn long_data(&mut self, id: u32, param: u16, piece: &[u8], octets_max: usize) -> Option<u16> {
        use crate::rewrite::LongDataRoute;
        let id = self.resolve(id);
        // The server drops what belongs to no statement, too.
        let Some(prepared) = self.by_id.get_mut(&id) else { return Some(param) };
        let Some(map) = &prepared.map else { return Some(param) };
        let before = prepared.long_data.octets();
        let others = self.held_octets.saturating_sub(before);
        let route = prepared.long_data.accept(map, param, piece, octets_max.saturating_sub(others));
        self.held_octets = others.saturating_add(prepared.long_data.octets());
        match route {
            Ok(LongDataRoute::Hold) => None,
            Ok(LongDataRoute::Forward { server_param }) => Some(server_param),
            Ok(LongDataRoute::Unknown) => {
                prepared.failed = Some(Complaint::Malformed.into());
                None
            }
            Err(error) => {
                prepared.failed = Some(ClientError::from(&error));
                None
            }
        }
    }

    /// Long data belong to one execution.
    pub(super) fn executed(&mut self, prepared: &mut Prepared) {
        self.held_octets = self.held_octets.saturating_sub(prepared.long_data.octets());
        prepared.long_data.clear();
        prepared.cursor = None;
    }
}
