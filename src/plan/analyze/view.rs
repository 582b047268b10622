//! Views that reach protected tables: read as the query that they are, down to base columns.
//!
//! The server keeps a view's text in a canonical form, with every name qualified and every star spelled out. Nothing can
//! be replaced in it, so a view that compares a protected column with a value is refused.

use super::construct::{self, Construct};
use super::query::Place;
use super::search::Searches;
use super::{Analysis, Context, Refusal, SourceColumn, Visibility, fold};
use crate::plan::refusal::Subject;
use crate::plan::scope::Made;
use crate::plan::text::Text;
use crate::schema::{Charset, Table};
use crate::sql::tree::Statement;
use crate::sql::{self, Dialect, ReservedWords, SqlMode};

/// Views of views are followed so far.
const DEPTH_MAX: u8 = 16;

/// Whether views are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Views {
    /// They are, so many more steps.
    Followed { steps_left: u8 },
    /// They are refused: a statement that writes through one is not understood.
    Refused,
}

impl Views {
    /// For a statement that only reads.
    pub(super) const READ: Self = Self::Followed { steps_left: DEPTH_MAX };

    fn next(self) -> Option<Self> {
        match self {
            Self::Followed { steps_left } => steps_left.checked_sub(1).map(|steps_left| Self::Followed { steps_left }),
            Self::Refused => None,
        }
    }
}

impl Analysis<'_> {
    /// The columns of a view, with what each carries.
    pub(super) fn view_columns(&self, view: &Table) -> Result<Vec<SourceColumn>, Refusal> {
        let (Some(definition), Some(views)) = (view.definition.as_deref(), self.views.next()) else {
            return Err(self.refused_view(view, construct::VIEW_UNREAD));
        };
        // Its canonical text does not depend on the mode of the session that reads it.
        let dialect = Dialect { mode: SqlMode::empty(), charset: Charset::Utf8mb4, server: self.cx.catalog.server };
        let mut tokens = Vec::new();
        sql::lex(definition.as_bytes(), &dialect, &mut tokens)
            .map_err(|_| self.refused_view(view, construct::VIEW_UNREAD))?;
        let reserved = ReservedWords::of_catalog(self.cx.catalog);
        let statement = sql::parse(definition.as_bytes(), &tokens, &dialect, &reserved);
        let Ok(Statement::Query(query)) = statement else {
            return Err(self.refused_view(view, construct::VIEW_UNREAD));
        };
        let cx = Context {
            text: Text { sql: definition.as_bytes(), tokens: &tokens },
            dialect,
            default_database: Some(&view.name.database),
            ..self.cx
        };
        let mut inner = Analysis::new(cx, views, Searches::Withheld);
        let outputs = inner.query(&query, None, Place::Carried)?;
        if let Some(splice) = inner.splices.first() {
            return Err(self.unsupported(splice.column, construct::VIEW_COMPARISON));
        }
        if outputs.len() != view.columns.len() {
            return Err(self.refused_view(view, construct::VIEW_UNREAD));
        }
        let columns = outputs.iter().zip(&view.columns).map(|(output, column)| SourceColumn {
            name: Some(fold(&column.name)),
            protected: output.protected,
            visibility: Visibility::Visible,
            spelled: Some((&*column.name).into()),
            label: Some((&*column.name).into()),
            made: Made::Nowise,
        });
        Ok(columns.collect())
    }

    /// Refuses what is done to a view.
    pub(super) fn refused_view(&self, view: &Table, construct: Construct) -> Refusal {
        let subject = Subject::Table(view.name.clone());
        Refusal::Unsupported { subject, construct: construct.name, remedy: construct.remedy }
    }
}
