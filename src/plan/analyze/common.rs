//! USING and NATURAL over protected columns: the condition is written out as ON, which compares index prefixes. What the
//! join made one column of two, names and stars, is written out too, so that it stays one.

use super::construct::{self, Construct};
use super::tag::tag_of;
use super::{Analysis, Refusal, Scope};
use crate::plan::scope::{Slot, Source};
use crate::plan::{CommonPair, Joined, Splice, SpliceKind, TableColumn};
use crate::policy::ColumnId;
use crate::sql::tree::{
    Expr, ExprKind, OrderItem, Path, Query, Select, SelectItem, TableReference, TokenIndex, TokenRange,
};
use crate::sql::walk::{self, Visitor};

/// A join whose condition is written out.
#[derive(Clone, Debug)]
pub(super) struct CommonJoin {
    /// A protected column that it compares.
    column: ColumnId,
    /// The common columns that are shown.
    kept: Vec<Slot>,
    /// The others.
    dropped: Vec<Slot>,
}

/// How a condition by equal names is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written<'t> {
    Using(&'t [TokenIndex]),
    Natural { word: TokenIndex, last: TokenIndex },
}

impl Analysis<'_> {
    /// Writes a condition by equal names out, if one of its columns is protected: left ones and right ones, with those
    /// among them that are shown.
    pub(super) fn write_out(
        &mut self,
        sources: &[Source],
        pairs: &[(Slot, Slot)],
        kept: Vec<Slot>,
        written: Written<'_>,
    ) -> Result<(), Refusal> {
        let mut compared = Vec::with_capacity(pairs.len());
        let mut found = None;
        for (left, right) in pairs {
            let protected = self.compared_common(sources, *left, *right)?;
            found = found.or(protected);
            compared.push((*left, *right, protected));
        }
        let Some((column, _)) = found else { return Ok(()) };
        let refused = |this: &Self| this.unsupported(column, construct::JOIN_COLUMNS);
        let pairs = compared.iter().map(|(left, right, protected)| {
            let tags = [*left, *right].map(|slot| tag_of(sources.get(slot.source)?, source_column(sources, slot)?));
            let (left, right) = (table_column(sources, *left)?, table_column(sources, *right)?);
            Some(CommonPair { left, right, protected: *protected, tags })
        });
        let pairs: Vec<CommonPair> = pairs.collect::<Option<_>>().ok_or_else(|| refused(self))?;
        match written {
            Written::Using(names) => {
                // `USING (` before the first name, `)` behind the last.
                let first = names.first().and_then(|first| first.checked_sub(2)).ok_or_else(|| refused(self))?;
                let last = names.last().and_then(|last| last.checked_add(1)).ok_or_else(|| refused(self))?;
                self.joined(TokenRange { first, last }, column, Joined::Using(pairs));
            }
            Written::Natural { word, last } => {
                self.joined(TokenRange { first: word, last: word }, column, Joined::Natural);
                self.joined(TokenRange { first: last, last }, column, Joined::Behind(pairs));
            }
        }
        let dropped = compared.iter().flat_map(|(left, right, _)| [*left, *right]);
        let dropped = dropped.filter(|slot| !kept.contains(slot)).collect();
        self.common.push(CommonJoin { column, kept, dropped });
        Ok(())
    }

    /// The protected columns of a pair, which must be of one index domain.
    fn compared_common(
        &self,
        sources: &[Source],
        left: Slot,
        right: Slot,
    ) -> Result<Option<(ColumnId, ColumnId)>, Refusal> {
        let protected = |slot: Slot| source_column(sources, slot).and_then(|column| column.protected);
        match (protected(left), protected(right)) {
            (None, None) => Ok(None),
            (Some(left), Some(right)) if self.is_comparable(left, right) => Ok(Some((left, right))),
            (Some(column), _) | (None, Some(column)) => Err(self.unsupported(column, construct::COMPARE_COLUMNS)),
        }
    }

    fn joined(&mut self, tokens: TokenRange, column: ColumnId, joined: Joined) {
        self.splices.push(Splice { tokens, column, kind: SpliceKind::Joined(joined), subject: None });
    }

    /// Refuses a statement in which the names cannot be written out.
    pub(super) fn without_common(&self) -> Result<(), Refusal> {
        match self.common.first() {
            Some(join) => Err(self.unsupported(join.column, construct::JOIN_COLUMNS)),
            None => Ok(()),
        }
    }

    /// Gives each name of a SELECT that means a common column the table whose column is shown, and writes its stars out.
    /// `joins` are those of its own FROM clause.
    pub(super) fn qualify(
        &mut self,
        joins: &[CommonJoin],
        select: &Select,
        order_by: &[OrderItem],
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let Some(first) = joins.first() else { return Ok(()) };
        let refused = |this: &Self| this.unsupported(first.column, construct::JOIN_COLUMNS);
        let slots = joins.iter().flat_map(|join| join.kept.iter().chain(&join.dropped));
        if !slots.clone().all(|slot| self.is_only_label(*slot, scope)) {
            return Err(refused(self));
        }
        let names: Vec<&str> =
            slots.filter_map(|slot| scope.column(*slot)).filter_map(|column| column.name.as_deref()).collect();
        let is_common = |this: &Self, path: &Path| match path.parts.as_slice() {
            [name] => names.contains(&&*this.folded(*name)),
            _ => false,
        };
        let mut found = Names::default();
        walk::select(&mut found, select);
        let mut tail = Names::default();
        for item in select.group_by.iter().chain(order_by) {
            walk::expr(&mut tail, &item.expr);
        }
        select.having.iter().for_each(|having| walk::expr(&mut tail, having));
        order_by.iter().for_each(|item| walk::expr(&mut found, &item.expr));
        if tail.paths.iter().any(|path| is_common(self, path)) && !self.lists_common(select, &names) {
            return Err(refused(self));
        }
        let named: Vec<&Path> = found.paths.iter().copied().filter(|path| is_common(self, path)).collect();
        for path in named {
            match found.place(path.tokens) {
                NamePlace::Elsewhere => {}
                NamePlace::Nested => return Err(refused(self)),
                NamePlace::Own => self.qualify_name(path, scope, construct::JOIN_COLUMNS)?,
            }
        }
        for item in &select.items {
            if let SelectItem::Star(token) = item {
                let columns = scope.slots.iter().filter(|slot| is_visible(**slot, scope));
                let columns = columns.map(|slot| exact_column(scope.sources, *slot)).collect::<Option<Vec<_>>>();
                let columns = columns.ok_or_else(|| refused(self))?;
                self.joined(TokenRange { first: *token, last: *token }, first.column, Joined::Star(columns));
            }
        }
        Ok(())
    }

    fn qualify_name(&mut self, path: &Path, scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        let rule = self.table_names();
        let slot = self.with_name(path, |qualifier, column| scope.slot(qualifier, column, rule))?;
        let table = slot.and_then(|slot| table_column(scope.sources, slot)).map(|column| column.table);
        match (table, path.tokens.first == path.tokens.last) {
            (Some(table), true) => {
                self.qualified.insert(path.tokens.first, table);
                Ok(())
            }
            (None, _) | (_, false) => Err(self.unsupported_data(construct)),
        }
    }

    /// Whether names behind the select list can mean nothing but the common columns: what else has such a name there
    /// goes before them, or after, by clause and version.
    fn lists_common(&self, select: &Select, names: &[&str]) -> bool {
        select.items.iter().all(|item| match item {
            SelectItem::Star(_) => true,
            SelectItem::QualifiedStar(_) => false,
            SelectItem::Expr { expr, alias } => match self.name_of(expr, *alias) {
                Some(name) if names.contains(&&*name) => {
                    matches!(&expr.kind, ExprKind::Column(path) if path.parts.len() == 1)
                        && self.name_of(expr, None).as_deref() == Some(&*name)
                }
                Some(_) | None => true,
            },
        })
    }

    /// Whether no other source of the level goes by the name of a slot's.
    fn is_only_label(&self, slot: Slot, scope: &Scope<'_>) -> bool {
        let rule = self.table_names();
        let Some(own) = scope.sources.get(slot.source) else { return false };
        let alike = scope.sources.iter().filter(|source| rule.equal(&source.label, &own.label));
        !own.label.is_empty() && alike.count() == 1
    }

    /// Whether an expression of a select list holds a name that is sent with its table.
    pub(super) fn is_qualified_within(&self, expr: &Expr) -> bool {
        self.qualified.range(expr.tokens.first..=expr.tokens.last).next().is_some()
    }
}

fn source_column(sources: &[Source], slot: Slot) -> Option<&crate::plan::scope::SourceColumn> {
    sources.get(slot.source)?.columns.get(slot.column)
}

/// A column by names that find it.
fn table_column(sources: &[Source], slot: Slot) -> Option<TableColumn> {
    let column = source_column(sources, slot)?;
    let name = column.spelled.clone().or_else(|| column.name.clone())?;
    Some(TableColumn { table: sources.get(slot.source)?.label.clone(), column: name })
}

/// A column by the name that the server shows.
fn exact_column(sources: &[Source], slot: Slot) -> Option<TableColumn> {
    source_column(sources, slot)?.spelled.as_ref()?;
    table_column(sources, slot)
}

fn is_visible(slot: Slot, scope: &Scope<'_>) -> bool {
    scope.column(slot).is_some_and(|column| column.visibility == super::Visibility::Visible)
}

/// Where a name stands, seen from a SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamePlace {
    Own,
    /// In a query that may see the SELECT's columns.
    Nested,
    /// In a query that does not.
    Elsewhere,
}

/// The names of columns in a SELECT, and the queries in it.
#[derive(Default)]
struct Names<'t> {
    paths: Vec<&'t Path>,
    nested: Vec<TokenRange>,
    elsewhere: Vec<TokenRange>,
}

impl Names<'_> {
    fn place(&self, tokens: TokenRange) -> NamePlace {
        let within =
            |list: &[TokenRange]| list.iter().any(|outer| outer.first <= tokens.first && tokens.last <= outer.last);
        if within(&self.elsewhere) {
            NamePlace::Elsewhere
        } else if within(&self.nested) {
            NamePlace::Nested
        } else {
            NamePlace::Own
        }
    }
}

impl<'t> Visitor<'t> for Names<'t> {
    fn query(&mut self, query: &'t Query) {
        self.nested.push(query.tokens);
    }

    fn table(&mut self, table: &'t TableReference) {
        if let TableReference::Derived { query, lateral: false, .. } = table {
            self.elsewhere.push(query.tokens);
        }
    }

    fn expr(&mut self, expr: &'t Expr) {
        if let ExprKind::Column(path)
        | ExprKind::Values(path)
        | ExprKind::Default(Some(path))
        | ExprKind::JsonExtract(path) = &expr.kind
        {
            self.paths.push(path);
        }
    }
}
