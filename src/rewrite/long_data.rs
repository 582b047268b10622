//! Parameter values that came in COM_STMT_SEND_LONG_DATA, before the execution they belong to.

use std::collections::{BTreeMap, BTreeSet};

use super::{ParamMap, RewriteError};
use crate::crypto::Plaintext;

/// Where COM_STMT_SEND_LONG_DATA goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongDataRoute {
    /// The parameter is protected: its value is held until the execution. Nothing is sent.
    Hold,
    /// To the server, with this parameter number in place of the client's.
    Forward {
        /// The number in the server's statement.
        server_param: u16,
    },
    /// The statement has no such parameter. Nothing is sent; the next execution is answered with 1210.
    Unknown,
}

/// Long values of one prepared statement since its last execution or reset.
#[derive(Debug, Default)]
pub struct LongData {
    held: BTreeMap<u16, Plaintext>,
    forwarded: BTreeSet<u16>,
    octets: usize,
}

impl LongData {
    /// Takes a piece of a value: keeps it if the parameter is protected, else says where to send it. A statement
    /// without a [`ParamMap`] needs none of this.
    pub fn accept(
        &mut self,
        map: &ParamMap,
        param: u16,
        piece: &[u8],
        octets_max: usize,
    ) -> Result<LongDataRoute, RewriteError> {
        let route = map.long_data_route(param);
        match route {
            LongDataRoute::Hold => {
                let octets = self.octets.saturating_add(piece.len());
                if octets > octets_max {
                    return Err(RewriteError::TooLarge);
                }
                self.octets = octets;
                self.held.entry(param).or_default().extend(piece);
            }
            LongDataRoute::Forward { .. } => {
                self.forwarded.insert(param);
            }
            LongDataRoute::Unknown => {}
        }
        Ok(route)
    }

    /// Forgets everything: after an execution, a reset or a close.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the pieces that are here go where a map sends them: none of them was sent on, and all are held.
    pub fn fits(&self, map: Option<&ParamMap>) -> bool {
        let held = |param: &u16| map.is_some_and(|map| map.long_data_route(*param) == LongDataRoute::Hold);
        self.forwarded.is_empty() && self.held.keys().all(held)
    }

    /// Bytes held.
    pub fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn held(&self, param: u16) -> Option<&Plaintext> {
        self.held.get(&param)
    }

    pub(super) fn is_forwarded(&self, param: u16) -> bool {
        self.forwarded.contains(&param)
    }
}
