//! Expressions that hand on the value of an operand as it is: what comes out of them is opened like the operand.
//!
//! All that can come out must be envelopes of one column, for a column of a result is opened by one grant. A constant
//! among the operands (`COALESCE(phone, 'none')`) is therefore sealed before the statement is sent, so nothing is ever
//! told from an envelope by its looks.

use super::construct::{self, Construct};
use super::expression::bare;
use super::output::protected_of;
use super::predicate::{ColumnOperand, value};
use super::query::Place;
use super::{Analysis, Meaning, Refusal, Scope, Usage, Verb};
use crate::plan::scope::Search;
use crate::plan::{Comparison, Splice, SpliceKind, Value};
use crate::policy::ColumnId;
use crate::sql::TokenKind;
use crate::sql::tree::{Expr, ExprKind, Function, LiteralKind, TokenRange, Window};

/// What can come out of an expression.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Envelopes of this column.
    pub(super) column: Option<ColumnId>,
    /// Constants that a column of text can hold.
    pub(super) constants: Vec<Constant>,
    /// Anything else.
    pub(super) others: Others,
    /// Whose they are.
    pub(super) rows: Rows,
}

/// From which rows the values of an expression come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rows {
    /// From the row that the expression belongs to.
    #[default]
    Own,
    /// From others too: those of a nested query or of a window.
    Any,
}

/// A constant that comes out of an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constant {
    pub(super) value: Value,
    pub(super) tokens: TokenRange,
}

/// Whether values that are neither envelopes nor constants come out of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Others {
    /// None but NULL.
    #[default]
    None,
    /// Some may.
    Some,
}

/// Expressions that hand on operands.
enum Carrier<'e> {
    /// CASE.
    Case { operand: Option<&'e Expr>, whens: &'e [(Expr, Expr)], otherwise: Option<&'e Expr> },
    /// The arguments of COALESCE and IFNULL.
    All(&'e [Expr]),
    /// That of ANY_VALUE, which takes one of a group.
    AnyOf(&'e Expr),
    /// `IF(condition, then, otherwise)`
    If { condition: &'e Expr, operands: &'e [Expr] },
    /// `NULLIF(operand, other)`
    NullIf { operand: &'e Expr, other: &'e Expr },
    /// A window function that shows the value of another row, and what else stands in it.
    Row { operands: [Option<&'e Expr>; 2], offset: Option<&'e Expr>, over: &'e Window },
}

impl Analysis<'_> {
    /// Visits an expression that may hand on the value of a protected column, and tells what can come out of it.
    pub(super) fn carried(&mut self, expr: &Expr, scope: &Scope<'_>) -> Result<Carried, Refusal> {
        let expr = bare(expr);
        if let ExprKind::Subquery(query) = &expr.kind {
            let outputs = self.query(query, Some(scope), Place::Carried)?;
            return match (outputs.as_slice(), protected_of(&outputs)) {
                ([output], _) => {
                    output.protected.map_or(Ok(()), |column| self.may(column, Usage::Used(Verb::Select)))?;
                    Ok(Carried { rows: Rows::Any, ..Carried::of(output.protected) })
                }
                // As many columns as a value has not: the server refuses it.
                (_, None) => Ok(Carried::of(None)),
                (_, Some(column)) => Err(self.unsupported(column, construct::SUBQUERY)),
            };
        }
        if let Some(carrier) = self.carrier(expr) {
            return self.carried_by(&carrier, scope);
        }
        if let ExprKind::Column(_) = &expr.kind {
            return Ok(Carried::of(self.column_operand(expr, scope)?.map(|operand| operand.column)));
        }
        if let ExprKind::Values(path) = &expr.kind {
            return match self.meaning(path, scope, Verb::Select)? {
                Meaning::Protected(columns) if columns.len() == 1 => Ok(Carried::of(columns.first().copied())),
                Meaning::Protected(_) | Meaning::Unknown => Err(self.unknown_column(path)),
                Meaning::Unprotected => Ok(Carried::of(None)),
            };
        }
        match value(expr) {
            Some(Value::Null) => Ok(Carried::default()),
            Some(value) if self.is_text(expr) => {
                let constant = Constant { value, tokens: expr.tokens };
                Ok(Carried { constants: vec![constant], ..Carried::default() })
            }
            Some(_) | None => {
                self.value(expr, scope, construct::SELECT_EXPRESSION)?;
                Ok(Carried::of(None))
            }
        }
    }

    /// Whether an expression is one that [`Self::carried`] looks into.
    pub(super) fn is_carrier(&self, expr: &Expr) -> bool {
        matches!(bare(expr).kind, ExprKind::Subquery(_)) || self.carrier(bare(expr)).is_some()
    }

    /// Plans the constants of an expression whose result is shown; tells the column whose envelopes come out of it.
    pub(super) fn shown(&mut self, carried: &Carried) -> Result<Option<ColumnId>, Refusal> {
        let Some(column) = carried.column else { return Ok(None) };
        match carried.others {
            Others::None => {}
            Others::Some => return Err(self.unsupported(column, construct::MIXTURE)),
        }
        if let ([_, ..], Some((_, refused))) = (carried.constants.as_slice(), self.stated(column)) {
            return Err(self.unsupported(column, refused.constant));
        }
        for Constant { value, tokens } in &carried.constants {
            let kind = SpliceKind::Constant(*value);
            self.splices.push(Splice { tokens: *tokens, column, kind, subject: None });
        }
        Ok(Some(column))
    }

    fn carrier<'e>(&self, expr: &'e Expr) -> Option<Carrier<'e>> {
        if let ExprKind::Case { operand, whens, otherwise } = &expr.kind {
            return Some(Carrier::Case { operand: operand.as_deref(), whens, otherwise: otherwise.as_deref() });
        }
        let ExprKind::Function(function) = &expr.kind else { return None };
        let Function { name, args, star: false, distinct: false, over } = function else { return None };
        let [name] = name.parts.as_slice() else { return None };
        let name = self.cx.text.name(*name);
        if self.cx.names.has_routine(&name) {
            return None;
        }
        let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        match (args.as_slice(), over) {
            ([_, ..], None) if is(&["COALESCE"]) => Some(Carrier::All(args)),
            ([_, _], None) if is(&["IFNULL"]) => Some(Carrier::All(args)),
            ([operand], None) if is(&["ANY_VALUE"]) => Some(Carrier::AnyOf(operand)),
            ([condition, operands @ ..], None) if is(&["IF"]) && operands.len() == 2 => {
                Some(Carrier::If { condition, operands })
            }
            ([operand, other], None) if is(&["NULLIF"]) => Some(Carrier::NullIf { operand, other }),
            ([shown], Some(over)) if is(&["LEAD", "LAG", "FIRST_VALUE", "LAST_VALUE"]) => {
                Some(Carrier::Row { operands: [Some(shown), None], offset: None, over })
            }
            ([shown, offset], Some(over)) if is(&["LEAD", "LAG", "NTH_VALUE"]) => {
                Some(Carrier::Row { operands: [Some(shown), None], offset: Some(offset), over })
            }
            ([shown, offset, default], Some(over)) if is(&["LEAD", "LAG"]) => {
                Some(Carrier::Row { operands: [Some(shown), Some(default)], offset: Some(offset), over })
            }
            _ => None,
        }
    }

    fn carried_by(&mut self, carrier: &Carrier<'_>, scope: &Scope<'_>) -> Result<Carried, Refusal> {
        match carrier {
            Carrier::Case { operand, whens, otherwise } => {
                self.tested(*operand, whens, scope)?;
                self.together_carried(whens.iter().map(|(_, then)| then).chain(*otherwise), scope)
            }
            Carrier::AnyOf(operand) => self.carried(operand, &Scope { grouped: &[], ..*scope }),
            Carrier::All(operands) => self.together_carried(*operands, scope),
            Carrier::If { condition, operands } => {
                self.value(condition, scope, construct::BOOLEAN)?;
                self.together_carried(*operands, scope)
            }
            Carrier::NullIf { operand, other } => self.null_if(operand, other, scope),
            Carrier::Row { operands, offset, over } => {
                let carried = self.together_carried(operands.iter().copied().flatten(), scope)?;
                self.values(*offset, scope, construct::WINDOW)?;
                self.window(over, scope)?;
                Ok(Carried { rows: Rows::Any, ..carried })
            }
        }
    }

    fn together_carried<'e>(
        &mut self,
        operands: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
    ) -> Result<Carried, Refusal> {
        let mut all = Carried::default();
        for operand in operands {
            let one = self.carried(operand, scope)?;
            match (all.column, one.column) {
                (Some(column), Some(other)) if column != other => {
                    return Err(self.unsupported(column, construct::MIXTURE));
                }
                (Some(_), _) => {}
                (None, column) => all.column = column,
            }
            all.constants.extend(one.constants);
            all.others = all.others.and(one.others);
            all.rows = if one.rows == Rows::Any { Rows::Any } else { all.rows };
        }
        Ok(all)
    }

    /// `NULLIF(phone, 'v')` shows the column where it is not the value.
    fn null_if(&mut self, operand: &Expr, other: &Expr, scope: &Scope<'_>) -> Result<Carried, Refusal> {
        let Some(found) = self.column_operand(operand, scope)? else {
            let carried = self.carried(operand, scope)?;
            if let Some(column) = carried.column {
                return Err(self.unsupported(column, construct::COMPARE_EXPRESSION));
            }
            self.value(other, scope, construct::COMPARE_EXPRESSION)?;
            return Ok(carried);
        };
        self.searchable(found.column, scope)?;
        self.value(other, scope, construct::COMPARE_EXPRESSION)?;
        match value(other) {
            Some(Value::Null) => {}
            Some(value) => self.splices.push(Splice {
                tokens: other.tokens,
                column: found.column,
                kind: SpliceKind::NullIf { column_tokens: found.tokens, value },
                subject: None,
            }),
            None => return Err(self.unsupported(found.column, construct::COMPARE_EXPRESSION)),
        }
        Ok(Carried::of(Some(found.column)))
    }

    /// Visits what a CASE tests: its operand and the values that this is compared with, or its conditions.
    pub(super) fn tested(
        &mut self,
        operand: Option<&Expr>,
        whens: &[(Expr, Expr)],
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let Some(operand) = operand else {
            return self.values(whens.iter().map(|(when, _)| when), scope, construct::BOOLEAN);
        };
        let Some(found) = self.column_operand(operand, scope)? else {
            self.value(operand, scope, construct::CASE)?;
            return self.values(whens.iter().map(|(when, _)| when), scope, construct::COMPARE_EXPRESSION);
        };
        self.searchable(found.column, scope)?;
        self.splices.push(Splice {
            tokens: operand.tokens,
            column: found.column,
            kind: SpliceKind::Operand,
            subject: None,
        });
        whens.iter().try_for_each(|(when, _)| self.when(found, when, scope))
    }

    /// One value of a simple CASE over a protected column: a search in its place.
    fn when(&mut self, operand: ColumnOperand, when: &Expr, scope: &Scope<'_>) -> Result<(), Refusal> {
        if let Some(other) = self.column_operand(when, scope)? {
            return self.match_columns(when, Comparison::Equal, (operand, other), scope);
        }
        self.value(when, scope, construct::COMPARE_EXPRESSION)?;
        match value(when) {
            // Never met, as a condition and as a value.
            Some(Value::Null) => Ok(()),
            Some(value) => self.search(when, operand, Comparison::Equal, vec![value]),
            None => Err(self.unsupported(operand.column, construct::COMPARE_EXPRESSION)),
        }
    }

    /// Refuses a comparison of a column that has no index, or where comparisons are not rewritten.
    fn searchable(&self, column: ColumnId, scope: &Scope<'_>) -> Result<(), Refusal> {
        let construct: Construct = match scope.search {
            Search::Refused => construct::COMPARE_PLACE,
            Search::Allowed if self.cx.policy.column(column).is_none_or(|found| found.index.is_none()) => {
                construct::NO_INDEX
            }
            Search::Allowed => return Ok(()),
        };
        Err(self.unsupported(column, construct))
    }

    /// Whether a value is text as the client's character set has it. Beside a literal of bytes, or of a set of its own,
    /// the server would take the column for something else than its type.
    fn is_text(&self, expr: &Expr) -> bool {
        let is_plain = || {
            let first = self.cx.text.token(expr.tokens.first);
            first.is_some_and(|token| token.kind == TokenKind::String)
        };
        matches!(&expr.kind, ExprKind::Param(_))
            || matches!(&expr.kind, ExprKind::Literal(LiteralKind::String)) && is_plain()
    }
}

impl Carried {
    fn of(column: Option<ColumnId>) -> Self {
        let others = if column.is_some() { Others::None } else { Others::Some };
        Self { column, others, ..Self::default() }
    }
}

impl Others {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, Self::None) => Self::None,
            (Self::Some, _) | (_, Self::Some) => Self::Some,
        }
    }
}
