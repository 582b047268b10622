//! From a parsed statement to its plan: every name is resolved, every expression is visited, and a protected column is
//! accepted only where this module knows what to do with it.
//!
//! [`query`] walks query expressions, [`mod@output`] tells what their columns carry and [`carry`] what expressions do,
//! [`cte`] brings common table expressions and [`view`] views into sight, [`from`] builds the scope of a FROM clause, [`expression`] refuses and
//! [`predicate`] and [`row`] accept protected columns in expressions, [`common`] writes USING and NATURAL out, [`tag`] has values compared with one another, [`mod@write`] plans INSERT, UPDATE and DELETE, [`fill`] INSERT … SELECT, and [`subject`]
//! finds whose the rows are that they write. [`search`] finds what is granted to roles that do not see values,
//! [`bound`] fetches what cells are bound to, [`mod@set`] has rows compared, [`mod@sort`] takes out what the proxy sorts by, [`star`] refuses stars
//! whose width is not certain.

mod bound;
mod carry;
mod common;
mod construct;
mod cte;
mod expression;
mod fill;
mod from;
mod output;
mod predicate;
mod query;
mod row;
mod search;
mod set;
mod sort;
mod star;
mod subject;
mod tag;
mod view;
mod write;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use self::common::CommonJoin;
use self::construct::Construct;
use self::fill::Target;
use self::search::Searches;
use self::sort::Sorting;
use self::view::Views;
use super::inspect::Remember;
use super::made::{MadeColumn, made_columns};
use super::protected_names::{ProtectedNames, fold};
use super::refusal::{Subject, UnknownName, Verb};
use super::scope::{Certainty, Made, Meaning, Output, Qualifier, Scope, SourceColumn, TableNames, Visibility};
use super::text::Text;
use super::{
    Bound, CellAction, Effect, GrantedSearch, Outputs, Qualified, QueryPlan, Refusal, ResultName, Splice, SpliceKind,
};
use crate::policy::{Access, Account, ColumnId, Policy, RoleId};
use crate::schema::{Catalog, Table, TableKind};
use crate::sql::tree::{Path, Statement, TokenIndex};
use crate::sql::{Dialect, SqlMode};

/// Bytes of an envelope before its blind index.
const TAG_HEAD_OCTETS: usize = 7;

/// What an analysis needs beside the statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) text: Text<'a>,
    pub(super) dialect: Dialect,
    pub(super) catalog: &'a Catalog,
    pub(super) policy: &'a Policy,
    pub(super) names: &'a ProtectedNames,
    pub(super) default_database: Option<&'a str>,
    pub(super) role: RoleId,
    pub(super) account: &'a Account,
}

/// Plans a statement that mentions protected data.
pub(super) fn analyze(cx: Context<'_>, statement: &Statement, params: u16) -> (Result<QueryPlan, Refusal>, Remember) {
    let mut analysis = Analysis::new(cx, Views::Refused, Searches::of(statement));
    let plan = analysis.statement(statement).and_then(|outputs| analysis.plan(outputs, params));
    (plan, analysis.remember)
}

struct Analysis<'a> {
    cx: Context<'a>,
    views: Views,
    granted: Searches,
    /// Searches that policy grants to a role that does not see the values.
    searches: Vec<GrantedSearch>,
    /// Common table expressions in sight, innermost last.
    ctes: Vec<Cte>,
    splices: Vec<Splice>,
    names: Vec<ResultName>,
    sorting: Option<Sorting>,
    /// What cells of the result are bound to.
    bound: Option<Bound>,
    /// The columns that the query of an INSERT fills.
    filled: Vec<Target>,
    /// Columns whose cells it copies.
    copies: Vec<ColumnId>,
    /// Joins of the FROM clause that is read whose conditions are written out.
    common: Vec<CommonJoin>,
    /// Names that are sent with their table, by their token.
    qualified: BTreeMap<TokenIndex, Box<str>>,
    /// The least depth of a level at which a name was found, since a set operation began.
    outermost: Cell<usize>,
    answer: Answer,
    remember: Remember,
}

/// What the server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// To run the statement.
    Rows,
    /// To describe it. What it reads of a row that it finds by a key stands in the description as a constant.
    Description,
}

/// A common table expression in sight.
struct Cte {
    name: Box<str>,
    /// `None` while its query has not been read: what it carries is not known yet.
    columns: Option<Vec<SourceColumn>>,
}

/// What a statement does with a protected column that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// Its values are a column of a result, or of a part of the statement that hands them on as such.
    Shown,
    /// Anything else. Only a role that sees the values may: the outcome depends on them.
    Used(Verb),
}

/// A table name of a statement, resolved.
enum Named<'a> {
    Table(&'a Table),
    /// One that reaches a protected table.
    View(&'a Table),
    Cte(Vec<SourceColumn>),
}

impl<'a> Analysis<'a> {
    fn new(cx: Context<'a>, views: Views, granted: Searches) -> Self {
        Self {
            cx,
            views,
            granted,
            searches: Vec::new(),
            ctes: Vec::new(),
            splices: Vec::new(),
            names: Vec::new(),
            sorting: None,
            bound: None,
            filled: Vec::new(),
            copies: Vec::new(),
            common: Vec::new(),
            qualified: BTreeMap::new(),
            outermost: Cell::new(usize::MAX),
            answer: Answer::Rows,
            remember: Remember::Yes,
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<Outputs, Refusal> {
        match statement {
            Statement::Query(query) => {
                self.views = Views::READ;
                self.top_query(query)
            }
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            // The server describes the rewritten statement; its answer is no rows of a table.
            Statement::Explain(inner) => {
                self.answer = Answer::Description;
                self.statement(inner)?;
                self.names.clear();
                self.sorting = None;
                self.bound = None;
                Ok(Outputs::Relay)
            }
        }
    }

    /// Orders the splices and makes sure that they cannot overlap.
    fn plan(&mut self, outputs: Outputs, params: u16) -> Result<QueryPlan, Refusal> {
        let mut splices = std::mem::take(&mut self.splices);
        splices.sort_by_key(|splice| splice.tokens.first);
        let overlap =
            splices.windows(2).any(|pair| matches!(pair, [left, right] if left.tokens.last >= right.tokens.first));
        if overlap {
            return Err(self.unsupported_data(construct::OVERLAP));
        }
        // A constant that is made to be shown beside a column's cells is not judged as one that is stored.
        let shown = |splice: &&Splice| matches!(splice.kind, SpliceKind::Constant(_));
        if let Some(splice) = splices.iter().filter(shown).find(|splice| self.copies.contains(&splice.column)) {
            return Err(self.unsupported(splice.column, construct::INSERT_QUERY));
        }
        // Whatever is replaced depends on the values, or becomes one. The names were asked about already.
        let searches = std::mem::take(&mut self.searches);
        let is_granted = |splice: &Splice| searches.iter().any(|granted| granted.tokens == splice.tokens);
        for splice in splices.iter().filter(|splice| !is_granted(splice)).flat_map(Splice::parts) {
            self.may(splice.column, Usage::Used(Verb::Select))?;
        }
        // Whether a value is empty is known to the server alone, when it reads it.
        let empty_is_null = self.cx.dialect.mode.contains(SqlMode::EMPTY_STRING_IS_NULL);
        if let Some(splice) = splices.first().filter(|_| empty_is_null) {
            return Err(self.unsupported_to_all(splice.column, construct::EMPTY_IS_NULL));
        }
        let names = std::mem::take(&mut self.names);
        let copies = std::mem::take(&mut self.copies);
        let sort = self.sorting.take().map(|sorting| sorting.sort);
        let qualified = std::mem::take(&mut self.qualified).into_iter();
        let qualified = qualified.map(|(token, table)| Qualified { token, table }).collect();
        Ok(QueryPlan {
            splices,
            outputs,
            names,
            copies,
            qualified,
            sort,
            bound: self.bound.take(),
            searches,
            ..QueryPlan::relay(Effect::None, params)
        })
    }

    /// The base table, view or common table expression behind a name.
    fn named(&self, path: &Path) -> Result<Named<'a>, Refusal> {
        let rule = self.table_names();
        let (database, table) = match path.parts.as_slice() {
            [table] => (None, self.cx.text.name(*table)),
            [database, table] => (Some(self.cx.text.name(*database)), self.cx.text.name(*table)),
            _ => return Err(self.unknown_table(path)),
        };
        if database.is_none() {
            if let Some(cte) = self.ctes.iter().rev().find(|cte| rule.equal(&cte.name, &table)) {
                let columns = cte.columns.clone();
                return columns.map(Named::Cte).ok_or_else(|| self.unsupported_data(construct::RECURSIVE));
            }
            // Two names that differ in case alone are too easily taken for one another.
            if self.ctes.iter().any(|cte| TableNames::Folded.equal(&cte.name, &table)) {
                return Err(self.unknown_table(path));
            }
        }
        let default = self.cx.default_database.map(Cow::Borrowed);
        let database = database.or(default).ok_or_else(|| self.unknown_table(path))?;
        let found = self.cx.catalog.table(&database, &table).ok_or_else(|| self.unknown_table(path))?;
        if found.kind == TableKind::View && self.cx.names.has_view(&found.name.table) {
            return match self.views {
                Views::Followed { .. } => Ok(Named::View(found)),
                Views::Refused => Err(self.refused_view(found, construct::VIEW_WRITTEN)),
            };
        }
        Ok(Named::Table(found))
    }

    /// A table's columns as names find them.
    fn columns_of(&self, table: &Table) -> Vec<SourceColumn> {
        let made = made_columns(table, self.cx.policy, self.cx.catalog);
        table
            .columns
            .iter()
            .map(|column| {
                let (name, protected) = (fold(&column.name), self.cx.policy.column_named(&table.name, &column.name));
                SourceColumn {
                    made: self.made(&name, protected, &made),
                    name: Some(name),
                    protected,
                    visibility: if column.is_invisible() { Visibility::Invisible } else { Visibility::Visible },
                    spelled: Some((&*column.name).into()),
                    label: Some((&*column.name).into()),
                }
            })
            .collect()
    }

    /// How a table's column belongs to the generated ones that are made from protected ones.
    fn made(&self, name: &str, protected: Option<ColumnId>, made: &[MadeColumn]) -> Made {
        if let Some(from) = made.iter().find(|made| *made.name == *name) {
            return Made::From(from.from);
        }
        let index = protected.and_then(|column| self.cx.policy.column(column)?.index.as_ref());
        let octets = index.map(|index| TAG_HEAD_OCTETS.saturating_add(usize::from(index.length)));
        let tag =
            made.iter().find(|made| Some(made.from) == protected && made.octets.is_some() && made.octets == octets);
        match (tag, octets) {
            (Some(tag), Some(octets)) => Made::Into(tag.spelled.clone(), octets),
            (_, _) => Made::Nowise,
        }
    }

    /// What a column name means here, after the role was asked about each protected column that it can mean.
    fn meaning(&self, path: &Path, scope: &Scope<'_>, verb: Verb) -> Result<Meaning, Refusal> {
        self.meaning_as(path, scope, Usage::Used(verb))
    }

    /// The same for a name whose column is used in that way.
    fn meaning_as(&self, path: &Path, scope: &Scope<'_>, usage: Usage) -> Result<Meaning, Refusal> {
        let rule = self.table_names();
        let meaning = self.with_name(path, |qualifier, column| scope.resolve(qualifier, column, rule))?;
        self.note_depth(path, scope)?;
        self.made_from(path, scope, usage)?;
        match &meaning {
            Meaning::Unknown => return Err(self.unknown_column(path)),
            Meaning::Unprotected => self.farther_out(path, scope)?,
            Meaning::Protected(columns) => columns.iter().try_for_each(|column| self.may(*column, usage))?,
        }
        Ok(meaning)
    }

    /// Asks the role about what a name would mean farther out. In the session a temporary table may have the name of the
    /// table whose column is meant here, or that column may be gone since the catalog was read: the server goes on
    /// looking then, and finds the envelope.
    fn farther_out(&self, path: &Path, scope: &Scope<'_>) -> Result<(), Refusal> {
        let rule = self.table_names();
        let found = self.with_name(path, |qualifier, column| scope.protected_outside(qualifier, column, rule))?;
        found.into_iter().try_for_each(|column| self.may(column, Usage::Used(Verb::Select)))
    }

    /// Notes at which level a name is found, for the set operations that it stands in.
    fn note_depth(&self, path: &Path, scope: &Scope<'_>) -> Result<(), Refusal> {
        let rule = self.table_names();
        let depth = self.with_name(path, |qualifier, column| scope.depth_of(qualifier, column, rule))?;
        self.outermost.set(self.outermost.get().min(depth.unwrap_or(usize::MAX)));
        Ok(())
    }

    /// Asks the role about what a name's column is made from: first bytes of envelopes are equal for equal values, so they
    /// are only for whom the values are.
    fn made_from(&self, path: &Path, scope: &Scope<'_>, usage: Usage) -> Result<(), Refusal> {
        let verb = match usage {
            Usage::Shown => Verb::Select,
            Usage::Used(verb) => verb,
        };
        let rule = self.table_names();
        self.with_name(path, |qualifier, column| {
            let (found, _) = scope.columns_meant(qualifier, column, rule);
            found.iter().try_for_each(|(_, column)| self.may_see_made(column, verb))
        })?
    }

    fn may_see_made(&self, column: &SourceColumn, verb: Verb) -> Result<(), Refusal> {
        match column.made {
            Made::From(from) => self.may(from, Usage::Used(verb)),
            Made::Nowise | Made::Into(..) => Ok(()),
        }
    }

    /// Whether it is clear which column a name means.
    fn certainty(&self, path: &Path, scope: &Scope<'_>) -> Result<Certainty, Refusal> {
        self.with_name(path, |qualifier, column| scope.certainty(qualifier, column, self.table_names()))
    }

    /// Hands over a column's name in its two parts.
    fn with_name<T>(&self, path: &Path, then: impl FnOnce(Qualifier<'_>, &str) -> T) -> Result<T, Refusal> {
        let parts: Vec<Cow<'_, str>> = path.parts.iter().map(|part| self.cx.text.name(*part)).collect();
        Ok(match parts.as_slice() {
            [column] => then(Qualifier::None, column),
            [table, column] => then(Qualifier::Table { database: None, table }, column),
            [database, table, column] => then(Qualifier::Table { database: Some(database), table }, column),
            _ => return Err(self.unknown_column(path)),
        })
    }

    /// The role's right to use a protected column in that way.
    fn may(&self, column: ColumnId, usage: Usage) -> Result<(), Refusal> {
        match (self.access(column), usage, self.answer) {
            (Access::Plain, _, _) | (Access::Masked | Access::Ciphertext, Usage::Shown, Answer::Rows) => Ok(()),
            (Access::Masked | Access::Ciphertext | Access::Deny, _, _) => Err(self.denied(column, usage)),
        }
    }

    fn access(&self, column: ColumnId) -> Access {
        self.cx.policy.access(self.cx.role, column).0
    }

    fn denied(&self, column: ColumnId, usage: Usage) -> Refusal {
        let verb = match usage {
            Usage::Shown => Verb::Select,
            Usage::Used(verb) => verb,
        };
        match self.cx.policy.column(column) {
            Some(found) => Refusal::Denied { verb, column: found.column.clone(), account: self.cx.account.clone() },
            None => self.unsupported_data(construct::OVERLAP),
        }
    }

    /// What happens to the cells of a result.
    fn shown_outputs(&self, outputs: &[Output]) -> Result<Outputs, Refusal> {
        if outputs.iter().all(|output| output.protected.is_none()) {
            return Ok(Outputs::Relay);
        }
        outputs.iter().map(|output| self.cell(output.protected)).collect::<Result<_, _>>().map(Outputs::Columns)
    }

    fn cell(&self, protected: Option<ColumnId>) -> Result<CellAction, Refusal> {
        let Some(column) = protected else { return Ok(CellAction::Relay) };
        let (policy, role) = (self.cx.policy, self.cx.role);
        let action = match policy.access(role, column) {
            (Access::Plain, grant) => grant.map(CellAction::Open),
            (Access::Masked, _) => policy.masked(role, column).map(|(grant, mask)| CellAction::Mask(grant, mask)),
            (Access::Ciphertext, _) => Some(CellAction::Ciphertext(column)),
            (Access::Deny, _) => None,
        };
        action.ok_or_else(|| self.denied(column, Usage::Shown))
    }

    /// Refuses what cannot be done to a column. To a role that may do nothing of the kind it is denied.
    fn unsupported(&self, column: ColumnId, construct: Construct) -> Refusal {
        match self.access(column) {
            Access::Plain => self.unsupported_to_all(column, construct),
            Access::Masked | Access::Ciphertext | Access::Deny => self.denied(column, Usage::Used(Verb::Select)),
        }
    }

    /// Refuses what is not done to the column itself.
    fn unsupported_to_all(&self, column: ColumnId, construct: Construct) -> Refusal {
        let subject =
            self.cx.policy.column(column).map_or(Subject::Data, |found| Subject::Column(found.column.clone()));
        Refusal::Unsupported { subject, construct: construct.name, remedy: construct.remedy }
    }

    fn unsupported_data(&self, construct: Construct) -> Refusal {
        Refusal::Unsupported { subject: Subject::Data, construct: construct.name, remedy: construct.remedy }
    }

    fn unknown_table(&self, path: &Path) -> Refusal {
        Refusal::UnknownName { name: UnknownName::Table(self.cx.text.path(path)) }
    }

    fn unknown_column(&self, path: &Path) -> Refusal {
        Refusal::UnknownName { name: UnknownName::Column(self.cx.text.path(path)) }
    }

    fn table_names(&self) -> TableNames {
        TableNames::of(self.cx.catalog.lower_case_table_names)
    }

    fn folded(&self, token: TokenIndex) -> Box<str> {
        fold(&self.cx.text.name(token))
    }
}
