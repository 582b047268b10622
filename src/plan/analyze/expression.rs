//! Expressions in which a protected column has no place, save for tests of NULL.
//!
//! The match over expression kinds is exhaustive on purpose: a kind that the parser learns must be judged here before
//! it compiles.

use super::construct::{self, Construct};
use super::query::Place;
use super::{Analysis, Meaning, Refusal, Scope, Verb};
use crate::plan::scope::Search;
use crate::sql::tree::{BinaryFamily, BinaryOp, Expr, ExprKind, Function, IsTest, MatchOp, Path, UnaryOp};

impl Analysis<'_> {
    /// Visits an expression; a protected column in it is refused as that construct unless a nearer one says better.
    pub(super) fn value(&mut self, expr: &Expr, scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        // A search is TRUE, FALSE or NULL where the comparison is, so it may stand within any expression.
        if scope.search == Search::Allowed && is_comparison(expr) {
            return self.condition(expr, scope);
        }
        match &expr.kind {
            ExprKind::Column(path) => self.unprotected(path, scope, construct),
            ExprKind::Literal(_) | ExprKind::Param(_) | ExprKind::UserVariable | ExprKind::SystemVariable => Ok(()),
            ExprKind::Assign(inner) => self.value(inner, scope, construct::ASSIGN),
            ExprKind::Parenthesised(inner) => self.value(inner, scope, construct),
            ExprKind::Unary { op, operand } => self.value(operand, scope, unary(*op)),
            ExprKind::Binary { op, left, right } => {
                if *op == BinaryOp::NullSafeEqual && self.null_test(left, right, scope)? {
                    return Ok(());
                }
                self.value(left, scope, binary(*op))?;
                self.value(right, scope, binary(*op))
            }
            ExprKind::Is { operand, test, .. } => self.is(operand, *test, scope),
            ExprKind::Between { operands, .. } => self.values(operands.iter(), scope, construct::BETWEEN),
            ExprKind::In { operand, list, .. } => {
                self.value(operand, scope, construct::COMPARE_PLACE)?;
                self.values(list, scope, construct::COMPARE_EXPRESSION)
            }
            ExprKind::InQuery { operand: left, query, .. } | ExprKind::Quantified { left, query, .. } => {
                let is_equality = !matches!(
                    &expr.kind,
                    ExprKind::Quantified {
                        op: BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual,
                        ..
                    }
                );
                if is_equality && self.compared_with_query(left, query, scope)?.is_some() {
                    return Ok(());
                }
                self.value(left, scope, construct::COMPARE_EXPRESSION)?;
                self.query(query, Some(scope), Place::Nested(construct::SUBQUERY)).map(drop)
            }
            ExprKind::Match { op, operands, .. } => self.values(operands, scope, construct::pattern(*op)),
            ExprKind::Exists(query) => self.query(query, Some(scope), Place::Exists).map(drop),
            ExprKind::Subquery(query) => self.query(query, Some(scope), Place::Nested(construct::SUBQUERY)).map(drop),
            ExprKind::Row(operands) => self.values(operands, scope, construct::ROW),
            ExprKind::Case { operand, whens, otherwise } => {
                self.tested(operand.as_deref(), whens, scope)?;
                self.values(whens.iter().map(|(_, then)| then), scope, construct::CASE)?;
                self.values(otherwise.as_deref(), scope, construct::CASE)
            }
            ExprKind::Function(function) => self.function(function, scope),
            ExprKind::Cast(inner) | ExprKind::Collate(inner) => self.value(inner, scope, construct::CAST),
            ExprKind::Interval(inner) | ExprKind::Odbc(inner) => self.value(inner, scope, construct::FUNCTION),
            ExprKind::Values(path) => self.unprotected(path, scope, construct::COPY),
            ExprKind::Default(None) => Ok(()),
            ExprKind::Default(Some(path)) => self.unprotected(path, scope, construct::DEFAULT),
            ExprKind::JsonExtract(path) => self.unprotected(path, scope, construct::JSON),
        }
    }

    /// Visits several expressions.
    pub(super) fn values<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
        construct: Construct,
    ) -> Result<(), Refusal> {
        exprs.into_iter().try_for_each(|expr| self.value(expr, scope, construct))
    }

    /// Refuses a name that can mean a protected column.
    pub(super) fn unprotected(&self, path: &Path, scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        match self.meaning(path, scope, Verb::Select)? {
            Meaning::Protected(columns) => Err(columns
                .first()
                .map_or_else(|| self.unsupported_data(construct), |column| self.unsupported(*column, construct))),
            Meaning::Unprotected => Ok(()),
            Meaning::Unknown => Err(self.unknown_column(path)),
        }
    }

    /// `operand IS …`. Whether an envelope is NULL is all that the server may know of it.
    pub(super) fn is(&mut self, operand: &Expr, test: IsTest, scope: &Scope<'_>) -> Result<(), Refusal> {
        match test {
            IsTest::Null => self.nullness(operand, scope, construct::SELECT_EXPRESSION),
            IsTest::True | IsTest::False | IsTest::Unknown => self.value(operand, scope, construct::TRUTH_TEST),
        }
    }

    /// Visits an operand of which the server learns only whether it is NULL.
    fn nullness(&mut self, operand: &Expr, scope: &Scope<'_>, construct: Construct) -> Result<(), Refusal> {
        match self.column_operand(operand, scope)? {
            Some(_) => Ok(()),
            None => self.value(operand, scope, construct),
        }
    }

    fn function(&mut self, function: &Function, scope: &Scope<'_>) -> Result<(), Refusal> {
        let name = function.name.parts.last().map(|part| self.cx.text.name(*part)).unwrap_or_default();
        if self.cx.names.has_routine(&name) {
            return Err(self.unsupported_data(construct::ROUTINE));
        }
        if let Some(over) = &function.over {
            self.values(&function.args, scope, construct::WINDOW)?;
            return self.window(over, scope);
        }
        let scope = &if self.is_aggregate(function) { Scope { grouped: &[], ..*scope } } else { *scope };
        match (function.name.parts.as_slice(), function.args.as_slice()) {
            ([_], operands) if name.eq_ignore_ascii_case("COUNT") && function.distinct => {
                operands.iter().try_for_each(|operand| self.counted(operand, scope))
            }
            ([_], [operand]) if name.eq_ignore_ascii_case("COUNT") || name.eq_ignore_ascii_case("ISNULL") => {
                self.nullness(operand, scope, construct::FUNCTION)
            }
            _ => self.values(&function.args, scope, construct::FUNCTION),
        }
    }
}

/// An expression without the parentheses around it.
pub(super) fn bare(expr: &Expr) -> &Expr {
    let mut expr = expr;
    while let ExprKind::Parenthesised(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// The name that an expression consists of, parentheses aside.
pub(super) fn column_path(expr: &Expr) -> Option<&Path> {
    if let ExprKind::Column(path) = &bare(expr).kind { Some(path) } else { None }
}

/// Whether an expression compares by equality, or may.
fn is_comparison(expr: &Expr) -> bool {
    matches!(
        &expr.kind,
        ExprKind::Binary { op: BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::NullSafeEqual, .. }
            | ExprKind::In { .. }
            | ExprKind::Match { op: MatchOp::Like, .. }
    )
}

fn unary(op: UnaryOp) -> Construct {
    match op {
        UnaryOp::Not => construct::BOOLEAN,
        UnaryOp::Minus | UnaryOp::Plus | UnaryOp::BitNot => construct::UNARY,
    }
}

fn binary(op: BinaryOp) -> Construct {
    match op.family() {
        BinaryFamily::Boolean => construct::BOOLEAN,
        BinaryFamily::Equality => construct::COMPARE_PLACE,
        BinaryFamily::Order => construct::ORDERING,
        BinaryFamily::Concat => construct::FUNCTION,
        BinaryFamily::Arithmetic => construct::ARITHMETIC,
    }
}
