//! The plan of a statement: which tokens are replaced by what, and which cells of the result are opened.

use std::sync::Arc;

use super::{Bound, KeptText, Sort};
use crate::policy::{ColumnId, DecryptGrant, Mask};
use crate::schema::{SubjectForm, SubjectPlace};
use crate::sql::StatementClass;
use crate::sql::tree::{TokenIndex, TokenRange};

/// What happens to a statement and to its result. Token positions are those of the statement's executed tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPlan {
    /// Replacements, in order of their tokens, never overlapping. Empty: the statement goes out as it came.
    pub splices: Vec<Splice>,
    /// What happens to the cells of the result.
    pub outputs: Outputs,
    /// Columns of the result that the server would name by text that is replaced.
    pub names: Vec<ResultName>,
    /// Columns whose cells the server copies into other rows of theirs.
    pub copies: Vec<ColumnId>,
    /// How the proxy sorts the rows, if it does.
    pub sort: Option<Sort>,
    /// What cells of the result are bound to beside their column.
    pub bound: Option<Bound>,
    /// Searches that policy grants to a role that does not see the values.
    pub searches: Vec<GrantedSearch>,
    /// Names of columns that are sent with their table before them, in order.
    pub qualified: Vec<Qualified>,
    /// What the statement changes for later ones.
    pub effect: Effect,
    /// What it has to do with prepared statements that have a name.
    pub named: Naming,
    /// How many `?` the statement has as the client wrote it.
    pub params: u16,
}

impl QueryPlan {
    /// The plan of a statement that touches nothing protected.
    pub fn relay(effect: Effect, params: u16) -> Self {
        Self {
            splices: Vec::new(),
            outputs: Outputs::Relay,
            names: Vec::new(),
            copies: Vec::new(),
            qualified: Vec::new(),
            sort: None,
            bound: None,
            searches: Vec::new(),
            effect,
            named: Naming::No,
            params,
        }
    }

    /// Columns at the end of the result that the client does not get.
    pub fn hidden(&self) -> usize {
        let sorted = self.sort.as_ref().map_or(0, |sort| sort.hidden);
        sorted.saturating_add(self.bound.as_ref().map_or(0, |bound| bound.ties.len()))
    }

    /// Whether the statement goes out as it came, whatever becomes of protected columns and their keys.
    pub fn is_as_written(&self) -> bool {
        self.splices.is_empty() && self.copies.is_empty() && self.bound.is_none()
    }

    /// Whether a replacement is a search by a role that does not see the values.
    pub fn is_granted(&self, splice: &Splice) -> bool {
        self.searches.iter().any(|granted| granted.tokens == splice.tokens)
    }

    /// The plan of a statement of that class, which tells what it has to do with names.
    pub(super) fn naming(self, class: StatementClass) -> Self {
        Self { named: Naming::of(class, self.effect), ..self }
    }
}

/// What happens to the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Relayed byte for byte. A column definition that names a protected column is still refused (second lock).
    Relay,
    /// What SHOW WARNINGS and SHOW ERRORS show: texts of the server, in which it prints envelopes.
    Messages,
    /// One action for each column of the result, in order. A result with another number of columns is refused.
    Columns(Vec<CellAction>),
    /// The same for each result of a CALL, in order. A result more than these is refused.
    Results(Vec<Vec<CellAction>>),
}

impl Outputs {
    /// All actions, of one result after the other.
    pub fn cells(&self) -> impl Iterator<Item = &CellAction> {
        let results = match self {
            Self::Relay | Self::Messages => &[][..],
            Self::Columns(cells) => std::slice::from_ref(cells),
            Self::Results(results) => results,
        };
        results.iter().flatten()
    }
}

/// A search by a column whose values the role does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantedSearch {
    /// The comparison.
    pub tokens: TokenRange,
    /// The column.
    pub column: ColumnId,
    /// With how many values it is compared.
    pub values: u32,
}

/// A column of the result without an alias, whose name is the client's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultName {
    /// Its position, from 0.
    pub output: usize,
    /// The tokens whose text is the name.
    pub tokens: TokenRange,
    /// A protected column in that text.
    pub column: ColumnId,
}

/// What happens to one column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellAction {
    /// Its cells and its definition pass.
    Relay,
    /// Its cells are envelopes of the granted column: they are opened and the definition is restored.
    Open(DecryptGrant),
    /// Its cells are envelopes of the granted column, and a mask of each value is shown.
    Mask(DecryptGrant, Arc<Mask>),
    /// Its cells are envelopes of that column, and are shown as such, without their blind index.
    Ciphertext(ColumnId),
}

/// What a statement changes for later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing that Candado keeps track of.
    None,
    /// Tables, views or routines may have changed: the catalog is loaded again before the client's next statement.
    Catalog,
}

/// What a statement has to do with prepared statements that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Naming {
    /// Nothing.
    No,
    /// It gives, takes or runs one, or may do so unseen.
    Maybe,
}

impl Naming {
    /// What a statement of that class and effect has to do with them.
    pub(super) fn of(class: StatementClass, effect: Effect) -> Self {
        use StatementClass as Class;
        match (class, effect) {
            // A routine that may define anything may prepare as well; all others hold neither word.
            (Class::Call, Effect::None) => Self::No,
            (
                Class::Call
                | Class::Compound
                | Class::SetStatement
                | Class::Prepare
                | Class::Execute
                | Class::ExecuteImmediate
                | Class::Deallocate
                | Class::Other,
                _,
            ) => Self::Maybe,
            (
                Class::Dml
                | Class::Explain
                | Class::Use
                | Class::Show
                | Class::Set
                | Class::Transaction
                | Class::Lock
                | Class::Grant
                | Class::Empty
                | Class::Do
                | Class::LoadData
                | Class::Handler
                | Class::Maintenance
                | Class::Kill
                | Class::Import
                | Class::Administration
                | Class::Diagnostics
                | Class::Ddl { .. },
                _,
            ) => Self::No,
        }
    }
}

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The tokens that are replaced, from the first one's first byte to the last one's last byte.
    pub tokens: TokenRange,
    /// The protected column that the values belong to.
    pub column: ColumnId,
    /// What stands there instead.
    pub kind: SpliceKind,
    /// Whose value it is, if it is sealed in a column whose values have keys of their own, or what it is bound to in one whose
    /// values are bound to their rows.
    pub subject: Option<SubjectSource>,
}

impl Splice {
    /// The replacement itself, or those that it consists of, in the order of their values.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            SpliceKind::Rows { rows, .. } => rows.iter().flatten().filter_map(|pair| pair.protected.as_ref()).collect(),
            SpliceKind::Seal(_)
            | SpliceKind::Constant(_)
            | SpliceKind::Search { .. }
            | SpliceKind::Match { .. }
            | SpliceKind::NullIf { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Set(_)
            | SpliceKind::Kept(_) => vec![self],
        }
    }

    /// Whether a value of the statement's own is put into another form.
    pub fn has_value(&self) -> bool {
        match &self.kind {
            SpliceKind::Seal(_)
            | SpliceKind::Constant(_)
            | SpliceKind::Search { .. }
            | SpliceKind::Rows { .. }
            | SpliceKind::NullIf { .. } => true,
            SpliceKind::Match { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Set(_)
            | SpliceKind::Kept(_) => false,
        }
    }

    /// The protected columns that a part of the statement compares which is written anew as a whole.
    pub fn compared(&self) -> Vec<ColumnId> {
        match &self.kind {
            SpliceKind::Joined(joined) => {
                let pairs = joined.pairs().iter().filter_map(|pair| pair.protected);
                pairs.flat_map(|(left, right)| [left, right]).collect()
            }
            SpliceKind::Set(part) => part.columns.iter().filter_map(|column| column.protected).collect(),
            SpliceKind::Seal(_)
            | SpliceKind::Constant(_)
            | SpliceKind::Search { .. }
            | SpliceKind::Match { .. }
            | SpliceKind::Rows { .. }
            | SpliceKind::NullIf { .. }
            | SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Kept(_) => Vec::new(),
        }
    }
}

/// What a statement says of a row: whose it is, or what its values are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectSource {
    /// The value.
    pub value: SubjectValue,
    /// How it is read.
    pub form: SubjectForm,
    /// What it is there for.
    pub place: SubjectPlace,
}

/// Where a data subject's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectValue {
    /// A string, a hexadecimal literal, or an integer with or without a sign.
    Literal(TokenRange),
    /// The client's parameter of that ordinal, from 0.
    Param(u16),
}

/// Kinds of replacements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpliceKind {
    /// A value on its way into the column: replaced by its envelope as a hexadecimal literal. A parameter keeps its `?`
    /// and is sealed when the statement is executed.
    Seal(Value),
    /// A value that stands beside the column's in an expression whose result is opened: sealed like them, and stored
    /// nowhere.
    Constant(Value),
    /// A comparison of the column with values: replaced, in parentheses, by ranges over the envelope's index prefix.
    Search {
        /// The tokens of the column's name, whose bytes are repeated for each bound.
        column_tokens: TokenRange,
        /// How it compares.
        comparison: Comparison,
        /// The values: exactly one for `=`, `<>` and `<=>`, one or more for IN.
        values: Vec<Value>,
    },
    /// A comparison of the column with another one of its index domain: replaced, in parentheses, by the same comparison
    /// of both index prefixes.
    Match {
        /// The column on the left.
        left: Tagged,
        /// The column on the right.
        right: Tagged,
        /// Which one that is.
        other: ColumnId,
        /// How they compare.
        comparison: Comparison,
    },
    /// A comparison of rows of values: replaced, in parentheses, by comparisons of their values one by one.
    Rows {
        /// How they compare.
        comparison: Comparison,
        /// The rows that the columns are compared with, in order: exactly one for `=`, `<>` and `<=>`, one or more for
        /// IN. Each has a pair for each column.
        rows: Vec<Vec<Pair>>,
    },
    /// The second argument of NULLIF, the first being the column: replaced by what equals the column where its value
    /// is that one, and nothing elsewhere.
    NullIf {
        /// The tokens of the column's name.
        column_tokens: TokenRange,
        /// The value.
        value: Value,
    },
    /// The column as the operand of a simple CASE, each of whose WHENs becomes a search: left out.
    Operand,
    /// The column, or what stands for it: replaced by what is equal for equal values.
    Tag {
        /// The column.
        of: Tagged,
        /// The column whose values it is compared with; itself, if with its own.
        like: ColumnId,
    },
    /// The column in a select list: replaced by one of its values that are equal, the same for all of them.
    AnyOf {
        /// The column.
        of: Tagged,
        /// Among which rows.
        among: Among,
        /// The token of the name that the column of the result has without an alias.
        name: Option<TokenIndex>,
    },
    /// A part of a statement whose rows the proxy sorts: replaced by these pieces, with blanks between them.
    Sorted(Vec<Piece>),
    /// A join by columns of equal names, whose condition is written out.
    Joined(Joined),
    /// UNION, INTERSECT or EXCEPT between rows with protected columns: they are compared by what is equal for equal values.
    Set(SetPart),
    /// The text of PREPARE, which the proxy keeps: replaced by a placeholder.
    Kept(KeptText),
}

/// A set operation whose rows are put together by UNION ALL and then grouped: what is written in the place of its operator,
/// and around its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPart {
    /// Which rows are left.
    pub rows: SetRows,
    /// The first token of the first operand and the last one of the last.
    pub operands: TokenRange,
    /// The columns of the rows.
    pub columns: Vec<SetColumn>,
}

/// Which rows a set operation leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetRows {
    /// All: another operation around it leaves those that differ, and nothing is written around this one.
    All,
    /// Those that differ.
    Different,
    /// Of these, those that both operands have.
    Common,
    /// Of these, those that the right operand does not have.
    Left,
}

/// A column of a set operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetColumn {
    /// What the result calls it, if that is known.
    pub name: Option<Box<str>>,
    /// The protected column whose envelopes it carries.
    pub protected: Option<ColumnId>,
}

/// A piece of what stands in the place of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words of our own.
    Words(Box<str>),
    /// Tokens of the statement, as the client wrote them.
    Tokens(TokenRange),
}

/// A name of a column that USING or NATURAL let stand for two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualified {
    /// The name.
    pub token: TokenIndex,
    /// The table or alias whose column it means.
    pub table: Box<str>,
}

/// What is written in the place of USING, NATURAL and a star beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The word NATURAL: left out.
    Natural,
    /// USING and its columns: replaced by ON and comparisons.
    Using(Vec<CommonPair>),
    /// The end of the right operand of a natural join: ON and comparisons follow it.
    Behind(Vec<CommonPair>),
    /// A star: replaced by the columns that it shows.
    Star(Vec<TableColumn>),
}

impl Joined {
    /// The comparisons.
    pub fn pairs(&self) -> &[CommonPair] {
        match self {
            Self::Using(pairs) | Self::Behind(pairs) => pairs,
            Self::Natural | Self::Star(_) => &[],
        }
    }
}

/// A common column of the operands of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonPair {
    /// The left operand's.
    pub left: TableColumn,
    /// The right operand's.
    pub right: TableColumn,
    /// The protected columns that they carry.
    pub protected: Option<(ColumnId, ColumnId)>,
    /// The generated columns that hold the same as is compared of those.
    pub tags: [Option<TagColumn>; 2],
}

/// A column of a table of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The table's name or alias.
    pub table: Box<str>,
    /// The column's name.
    pub column: Box<str>,
}

/// A protected column whose values are told apart by the first bytes of their envelopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tokens of its name.
    pub tokens: TokenRange,
    /// The generated column that holds the same bytes.
    pub generated: Option<Box<TagColumn>>,
}

/// A generated column that holds the first bytes of a protected one's envelopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagColumn {
    /// Its table or alias, and its name.
    pub column: TableColumn,
    /// How many bytes.
    pub octets: usize,
}

/// A column and what it is compared with, of a comparison of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The tokens of the column's name.
    pub column_tokens: TokenRange,
    /// The tokens of the other one.
    pub other_tokens: TokenRange,
    /// Their comparison by `=` or `<=>`, if the column is protected.
    pub protected: Option<Splice>,
}

/// Among which rows one of several equal values is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Among {
    /// Those of the group, which the rows are grouped into by the value.
    Group,
    /// The same, or NULL in a row that WITH ROLLUP adds.
    Rollup,
    /// All rows of the query with the same value.
    Query,
}

/// A comparison that a blind index answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=` and IN: any of the values.
    Equal,
    /// `<>`, `!=` and NOT IN: none of the values.
    NotEqual,
    /// `<=>` with a value that may be NULL.
    NullSafeEqual,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A string literal (with introducer and adjacent strings), or a hexadecimal one standing for bytes.
    Literal(TokenRange),
    /// The client's parameter of that ordinal, from 0.
    Param(u16),
    /// The client's parameter of that ordinal, a pattern of LIKE. It stands for itself as long as it has no wildcard; with
    /// one the execution is refused.
    Pattern(u16),
    /// NULL written as such.
    Null,
}
