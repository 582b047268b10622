//! The prepared statements of a connection, by the statement id that the client knows. It is the server's own, until a
//! statement is prepared again.

use std::collections::HashMap;
use std::sync::Arc;

use super::reprepare::{Pieces, Reprepare};
use super::snapshot::Snapshot;
use super::statement::{Opening, Reading};
use crate::audit::Asked;
use crate::client_error::{ClientError, Complaint};
use crate::keys::KeyRing;
use crate::plan::QueryPlan;
use crate::rewrite::{ColumnName, LongData, ParamMap, ParamTypes, ResultColumn};
use crate::wire::response::PrepareOk;

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
    /// Names of the result's columns that are restored.
    pub(super) names: Arc<[ColumnName]>,
    /// What the record of accesses will say of its executions.
    pub(super) asked: Option<Arc<Asked>>,
    pub(super) types: ParamTypes,
    pub(super) long_data: LongData,
    /// Why the next execution is refused: errors of COM_STMT_SEND_LONG_DATA, which has no answer.
    pub(super) failed: Option<ClientError>,
    pub(super) made_under: Versions,
    /// What the server holds.
    pub(super) text: Text,
    /// The server's statement id.
    pub(super) server_id: u32,
    /// Columns of the result, as the client was told.
    pub(super) columns: u16,
    /// Once prepared again: how parameters pass that [`Prepared::map`] leaves alone. The server knows no types of them.
    pub(super) copies: Option<ParamMap>,
    /// Whether pieces of long data went to the server since the last execution.
    pub(super) pieces_sent: PiecesSent,
    /// Rows that wait for COM_STMT_FETCH, if they are opened.
    pub(super) cursor: Option<Cursor>,
}

/// The text that the server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The client's.
    AsWritten,
    /// A rewritten one with this digest.
    Rewritten([u8; 32]),
}

/// Whether pieces of long data went to the server since the last execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PiecesSent {
    No,
    Yes,
}

/// Versions of what a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    policy: u64,
    catalog: u64,
    /// The ring's digest: it differs when keys, their states or stages of columns do.
    ring: Option<[u8; 32]>,
    /// The key store's epoch, if values have keys of single data subjects: it grows with every erasure, and the server
    /// may hold literals that were sealed under such a key.
    subjects: Option<u64>,
    /// Grows with what is known of accounts: an exception may be gone.
    profiles: u64,
}

impl Versions {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            policy: snapshot.policy.version(),
            catalog: snapshot.catalog.version,
            ring: snapshot.keys().map(|ring| *ring.digest()),
            profiles: snapshot.profiles.version(),
            subjects: snapshot.keys().filter(|ring| ring.all_subjects().next().is_some()).map(KeyRing::version),
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
    /// Bytes of all their texts.
    text_octets: usize,
    /// Bytes of long data held over all of them.
    held_octets: usize,
}

impl Statements {
    /// Keeps a statement that the server has just prepared.
    pub(super) fn insert(&mut self, ok: PrepareOk, prepared: Prepared) {
        let id = ok.statement;
        self.last = id;
        self.close(id);
        self.text_octets = self.text_octets.saturating_add(prepared.sql.len());
        self.by_id.insert(id, Prepared { server_id: id, columns: ok.columns, ..prepared });
    }

    /// Puts another statement of the server in the place of the one that a statement was. Gives the old one's id, and
    /// whether pieces of long data are in place.
    pub(super) fn replace(&mut self, id: u32, server_id: u32, again: Reprepare) -> Option<(u32, Pieces)> {
        let prepared = self.by_id.get_mut(&id)?;
        let before = std::mem::replace(&mut prepared.server_id, server_id);
        let in_place = prepared.pieces_sent == PiecesSent::No && prepared.long_data.fits(again.map.as_ref());
        let changing = again.map.as_ref().is_some_and(ParamMap::changes_parameters);
        prepared.copies = (!changing && again.plan.params > 0).then(|| ParamMap::copies(again.plan.params));
        prepared.plan = again.plan;
        prepared.map = again.map;
        prepared.names = again.names;
        prepared.asked = again.asked;
        prepared.text = again.text;
        prepared.made_under = again.versions;
        prepared.cursor = None;
        Some((before, if in_place { Pieces::InPlace } else { Pieces::Elsewhere }))
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn text_octets(&self) -> usize {
        self.text_octets
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

    /// Forgets a statement; gives the server's id of it.
    pub(super) fn close(&mut self, id: u32) -> Option<u32> {
        let id = self.resolve(id);
        let prepared = self.by_id.remove(&id)?;
        self.text_octets = self.text_octets.saturating_sub(prepared.sql.len());
        self.held_octets = self.held_octets.saturating_sub(prepared.long_data.octets());
        Some(prepared.server_id)
    }

    /// COM_STMT_RESET: long data and cursor are gone. Gives the server's id.
    pub(super) fn reset(&mut self, id: u32) -> Option<u32> {
        let id = self.resolve(id);
        let prepared = self.by_id.get_mut(&id)?;
        self.held_octets = self.held_octets.saturating_sub(prepared.long_data.octets());
        prepared.long_data.clear();
        prepared.pieces_sent = PiecesSent::No;
        prepared.failed = None;
        prepared.cursor = None;
        Some(prepared.server_id)
    }

    /// Takes a piece of long data. Returns the server's statement id and parameter number if the piece is sent on.
    pub(super) fn long_data(&mut self, id: u32, param: u16, piece: &[u8], octets_max: usize) -> Option<(u32, u16)> {
        use crate::rewrite::LongDataRoute;
        let found = self.resolve(id);
        // The server drops what belongs to no statement, too.
        let Some(prepared) = self.by_id.get_mut(&found) else { return Some((id, param)) };
        let Some(map) = prepared.map.as_ref().or(prepared.copies.as_ref()) else {
            prepared.pieces_sent = PiecesSent::Yes;
            return Some((prepared.server_id, param));
        };
        let before = prepared.long_data.octets();
        let others = self.held_octets.saturating_sub(before);
        let route = prepared.long_data.accept(map, param, piece, octets_max.saturating_sub(others));
        self.held_octets = others.saturating_add(prepared.long_data.octets());
        match route {
            Ok(LongDataRoute::Hold) => None,
            Ok(LongDataRoute::Forward { server_param }) => {
                prepared.pieces_sent = PiecesSent::Yes;
                Some((prepared.server_id, server_param))
            }
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
        prepared.pieces_sent = PiecesSent::No;
        prepared.cursor = None;
    }
}
