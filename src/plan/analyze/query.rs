//! Query expressions: what they return, and where in them protected columns may stand.

use super::construct::{self, Construct};
use super::expression::column_path;
use super::from::{Rows, Surroundings, level};
use super::{Analysis, Cte, Named, Outputs, Refusal, Remember, Scope, SourceColumn, Verb, Visibility};
use crate::plan::scope::{Aliases, Output, Search};
use crate::policy::ColumnId;
use crate::schema::Table;
use crate::sql::tree::{
    CommonTable, Expr, ExprKind, LiteralKind, OrderItem, Path, Query, QueryBody, Select, SelectItem, TokenIndex,
    UnaryOp, With,
};

/// Where a query expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Its rows are the statement's result.
    Top,
    /// Its rows feed another part of the statement, which cannot take envelopes; refused as that construct.
    Nested(Construct),
    /// Only whether it has rows counts.
    Exists,
}

impl Place {
    fn search(self) -> Search {
        match self {
            Self::Top => Search::Allowed,
            Self::Nested(_) | Self::Exists => Search::Refused,
        }
    }

    /// The place of an operand of UNION, INTERSECT or EXCEPT.
    fn operand(self) -> Self {
        match self {
            Self::Top | Self::Exists => Self::Nested(construct::SET_OPERATION),
            Self::Nested(_) => self,
        }
    }
}

impl<'a> Analysis<'a> {
    /// Plans the query that a statement consists of.
    pub(super) fn top_query(&mut self, query: &Query) -> Result<Outputs, Refusal> {
        let outputs = self.query(query, None, Place::Top)?;
        if outputs.iter().all(|output| output.protected.is_none()) {
            return Ok(Outputs::Relay);
        }
        outputs.iter().map(|output| self.cell(output.protected)).collect::<Result<_, _>>().map(Outputs::Columns)
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
            QueryBody::SetOperation { left, right } => {
                let outputs = self.query(left, outer, place.operand())?;
                self.query(right, outer, place.operand())?;
                self.order_of(&query.order_by, &outputs, outer)?;
                outputs
            }
            QueryBody::Table(path) => {
                let source = self.source(path, None)?;
                let outputs: Vec<Output> = source.visible().map(Output::of).collect();
                self.granted(&outputs)?;
                self.order_of(&query.order_by, &outputs, outer)?;
                outputs
            }
            QueryBody::Values(rows) => {
                let scope = Scope { outer, ..Scope::EMPTY };
                self.values(rows.iter().flatten(), &scope, construct::VALUES_ROW)?;
                let width = rows.first().map_or(0, Vec::len);
                let outputs: Vec<Output> = (0..width)
                    .map(|at| Output { name: Some(format!("column_{at}").into()), protected: None })
                    .collect();
                self.order_of(&query.order_by, &outputs, outer)?;
                outputs
            }
            QueryBody::Parenthesised(inner) => {
                let outputs = self.query(inner, outer, place)?;
                self.order_of(&query.order_by, &outputs, outer)?;
                outputs
            }
        };
        let limit = Scope { outer, ..Scope::EMPTY };
        self.values(&query.limit, &limit, construct::LIMIT)?;
        self.ctes.truncate(in_sight);
        if let Some(column) = protected_of(&outputs) {
            match place {
                Place::Nested(construct) => return Err(self.unsupported(column, construct)),
                Place::Top if query.into.is_some() => return Err(self.unsupported(column, construct::INTO)),
                Place::Top | Place::Exists => {}
            }
        }
        Ok(outputs)
    }

    /// Brings common table expressions into sight, each seeing the ones before it.
    pub(super) fn with(&mut self, with: Option<&With>, outer: Option<&Scope<'_>>) -> Result<(), Refusal> {
        let Some(with) = with else { return Ok(()) };
        let recursive = with.tables.first().is_some_and(|table| self.follows_recursive(table.name));
        for table in &with.tables {
            let mut columns = if recursive { Some(self.recursive_columns(table)?) } else { None };
            if let Some(columns) = columns.take() {
                self.ctes.push(Cte { name: self.cx.text.name(table.name).into(), columns });
                self.query(&table.query, outer, Place::Nested(construct::COMMON_TABLE))?;
                continue;
            }
            let outputs = self.query(&table.query, outer, Place::Nested(construct::COMMON_TABLE))?;
            let columns = self.renamed(outputs.into_iter().map(|output| output.name), &table.columns);
            self.ctes.push(Cte { name: self.cx.text.name(table.name).into(), columns });
        }
        Ok(())
    }

    fn follows_recursive(&self, name: TokenIndex) -> bool {
        name.checked_sub(1)
            .and_then(|before| self.cx.text.token(before))
            .is_some_and(|token| self.cx.text.bytes(token).eq_ignore_ascii_case(b"RECURSIVE"))
    }

    /// A recursive common table expression sees itself, so its columns are read off its first SELECT.
    fn recursive_columns(&self, table: &CommonTable) -> Result<Vec<SourceColumn>, Refusal> {
        let mut query = &table.query;
        let names: Vec<Option<Box<str>>> = loop {
            match &query.body {
                QueryBody::Select(select) => {
                    break select.items.iter().map(|item| self.written_name(item)).collect::<Result<_, _>>()?;
                }
                QueryBody::SetOperation { left, .. } => query = left,
                QueryBody::Parenthesised(inner) => query = inner,
                QueryBody::Values(rows) => {
                    let width = rows.first().map_or(0, Vec::len);
                    break (0..width).map(|at| Some(format!("column_{at}").into())).collect();
                }
                QueryBody::Table(_) => return Err(self.unsupported_data(construct::RECURSIVE)),
            }
        };
        Ok(self.renamed(names.into_iter(), &table.columns))
    }

    fn written_name(&self, item: &SelectItem) -> Result<Option<Box<str>>, Refusal> {
        match item {
            SelectItem::Star(_) | SelectItem::QualifiedStar(_) => Err(self.unsupported_data(construct::RECURSIVE)),
            SelectItem::Expr { alias: Some(alias), .. } => Ok(Some(self.folded(*alias))),
            SelectItem::Expr { expr, alias: None } => {
                Ok(column_path(expr).and_then(|path| path.parts.last()).map(|part| self.folded(*part)))
            }
        }
    }

    fn select(
        &mut self,
        select: &Select,
        order_by: &[OrderItem],
        outer: Option<&Scope<'_>>,
        place: Place,
    ) -> Result<Vec<Output>, Refusal> {
        let surroundings = Surroundings { outer, search: place.search() };
        let Rows { sources, slots } = self.from(&select.from, surroundings)?;
        let scope = level(&sources, 0, &slots, surroundings);
        let outputs = self.outputs(&select.items, &scope)?;
        self.granted(&outputs)?;
        if let (Some(_), Some(column)) = (select.distinct, protected_of(&outputs)) {
            return Err(self.unsupported(column, construct::DISTINCT));
        }
        let hidden = Scope { outputs: &outputs, ..scope };
        let visible = Scope { aliases: Aliases::Visible, search: Search::Refused, ..hidden };
        self.items(&select.items, &Scope { search: Search::Refused, ..hidden })?;
        if let Some(filter) = &select.filter {
            self.condition(filter, &hidden)?;
        }
        self.order(&select.group_by, &visible, construct::GROUP_BY)?;
        self.values(&select.having, &visible, construct::COMPARE_PLACE)?;
        self.values(&select.windows, &visible, construct::WINDOW)?;
        self.values(&select.qualify, &visible, construct::WINDOW)?;
        self.order(order_by, &visible, construct::ORDER_BY)?;
        Ok(outputs)
    }

    /// The columns of a select list, stars expanded.
    pub(super) fn outputs(&self, items: &[SelectItem], scope: &Scope<'_>) -> Result<Vec<Output>, Refusal> {
        let mut outputs = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Star(_) => outputs.extend(
                    scope
                        .slots
                        .iter()
                        .filter_map(|slot| scope.column(*slot))
                        .filter(|column| column.visibility == Visibility::Visible)
                        .map(Output::of),
                ),
                SelectItem::QualifiedStar(path) => {
                    outputs.extend(self.qualified_star(path, scope)?);
                }
                SelectItem::Expr { expr, alias } => {
                    let protected = self.column_operand(expr, scope)?.map(|operand| operand.column);
                    let name = match alias {
                        Some(alias) => Some(self.folded(*alias)),
                        None => self.written_name(item)?,
                    };
                    outputs.push(Output { name, protected });
                }
            }
        }
        Ok(outputs)
    }

    /// Visits the expressions of a select list other than bare columns, which `outputs` has judged.
    pub(super) fn items(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Result<(), Refusal> {
        for item in items {
            match item {
                SelectItem::Star(_) | SelectItem::QualifiedStar(_) => {}
                SelectItem::Expr { expr, .. } if column_path(expr).is_some() => {}
                SelectItem::Expr { expr, .. } => self.value(expr, scope, construct::SELECT_EXPRESSION)?,
            }
        }
        Ok(())
    }

    /// ORDER BY behind something other than a SELECT: it sees the names of the result alone.
    fn order_of(
        &mut self,
        order_by: &[OrderItem],
        outputs: &[Output],
        outer: Option<&Scope<'_>>,
    ) -> Result<(), Refusal> {
        let scope = Scope { outer, outputs, aliases: Aliases::Visible, ..Scope::EMPTY };
        self.order(order_by, &scope, construct::ORDER_BY)
    }

    /// Visits ORDER BY or GROUP BY. An integer there is a position in the select list. The digest holds it where it
    /// stands bare; the server also looks through parentheses and a plus sign.
    fn order(&mut self, list: &[OrderItem], scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        for item in list {
            let Some(column) = protected_of(scope.outputs) else {
                self.value(&item.expr, scope, construct)?;
                continue;
            };
            let mut expr = &item.expr;
            while let ExprKind::Parenthesised(inner) | ExprKind::Unary { op: UnaryOp::Plus, operand: inner } =
                &expr.kind
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

    fn integer(&self, token: TokenIndex) -> Option<usize> {
        let token = self.cx.text.token(token)?;
        std::str::from_utf8(self.cx.text.bytes(token)).ok()?.parse().ok()
    }

    pub(super) fn granted(&self, outputs: &[Output]) -> Result<(), Refusal> {
        outputs
            .iter()
            .filter_map(|output| output.protected)
            .try_for_each(|column| self.grant(column, Verb::Select).map(drop))
    }

    /// The base table that a statement writes to.
    pub(super) fn written_table(&self, path: &Path) -> Result<&'a Table, Refusal> {
        match self.named(path)? {
            Named::Table(table) => Ok(table),
            Named::Cte(_) => Err(self.unknown_table(path)),
        }
    }
}

/// Whether an expression of ORDER BY or GROUP BY is a position in the select list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    None,
    Integer,
    /// A constant that some server may take for one.
    Unclear,
}

impl Position {
    fn of(expr: &Expr) -> Self {
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

fn protected_of(outputs: &[Output]) -> Option<ColumnId> {
    outputs.iter().find_map(|output| output.protected)
}
