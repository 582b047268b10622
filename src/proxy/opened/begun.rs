//! Mode strict: before the first rows of a result go out, the record says that they begin to. A result that comes in one go
//! is recorded as a whole before that, and needs no such record.

use super::mark::Mark;
use super::{Course, Reader};
use crate::proxy::registry::Connection;
use crate::proxy::searching::Searched;

/// Whether rows of the result at hand may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// None has been gathered since the last ones went out; it is not recorded that any did.
    No,
    /// Some are gathered from there on.
    Gathered(Mark),
    /// It is recorded.
    Recorded,
}

impl Reader {
    /// A row is about to be gathered.
    #[inline]
    pub(super) fn row_begins(&mut self) {
        if self.begun == Begun::No {
            self.begun = Begun::Gathered(self.mark());
        }
    }

    /// What is gathered is about to go out. If it cannot be recorded that it is, its rows do not, and the rest is dropped.
    pub(super) async fn record_begun(&mut self, connection: &Connection) -> Course {
        let Begun::Gathered(_) = self.begun else { return Course::Passing };
        let shown = self.rows.as_ref().and_then(|rows| rows.begun());
        let told = match &self.searched {
            Some(searched) => searched.begun(shown),
            None => shown,
        };
        let Some(told) = told else {
            self.begun = Begun::No;
            return Course::Passing;
        };
        match told.record().await {
            Ok(()) => {
                self.begun = Begun::Recorded;
                Course::Passing
            }
            Err(error) => {
                connection.counters.refusal();
                // Nothing of the result has been shown: there is nothing to tell of its end but that it was searched for.
                self.rows = None;
                if let Some(told) = self.searched.take().and_then(Searched::unanswered) {
                    told.leave();
                }
                self.refuse(&error, connection);
                Course::Dropping
            }
        }
    }
}
