//! Query expressions: where in them protected columns may stand. What their columns carry is [`super::output`]'s.

use super::construct::{self, Construct};
use super::from::{Rows, Surroundings, level};
use super::output::{Naming, protected_of};
use super::sort::Sorts;
use super::{Analysis, CellAction, Named, Outputs, Refusal, Remember, Scope};
use crate::plan::scope::{Aliases, Label, Output, Search, Slot};
use crate::policy::ColumnId;
use crate::schema::Table;
use crate::sql::tree::{
    Expr, ExprKind, LiteralKind, OrderItem, Path, Query, QueryBody, Select, SelectItem, TokenIndex, UnaryOp,
};

/// Where a query expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Its rows are the statement's result.
    Top,
    /// They are, by way of parentheses.
    Enclosed,
    /// Its rows feed a part of the statement that knows for each of their columns whether it carries envelopes.
    Carried,
    /// Its rows are compared with values of that column, by what is equal for equal ones.
    Tagged(ColumnId),
    /// Its rows fill the columns of an INSERT.
    Filling,
    /// Its rows feed another part of the statement, which cannot take envelopes; refused as that construct.
    Nested(Construct),
    /// Only whether it has rows counts.
    Exists,
}

impl Place {
    /// Whether the names of its columns are the client's to see, and nobody else's.
    pub(super) fn naming(self) -> Naming {
        match self {
            Self::Top | Self::Enclosed => Naming::Restored,
            Self::Carried | Self::Filling | Self::Tagged(_) | Self::Nested(_) | Self::Exists => Naming::Servers,
        }
    }

    /// The place of an operand of UNION, INTERSECT or EXCEPT.
    fn operand(self) -> Self {
        match self {
            Self::Top | Self::Enclosed | Self::Carried | Self::Exists => Self::Carried,
            Self::Filling | Self::Nested(_) | Self::Tagged(_) => self,
        }
    }

    /// The place of a query in parentheses.
    fn enclosed(self) -> Self {
        match self {
            Self::Top | Self::Enclosed => Self::Enclosed,
            Self::Carried | Self::Filling | Self::Exists | Self::Nested(_) | Self::Tagged(_) => self,
        }
    }
}

impl<'a> Analysis<'a> {
    /// Plans the query that a statement consists of.
    pub(super) fn top_query(&mut self, query: &Query) -> Result<Outputs, Refusal> {
        let outputs = self.query(query, None, Place::Top)?;
        self.restored(&outputs)?;
        self.all_bound(&outputs)?;
        let added = self.sorting.as_ref().map(|sorting| sorting.added.clone()).unwrap_or_default();
        let opens = outputs.iter().any(|output| output.protected.is_some());
        // The rows that a granted search finds are counted.
        if !opens && self.names.is_empty() && self.sorting.is_none() && self.searches.is_empty() {
            return Ok(Outputs::Relay);
        }
        let ties = self.bound.as_ref().map_or(0, |bound| bound.ties.len());
        let added = added.into_iter().chain(std::iter::repeat_n(CellAction::Relay, ties)).map(Ok);
        let actions = outputs.iter().map(|output| self.cell(output.protected)).chain(added);
        actions.collect::<Result<_, _>>().map(Outputs::Columns)
    }

    /// Visits a query expression and tells its columns.
    pub(super) fn query(
        &mut self,
        query: &Query,
        outer: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Vec<Output>, Refusal> {
        let in_sight = self.ctes.len();
        self.with(query.with.as_ref(), outer)?;
        let outputs = match &query.body {
            QueryBody::Select(select) => self.select(select, &query.order_by, outer, place)?,
            QueryBody::SetOperation { .. } => {
                let outputs = self.set_operation(query, outer, place.operand())?;
                self.order_of(&query.order_by, &outputs, outer, place)?;
                outputs
            }
            QueryBody::Table(path) => {
                self.not_tagged(place)?;
                let source = self.source(path, None)?;
                let outputs: Vec<Output> = source.visible().map(Output::of).collect();
                self.granted(&outputs)?;
                for (at, output) in outputs.iter().enumerate() {
                    self.copied(output.protected, self.target(place, at))?;
                }
                self.order_of(&query.order_by, &outputs, outer, place)?;
                outputs
            }
            QueryBody::Values(rows) => {
                self.not_tagged(place)?;
                let scope = Scope { outer, ..Scope::EMPTY };
                self.values(rows.iter().flatten(), &scope, construct::VALUES_ROW)?;
                let width = rows.first().map_or(0, Vec::len);
                let outputs: Vec<Output> = (0..width)
                    .map(|at| Output {
                        name: Some(format!("column_{at}").into()),
                        protected: None,
                        label: Label::Unknown,
                        made_from: None,
                    })
                    .collect();
                self.order_of(&query.order_by, &outputs, outer, place)?;
                outputs
            }
            QueryBody::Parenthesised(inner) => {
                let outputs = self.query(inner, outer, place.enclosed())?;
                self.order_of(&query.order_by, &outputs, outer, place)?;
                outputs
            }
        };
        let limit = Scope { outer, ..Scope::EMPTY };
        self.values(&query.limit, &limit, construct::LIMIT)?;
        if let Place::Top = place {
            self.sorted_limit(query)?;
        }
        self.ctes.truncate(in_sight);
        if let (Some(_), Some(name)) = (query.into, self.names.first()) {
            return Err(self.unsupported(name.column, construct::INTO));
        }
        self.not_locked(query, &outputs)?;
        if let (Some(_), Some(search)) = (query.into, self.searches.first()) {
            return Err(self.unsupported(search.column, construct::INTO));
        }
        if let Some(column) = protected_of(&outputs) {
            if query.into.is_some() {
                return Err(self.unsupported(column, construct::INTO));
            }
            match place {
                Place::Nested(construct) => return Err(self.unsupported(column, construct)),
                Place::Top | Place::Enclosed | Place::Carried | Place::Filling | Place::Tagged(_) | Place::Exists => {}
            }
        }
        Ok(outputs)
    }

    /// Refuses a query without a select list where its rows are compared with a protected column.
    fn not_tagged(&self, place: Place) -> Result<(), Refusal> {
        match place {
            Place::Tagged(column) => Err(self.unsupported(column, construct::SUBQUERY)),
            Place::Top | Place::Enclosed | Place::Carried | Place::Filling | Place::Nested(_) | Place::Exists => Ok(()),
        }
    }

    fn select(
        &mut self,
        select: &Select,
        order_by: &[OrderItem],
        outer: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Vec<Output>, Refusal> {
        let surroundings = Surroundings { outer, search: Search::Allowed };
        self.kept_names(select.items.iter().filter_map(|item| match item {
            SelectItem::Expr { alias, .. } => *alias,
            SelectItem::Star(_) | SelectItem::QualifiedStar(_) => None,
        }))?;
        let before = self.common.len();
        let Rows { sources, slots } = self.from(&select.from, surroundings)?;
        let scope = Scope { among: self.among(&select.group_by), ..level(&sources, 0, &slots, surroundings) };
        let joins = self.common.split_off(before);
        self.qualify(&joins, select, order_by, &scope)?;
        let keys = self.group_keys(select, &scope)?;
        let grouped: Vec<Slot> = keys.iter().flatten().map(|key| key.slot).collect();
        let outputs = match place {
            // The same prefix is the key of the group.
            Place::Tagged(like) => self.tagged_output(&select.items, like, &scope)?,
            Place::Top | Place::Enclosed | Place::Carried | Place::Filling | Place::Nested(_) | Place::Exists => {
                self.outputs(&select.items, &Scope { grouped: &grouped, ..scope }, place)?
            }
        };
        self.granted(&outputs)?;
        self.stars(select, &outputs, &scope, place)?;
        if select.distinct.is_some() {
            self.distinct(select, &outputs, &scope)?;
        }
        let hidden = Scope { outputs: &outputs, grouped: &grouped, ..scope };
        let visible = Scope { aliases: Aliases::Visible, search: Search::Refused, ..hidden };
        self.items(&select.items, &hidden, place.naming())?;
        if let Some(filter) = &select.filter {
            self.filter(filter, &Scope { grouped: &[], ..hidden })?;
        }
        for (item, key) in select.group_by.iter().zip(&keys) {
            match key {
                Some(key) => self.group_by_tag(item, *key, &scope)?,
                None => self.order(std::slice::from_ref(item), &visible, construct::GROUP_EXPRESSION)?,
            }
        }
        if let Some(having) = &select.having {
            self.condition(having, &Scope { search: Search::Allowed, ..visible })?;
        }
        select.windows.iter().try_for_each(|window| self.window(window, &visible))?;
        self.values(&select.qualify, &visible, construct::WINDOW)?;
        match self.outermost_sort(order_by, &visible, place, Some(select))? {
            Sorts::Yes => {}
            Sorts::No => self.order(order_by, &visible, construct::ORDER_BY)?,
        }
        match place {
            Place::Top => self.bind(select, &outputs, &scope)?,
            Place::Enclosed | Place::Carried | Place::Filling | Place::Tagged(_) | Place::Nested(_) | Place::Exists => {
            }
        }
        Ok(outputs)
    }

    /// ORDER BY behind something other than a SELECT: it sees the names of the result alone.
    fn order_of(
        &mut self,
        order_by: &[OrderItem],
        outputs: &[Output],
        outer: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<(), Refusal> {
        let scope = Scope { outer, outputs, aliases: Aliases::Visible, ..Scope::EMPTY };
        match self.outermost_sort(order_by, &scope, place, None)? {
            Sorts::Yes => Ok(()),
            Sorts::No => self.order(order_by, &scope, construct::ORDER_BY),
        }
    }

    fn outermost_sort(
        &mut self,
        order_by: &[OrderItem],
        scope: &Scope<'_>,
        place: Place,
        select: Option<&Select>,
    ) -> Result<Sorts, Refusal> {
        match place {
            Place::Top => self.sort(order_by, scope, select),
            Place::Enclosed | Place::Carried | Place::Filling | Place::Tagged(_) | Place::Nested(_) | Place::Exists => {
                Ok(Sorts::No)
            }
        }
    }

    /// Visits ORDER BY or GROUP BY. An integer there is a position in the select list. The digest holds it where it
    /// stands bare; the server also looks through parentheses, a plus sign and `{x 1}`.
    pub(super) fn order(&mut self, list: &[OrderItem], scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        for item in list {
            let Some(column) = protected_of(scope.outputs) else {
                self.value(&item.expr, scope, construct)?;
                continue;
            };
            let mut expr = &item.expr;
            while let ExprKind::Parenthesised(inner)
            | ExprKind::Odbc(inner)
            | ExprKind::Unary { op: UnaryOp::Plus, operand: inner } = &expr.kind
            {
                self.remember = Remember::No;
                expr = inner;
            }
            match Position::of(expr) {
                Position::None => self.value(&item.expr, scope, construct)?,
                Position::Unclear => return Err(self.unsupported(column, construct)),
                Position::Integer => {
                    let output = self.integer(expr.tokens.first).and_then(|at| scope.outputs.get(at.checked_sub(1)?));
                    match output {
                        Some(Output { protected: None, .. }) => {}
                        Some(Output { protected: Some(column), .. }) => {
                            return Err(self.unsupported(*column, construct));
                        }
                        None => return Err(self.unsupported(column, construct)),
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn integer(&self, token: TokenIndex) -> Option<usize> {
        let token = self.cx.text.token(token)?;
        std::str::from_utf8(self.cx.text.bytes(token)).ok()?.parse().ok()
    }

    /// The base table that a statement writes to.
    pub(super) fn written_table(&self, path: &Path) -> Result<&'a Table, Refusal> {
        match self.named(path)? {
            Named::Table(table) => Ok(table),
            Named::View(view) => Err(self.refused_view(view, construct::VIEW_WRITTEN)),
            Named::Cte(_) => Err(self.unknown_table(path)),
        }
    }
}

/// Whether an expression of ORDER BY or GROUP BY is a position in the select list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    None,
    Integer,
    /// A constant that some server may take for one.
    Unclear,
}

impl Position {
    pub(super) fn of(expr: &Expr) -> Self {
        if let ExprKind::Literal(kind) = &expr.kind {
            match kind {
                LiteralKind::Integer => Self::Integer,
                LiteralKind::Null | LiteralKind::String => Self::None,
                LiteralKind::Hex
                | LiteralKind::Bit
                | LiteralKind::Decimal
                | LiteralKind::Float
                | LiteralKind::Boolean
                | LiteralKind::Temporal => Self::Unclear,
            }
        } else if let ExprKind::Param(_) = &expr.kind {
            Self::Unclear
        } else {
            Self::None
        }
    }
}
