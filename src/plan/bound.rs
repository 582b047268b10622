//! What cells are bound to: values of their rows that come with a result as further columns, which the client does not get.

use crate::schema::SubjectForm;
use crate::sql::tree::TokenIndex;

/// The values of its rows that the cells of a result are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The token before which the columns are put: FROM.
    pub before: TokenIndex,
    /// The columns that are put there. They are the last ones of the result.
    pub ties: Vec<Tie>,
    /// Which columns of the result are bound, by their positions, to which of these.
    pub cells: Vec<(usize, usize)>,
}

/// A column of a table in the statement's FROM clause to which cells of that table are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The table's name in the statement: its alias, if it has one.
    pub table: Box<str>,
    /// The column.
    pub column: Box<str>,
    /// How its values are read.
    pub form: SubjectForm,
}
