//! Sorting by opened values: what of ORDER BY and LIMIT the proxy carries out instead of the server.
//!
//! The server sorts by the keys behind the last protected one; the proxy sorts its rows, without changing the order of
//! equal ones, by the keys up to there. Keys that no column of the result shows come as further columns, which the client
//! does not get: a protected column itself, and the rank that the server gives to a row by unprotected keys.

use crate::policy::ColumnId;
use crate::schema::SortOrder;
use crate::sql::tree::TokenIndex;

/// How the proxy sorts the rows of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The first protected column that it sorts by.
    pub column: ColumnId,
    /// The keys, in order.
    pub keys: Vec<SortKey>,
    /// Columns at the end of the result that the client does not get.
    pub hidden: usize,
    /// Most rows that are sorted.
    pub rows_max: u32,
    /// How many rows the client gets; all if nothing is said.
    pub count: Option<SortBound>,
    /// How many rows are left out before them.
    pub offset: Option<SortBound>,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column of the result that holds it, from 0.
    pub output: usize,
    /// How its values compare.
    pub by: SortBy,
    /// In which direction.
    pub direction: Direction,
}

/// How the values of a key compare. NULL comes before all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// As text under a collation.
    Value(SortOrder),
    /// As positive integers.
    Rank,
}

/// ASC or DESC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the least to the greatest.
    Ascending,
    /// From the greatest to the least.
    Descending,
}

/// A number of LIMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBound {
    /// Written as an integer, which is not part of the digest.
    Literal(TokenIndex),
    /// The client's parameter of that ordinal, from 0.
    Param(u16),
}

impl Sort {
    /// The number of rows that the server is asked for at most: one more than are sorted, so that too many show.
    pub fn asked_for(&self) -> u64 {
        u64::from(self.rows_max).saturating_add(1)
    }

    /// The parameters that LIMIT has, with what the server is given instead.
    pub fn params(&self) -> impl Iterator<Item = (u16, u64)> {
        let given = [(self.count, self.asked_for()), (self.offset, 0)];
        given.into_iter().filter_map(|(bound, given)| match bound {
            Some(SortBound::Param(param)) => Some((param, given)),
            Some(SortBound::Literal(_)) | None => None,
        })
    }
}
