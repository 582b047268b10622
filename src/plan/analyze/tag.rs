//! Protected columns where the server compares their values with one another: GROUP BY, DISTINCT, PARTITION BY, and nested
//! queries behind IN, ANY and `=`. Envelopes of equal values differ, so their index prefixes are compared, and where a
//! value is shown that stands for several, one of their envelopes is.

use super::construct::{self, Construct};
use super::expression::column_path;
use super::predicate::ColumnOperand;
use super::query::Place;
use super::{Analysis, Refusal, Scope};
use crate::plan::scope::{Made, Nearness, Output, Search, Slot, Source, SourceColumn};
use crate::plan::{Among, Splice, SpliceKind, TableColumn, TagColumn, Tagged, Value};
use crate::policy::ColumnId;
use crate::schema::ServerKind;
use crate::sql::tree::{
    Expr, ExprKind, Function, LiteralKind, OrderItem, Path, Query, Select, SelectItem, TokenRange, Window,
};
use crate::sql::walk::{self, Visitor};

/// Least bytes of a blind index by which values are compared with one another. A shorter prefix takes different values
/// for equal too often.
const TAG_OCTETS_MIN: u8 = 8;

/// A protected column of the FROM clause by which rows are grouped.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupKey {
    pub(super) slot: Slot,
    operand: ColumnOperand,
}

impl Analysis<'_> {
    /// The protected columns among the items of GROUP BY, each named as such, by an alias or by its position.
    pub(super) fn group_keys(&self, select: &Select, scope: &Scope<'_>) -> Result<Vec<Option<GroupKey>>, Refusal> {
        let keys = select.group_by.iter().map(|item| self.group_key(item, &select.items, scope));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if let Some(column) = keys.iter().flatten().map(|key| key.operand.column).next() {
            let star = |item: &SelectItem| matches!(item, SelectItem::Star(_) | SelectItem::QualifiedStar(_));
            if select.items.iter().any(star) {
                return Err(self.unsupported(column, construct::GROUP_STAR));
            }
            if (scope.among, self.cx.dialect.server.kind) == (Among::Rollup, ServerKind::MariaDb) {
                return Err(self.unsupported(column, construct::ROLLUP));
            }
        }
        Ok(keys)
    }

    fn group_key(
        &self,
        item: &OrderItem,
        items: &[SelectItem],
        scope: &Scope<'_>,
    ) -> Result<Option<GroupKey>, Refusal> {
        if let ExprKind::Literal(LiteralKind::Integer) = &item.expr.kind {
            let listed = self.integer(item.expr.tokens.first).and_then(|at| {
                let before = items.get(..at)?;
                let star = |item: &SelectItem| matches!(item, SelectItem::Star(_) | SelectItem::QualifiedStar(_));
                if before.iter().any(star) { None } else { before.last() }
            });
            return match listed {
                Some(SelectItem::Expr { expr, .. }) => self.local_key(expr, scope),
                Some(SelectItem::Star(_) | SelectItem::QualifiedStar(_)) | None => Ok(None),
            };
        }
        let Some(path) = column_path(&item.expr) else { return Ok(None) };
        let own = self.slot(&item.expr, scope)?;
        let name = path.parts.last().map(|part| self.folded(*part)).unwrap_or_default();
        let mut found = if own.is_some() { self.local_key(&item.expr, scope)? } else { None };
        if path.parts.len() > 1 {
            return Ok(found);
        }
        for listed in items {
            let SelectItem::Expr { expr, alias: Some(alias) } = listed else { continue };
            if *self.folded(*alias) != *name {
                continue;
            }
            let key = self.local_key(expr, scope)?;
            match (own, key, found) {
                (None, Some(key), None) => found = Some(key),
                (_, key, Some(found)) if key.is_none_or(|key| key.slot != found.slot) => {
                    return Err(self.unknown_column(path));
                }
                (_, _, _) => {}
            }
        }
        Ok(found)
    }

    /// The protected column of the FROM clause that an expression consists of.
    fn local_key(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Option<GroupKey>, Refusal> {
        let (Some(slot), Some(_)) = (self.slot(expr, scope)?, column_path(expr)) else { return Ok(None) };
        Ok(self.resolved_operand(expr, scope)?.map(|operand| GroupKey { slot, operand }))
    }

    fn slot(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Option<Slot>, Refusal> {
        let Some(path) = column_path(expr) else { return Ok(None) };
        self.with_name(path, |qualifier, column| scope.slot(qualifier, column, self.table_names()))
    }

    /// Whether an expression is a column by which the rows of its own level are grouped.
    pub(super) fn is_key(&self, expr: &Expr, scope: &Scope<'_>) -> Result<bool, Refusal> {
        Ok(self.slot(expr, scope)?.is_some_and(|slot| scope.grouped.contains(&slot)))
    }

    /// Groups by the column of a key.
    pub(super) fn group_by_tag(&mut self, item: &OrderItem, key: GroupKey, scope: &Scope<'_>) -> Result<(), Refusal> {
        self.tag(item.expr.tokens, key.operand, key.operand.column, (construct::GROUP_BY, scope))
    }

    /// WITH ROLLUP shows NULL for the column in rows of its own, where one of its values would be shown.
    pub(super) fn among(&self, group_by: &[OrderItem]) -> Among {
        let Some(last) = group_by.last().and_then(|item| usize::try_from(item.expr.tokens.last).ok()) else {
            return Among::Group;
        };
        let direction = usize::from(self.cx.text.is_any(last.saturating_add(1), &["ASC", "DESC"]));
        let with = self.cx.text.is(last.saturating_add(1).saturating_add(direction), "WITH");
        if with { Among::Rollup } else { Among::Group }
    }

    /// A column of a select list by whose values the rows are grouped: any value of the group is shown.
    pub(super) fn show_any(&mut self, expr: &Expr, (column, of): (ColumnId, Tagged), among: Among, named: Named) {
        let name = match named {
            Named::ByAlias => None,
            Named::ByItself => column_path(expr).and_then(|path| path.parts.last()).copied(),
        };
        self.splices.push(Splice {
            tokens: expr.tokens,
            column,
            kind: SpliceKind::AnyOf { of, among, name },
            subject: None,
        });
    }

    /// DISTINCT over protected columns: each is shown by one envelope for all rows with its value.
    pub(super) fn distinct(&mut self, select: &Select, outputs: &[Output], scope: &Scope<'_>) -> Result<(), Refusal> {
        let mut left = outputs.iter().filter_map(|output| output.protected).count();
        let Some(any) = outputs.iter().find_map(|output| output.protected) else { return Ok(()) };
        if !select.group_by.is_empty() || select.having.is_some() || self.aggregates(&select.items) {
            return Err(self.unsupported(any, construct::DISTINCT_GROUPS));
        }
        for item in &select.items {
            let SelectItem::Expr { expr, alias } = item else { continue };
            let Some(key) = self.local_key(expr, scope)? else { continue };
            self.taggable(key.operand.column, construct::DISTINCT)?;
            self.distinct_of_nested(key, scope)?;
            let shown = self.tagged(key.operand, scope);
            self.show_any(expr, (key.operand.column, shown), Among::Query, Named::of(alias.is_some()));
            left = left.saturating_sub(1);
        }
        if left > 0 { Err(self.unsupported(any, construct::DISTINCT_EXPRESSION)) } else { Ok(()) }
    }

    /// MariaDB takes no notice in a window function of an outer join that found no row: a constant of a nested query shows
    /// in the place of NULL.
    fn distinct_of_nested(&self, key: GroupKey, scope: &Scope<'_>) -> Result<(), Refusal> {
        let is_nested = scope.sources.get(key.slot.source).is_some_and(|source| source.database.is_none());
        let text = &self.cx.text;
        let joins =
            |at: usize| text.is_any(at, &["LEFT", "RIGHT"]) && text.is_any(at.saturating_add(1), &["JOIN", "OUTER"]);
        if self.cx.dialect.server.kind == ServerKind::MariaDb && is_nested && (0..text.tokens.len()).any(joins) {
            return Err(self.unsupported(key.operand.column, construct::DISTINCT_OUTER));
        }
        Ok(())
    }

    /// What makes a window: its partitions may be made by a protected column.
    pub(super) fn window(&mut self, window: &Window, scope: &Scope<'_>) -> Result<(), Refusal> {
        for expr in &window.partition {
            match self.column_operand(expr, scope)? {
                Some(operand) => self.tag(expr.tokens, operand, operand.column, (construct::PARTITION, scope))?,
                None => self.value(expr, scope, construct::WINDOW)?,
            }
        }
        self.values(&window.rest, scope, construct::WINDOW)
    }

    /// An operand of `COUNT(DISTINCT …)`.
    pub(super) fn counted(&mut self, operand: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
        match self.column_operand(operand, scope)? {
            Some(found) => self.tag(operand.tokens, found, found.column, (construct::DISTINCT, scope)),
            None => self.value(operand, scope, construct::DISTINCT),
        }
    }

    /// A comparison by equality with what a nested query returns. `None`: no protected column stands on the left.
    pub(super) fn compared_with_query(
        &mut self,
        left: &Expr,
        query: &Query,
        scope: &Scope<'_>,
    ) -> Result<Option<()>, Refusal> {
        let Some(operand) = self.column_operand(left, scope)? else { return Ok(None) };
        match scope.search {
            Search::Allowed => {}
            Search::Refused => return Err(self.unsupported(operand.column, construct::COMPARE_PLACE)),
        }
        self.tag(left.tokens, operand, operand.column, (construct::COMPARE_COLUMNS, scope))?;
        self.query(query, Some(scope), Place::Tagged(operand.column)).map(|_| Some(()))
    }

    /// The select list of a nested query whose rows are compared with a protected column: one of its index domain.
    pub(super) fn tagged_output(
        &mut self,
        items: &[SelectItem],
        like: ColumnId,
        scope: &Scope<'_>,
    ) -> Result<Vec<Output>, Refusal> {
        let [SelectItem::Expr { expr, alias }] = items else { return Err(self.unsupported(like, construct::SUBQUERY)) };
        match self.column_operand(expr, scope)? {
            Some(operand) => self.tag(expr.tokens, operand, like, (construct::COMPARE_COLUMNS, scope))?,
            None if super::predicate::value(expr) == Some(Value::Null) => {}
            None => {
                self.value(expr, scope, construct::SUBQUERY)?;
                return Err(self.unsupported(like, construct::COMPARE_EXPRESSION));
            }
        }
        Ok(vec![Output {
            name: self.name_of(expr, *alias),
            protected: None,
            label: self.label_of(expr, *alias),
            made_from: None,
        }])
    }

    fn tag(
        &mut self,
        tokens: TokenRange,
        operand: ColumnOperand,
        like: ColumnId,
        (construct, scope): (Construct, &Scope<'_>),
    ) -> Result<(), Refusal> {
        self.taggable(operand.column, construct)?;
        if !self.is_comparable(operand.column, like) {
            return Err(self.unsupported(operand.column, construct::COMPARE_COLUMNS));
        }
        self.splices.push(Splice {
            tokens,
            column: operand.column,
            kind: SpliceKind::Tag { of: self.tagged(operand, scope), like },
            subject: None,
        });
        Ok(())
    }

    /// A column with the generated one that holds what is equal for its equal values.
    pub(super) fn tagged(&self, operand: ColumnOperand, scope: &Scope<'_>) -> Tagged {
        Tagged { tokens: operand.tokens, generated: self.tag_column(operand, scope).map(Box::new) }
    }

    /// The generated column of the same table, where a name finds it for certain.
    fn tag_column(&self, operand: ColumnOperand, scope: &Scope<'_>) -> Option<TagColumn> {
        let names = (operand.tokens.first..=operand.tokens.last)
            .filter(|at| usize::try_from(*at).is_ok_and(|at| self.cx.text.name_at(at).is_some()));
        let path = Path { parts: names.collect(), tokens: operand.tokens };
        let rule = self.table_names();
        self.with_name(&path, |qualifier, column| {
            let (found, nearness) = scope.columns_meant(qualifier, column, rule);
            let ([(source, column)], Nearness::Own) = (found.as_slice(), nearness) else { return None };
            let alike = scope.sources.iter().filter(|other| rule.equal(&other.label, &source.label)).count();
            if alike == 1 { tag_of(source, column) } else { None }
        })
        .ok()
        .flatten()
    }

    /// Refuses a column whose values are not told apart by their index.
    pub(super) fn taggable(&self, column: ColumnId, construct: Construct) -> Result<(), Refusal> {
        if self.is_comparable(column, column) { Ok(()) } else { Err(self.unsupported(column, construct)) }
    }

    /// Whether two columns have equal prefixes where their values are equal.
    pub(super) fn is_comparable(&self, one: ColumnId, other: ColumnId) -> bool {
        let index = |column| {
            let found = self.cx.policy.column(column)?;
            let index = found.index.as_ref().filter(|index| index.length >= TAG_OCTETS_MIN)?;
            Some((&found.keyset, index))
        };
        matches!((index(one), index(other)), (Some(one), Some(other)) if one == other)
    }

    /// Whether one of the expressions calls an aggregate function, so that rows are grouped.
    pub(super) fn aggregates(&self, items: &[SelectItem]) -> bool {
        let mut calls = Calls { analysis: self, found: 0 };
        for item in items {
            if let SelectItem::Expr { expr, .. } = item {
                walk::expr(&mut calls, expr);
            }
        }
        calls.found > 0
    }

    /// Whether a function takes all rows of a group.
    pub(super) fn is_aggregate(&self, function: &Function) -> bool {
        let [name] = function.name.parts.as_slice() else { return false };
        let name = self.cx.text.name(*name);
        function.over.is_none() && AGGREGATES.iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

/// The generated column that holds the first bytes of a column's envelopes.
pub(super) fn tag_of(source: &Source, column: &SourceColumn) -> Option<TagColumn> {
    let Made::Into(name, octets) = &column.made else { return None };
    let column = TableColumn { table: source.label.clone(), column: name.clone() };
    Some(TagColumn { column, octets: *octets })
}

/// How a column of a select list gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    ByAlias,
    ByItself,
}

impl Named {
    pub(super) fn of(has_alias: bool) -> Self {
        if has_alias { Self::ByAlias } else { Self::ByItself }
    }
}

const AGGREGATES: &[&str] = &[
    "AVG",
    "BIT_AND",
    "BIT_OR",
    "BIT_XOR",
    "COUNT",
    "GROUP_CONCAT",
    "JSON_ARRAYAGG",
    "JSON_OBJECTAGG",
    "MAX",
    "MIN",
    "ST_COLLECT",
    "STD",
    "STDDEV",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "SUM",
    "VAR_POP",
    "VAR_SAMP",
    "VARIANCE",
];

/// Counts calls of aggregate functions.
struct Calls<'a, 'c> {
    analysis: &'a Analysis<'c>,
    found: usize,
}

impl<'t> Visitor<'t> for Calls<'_, '_> {
    fn expr(&mut self, expr: &'t Expr) {
        if let ExprKind::Function(function) = &expr.kind
            && self.analysis.is_aggregate(function)
        {
            self.found = self.found.saturating_add(1);
        }
    }
}
