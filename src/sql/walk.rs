//! Visiting every node of a tree, each once, parents first, in source order.
//!
//! The matches are exhaustive: a new kind of node does not compile until it is walked. Depth is bounded by the parser.

use super::tree::{
    Assignment, Expr, ExprKind, InsertSource, JoinCondition, OrderItem, Query, QueryBody, Select, SelectItem,
    Statement, TableReference, Window, With,
};

/// Called for each node before its children.
pub trait Visitor<'t> {
    /// A query expression, the outermost and nested ones.
    fn query(&mut self, _query: &'t Query) {}
    /// A SELECT.
    fn select(&mut self, _select: &'t Select) {}
    /// A table reference.
    fn table(&mut self, _table: &'t TableReference) {}
    /// An expression.
    fn expr(&mut self, _expr: &'t Expr) {}
}

/// Visits a statement.
pub fn statement<'t>(visitor: &mut impl Visitor<'t>, statement: &'t Statement) {
    match statement {
        Statement::Query(found) => query(visitor, found),
        Statement::Insert(insert) => {
            match &insert.source {
                InsertSource::Values(rows) => exprs(visitor, rows.iter().flatten()),
                InsertSource::Set(list) => assignments(visitor, list),
                InsertSource::Query(found) => query(visitor, found),
            }
            assignments(visitor, &insert.on_duplicate);
            items(visitor, &insert.returning);
        }
        Statement::Update(update) => {
            with(visitor, update.with.as_ref());
            tables(visitor, &update.tables);
            assignments(visitor, &update.assignments);
            exprs(visitor, &update.filter);
            order(visitor, &update.order_by);
            exprs(visitor, &update.limit);
            items(visitor, &update.returning);
        }
        Statement::Delete(delete) => {
            with(visitor, delete.with.as_ref());
            tables(visitor, &delete.tables);
            exprs(visitor, &delete.filter);
            order(visitor, &delete.order_by);
            exprs(visitor, &delete.limit);
            items(visitor, &delete.returning);
        }
        Statement::Explain(inner) => self::statement(visitor, inner),
    }
}

/// Visits a query expression.
pub fn query<'t>(visitor: &mut impl Visitor<'t>, found: &'t Query) {
    visitor.query(found);
    with(visitor, found.with.as_ref());
    match &found.body {
        QueryBody::Select(found) => select(visitor, found),
        QueryBody::SetOperation { left, right, .. } => {
            query(visitor, left);
            query(visitor, right);
        }
        QueryBody::Table(_) => {}
        QueryBody::Values(rows) => exprs(visitor, rows.iter().flatten()),
        QueryBody::Parenthesised(inner) => query(visitor, inner),
    }
    order(visitor, &found.order_by);
    exprs(visitor, &found.limit);
}

/// Visits an expression.
pub fn expr<'t>(visitor: &mut impl Visitor<'t>, found: &'t Expr) {
    visitor.expr(found);
    match &found.kind {
        ExprKind::Column(_)
        | ExprKind::Literal(_)
        | ExprKind::Param(_)
        | ExprKind::UserVariable
        | ExprKind::SystemVariable
        | ExprKind::Values(_)
        | ExprKind::Default(_)
        | ExprKind::JsonExtract(_) => {}
        ExprKind::Assign(inner)
        | ExprKind::Parenthesised(inner)
        | ExprKind::Unary { operand: inner, .. }
        | ExprKind::Is { operand: inner, .. }
        | ExprKind::Cast(inner)
        | ExprKind::Collate(inner)
        | ExprKind::Interval(inner)
        | ExprKind::Odbc(inner) => expr(visitor, inner),
        ExprKind::Binary { left, right, .. } => {
            expr(visitor, left);
            expr(visitor, right);
        }
        ExprKind::Between { operands, .. } => exprs(visitor, operands.iter()),
        ExprKind::In { operand, list, .. } => {
            expr(visitor, operand);
            exprs(visitor, list);
        }
        ExprKind::InQuery { operand: left, query: inner, .. } | ExprKind::Quantified { left, query: inner, .. } => {
            expr(visitor, left);
            query(visitor, inner);
        }
        ExprKind::Match { operands, .. } | ExprKind::Row(operands) => exprs(visitor, operands),
        ExprKind::Exists(inner) | ExprKind::Subquery(inner) => query(visitor, inner),
        ExprKind::Case { operand, whens, otherwise } => {
            exprs(visitor, operand.as_deref());
            exprs(visitor, whens.iter().flat_map(|(when, then)| [when, then]));
            exprs(visitor, otherwise.as_deref());
        }
        ExprKind::Function(function) => {
            exprs(visitor, &function.args);
            windows(visitor, &function.over);
        }
    }
}

fn exprs<'t>(visitor: &mut impl Visitor<'t>, found: impl IntoIterator<Item = &'t Expr>) {
    for one in found {
        expr(visitor, one);
    }
}

/// Visits a SELECT without the ORDER BY behind it.
pub fn select<'t>(visitor: &mut impl Visitor<'t>, found: &'t Select) {
    visitor.select(found);
    items(visitor, &found.items);
    tables(visitor, &found.from);
    exprs(visitor, &found.filter);
    order(visitor, &found.group_by);
    exprs(visitor, &found.having);
    windows(visitor, &found.windows);
    exprs(visitor, &found.qualify);
}

fn windows<'t>(visitor: &mut impl Visitor<'t>, found: impl IntoIterator<Item = &'t Window>) {
    for window in found {
        exprs(visitor, &window.partition);
        exprs(visitor, &window.rest);
    }
}

fn with<'t>(visitor: &mut impl Visitor<'t>, found: Option<&'t With>) {
    for table in found.iter().flat_map(|with| &with.tables) {
        query(visitor, &table.query);
    }
}

fn items<'t>(visitor: &mut impl Visitor<'t>, found: &'t [SelectItem]) {
    for item in found {
        match item {
            SelectItem::Star(_) | SelectItem::QualifiedStar(_) => {}
            SelectItem::Expr { expr: inner, .. } => expr(visitor, inner),
        }
    }
}

fn order<'t>(visitor: &mut impl Visitor<'t>, found: &'t [OrderItem]) {
    exprs(visitor, found.iter().map(|item| &item.expr));
}

fn assignments<'t>(visitor: &mut impl Visitor<'t>, found: &'t [Assignment]) {
    exprs(visitor, found.iter().map(|assignment| &assignment.value));
}

fn tables<'t>(visitor: &mut impl Visitor<'t>, found: &'t [TableReference]) {
    for table in found {
        self::table(visitor, table);
    }
}

fn table<'t>(visitor: &mut impl Visitor<'t>, found: &'t TableReference) {
    visitor.table(found);
    match found {
        TableReference::Named { .. } => {}
        TableReference::Derived { query: inner, .. } => query(visitor, inner),
        TableReference::Versioned { table: inner, period } => {
            table(visitor, inner);
            exprs(visitor, period);
        }
        TableReference::Function { args, .. } => exprs(visitor, args),
        TableReference::Join { left, right, condition, .. } => {
            table(visitor, left);
            table(visitor, right);
            match condition {
                JoinCondition::None | JoinCondition::Using(_) | JoinCondition::Natural(..) => {}
                JoinCondition::On(inner) => expr(visitor, inner),
            }
        }
        TableReference::Parenthesised(list) => tables(visitor, list),
    }
}
