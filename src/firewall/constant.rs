//! Which expressions have one value whatever the rows are.

use super::Reading;
use crate::sql::tree::{BinaryFamily, BinaryOp, Expr, ExprKind, LiteralKind, Query, QueryBody, SelectItem};

/// Functions whose value follows from their arguments alone.
const PURE: &[&str] = &[
    "ABS",
    "ASCII",
    "BIN",
    "BIT_LENGTH",
    "CEIL",
    "CEILING",
    "CHAR",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "CONV",
    "CRC32",
    "ELT",
    "EXP",
    "FIELD",
    "FIND_IN_SET",
    "FLOOR",
    "FORMAT",
    "GREATEST",
    "HEX",
    "IF",
    "IFNULL",
    "INSERT",
    "INSTR",
    "ISNULL",
    "LCASE",
    "LEAST",
    "LEFT",
    "LENGTH",
    "LN",
    "LOCATE",
    "LOWER",
    "LPAD",
    "LTRIM",
    "MAKE_SET",
    "MD5",
    "MID",
    "MOD",
    "NULLIF",
    "OCT",
    "ORD",
    "PI",
    "POW",
    "POWER",
    "QUOTE",
    "REPEAT",
    "REPLACE",
    "REVERSE",
    "RIGHT",
    "ROUND",
    "RPAD",
    "RTRIM",
    "SHA",
    "SHA1",
    "SHA2",
    "SIGN",
    "SOUNDEX",
    "SPACE",
    "SQRT",
    "STRCMP",
    "SUBSTR",
    "SUBSTRING",
    "SUBSTRING_INDEX",
    "TRIM",
    "UCASE",
    "UNHEX",
    "UPPER",
];

/// Whether the expression has the same value for every row: literals, what is computed from literals alone, and what
/// the session knows of itself. A parameter is not constant, and neither is what the clock or chance decides.
pub(super) fn is_constant(reading: &Reading<'_>, expr: &Expr) -> bool {
    let constant = |inner: &Expr| is_constant(reading, inner);
    let mut inner = Vec::new();
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::SystemVariable => return true,
        ExprKind::Parenthesised(one) | ExprKind::Cast(one) | ExprKind::Collate(one) | ExprKind::Odbc(one) => {
            inner.push(&**one);
        }
        ExprKind::Unary { operand, .. } | ExprKind::Is { operand, .. } => inner.push(&**operand),
        ExprKind::Binary { left, right, .. } => inner.extend([&**left, &**right]),
        ExprKind::Between { operands, .. } => inner.extend(operands.iter()),
        ExprKind::In { operand, list, .. } => {
            inner.push(&**operand);
            inner.extend(list);
        }
        ExprKind::Match { operands, .. } | ExprKind::Row(operands) => inner.extend(operands),
        ExprKind::Case { operand, whens, otherwise } => {
            inner.extend(operand.as_deref());
            inner.extend(whens.iter().flat_map(|(when, then)| [when, then]));
            inner.extend(otherwise.as_deref());
        }
        ExprKind::Function(function) => {
            if reading.is_session_value(expr) {
                return true;
            }
            let pure = reading.call(expr).is_some_and(|(name, _)| PURE.contains(&&*name));
            if function.over.is_some() || !pure {
                return false;
            }
            inner.extend(&function.args);
        }
        ExprKind::Subquery(query) | ExprKind::Exists(query) => return is_constant_query(reading, query),
        ExprKind::InQuery { operand, query, .. } => return constant(operand) && is_constant_query(reading, query),
        ExprKind::Quantified { left, query, .. } => return constant(left) && is_constant_query(reading, query),
        ExprKind::Column(_)
        | ExprKind::Param(_)
        | ExprKind::UserVariable
        | ExprKind::Assign(_)
        | ExprKind::Interval(_)
        | ExprKind::Values(_)
        | ExprKind::Default(_)
        | ExprKind::JsonExtract(_) => return false,
    }
    inner.into_iter().all(constant)
}

/// One row of constants, from no table.
fn is_constant_query(reading: &Reading<'_>, query: &Query) -> bool {
    match &query.body {
        QueryBody::Select(select) => {
            select.from.is_empty()
                && select.items.iter().all(|item| match item {
                    SelectItem::Star(_) | SelectItem::QualifiedStar(_) => false,
                    SelectItem::Expr { expr, .. } => is_constant(reading, expr),
                })
        }
        QueryBody::Parenthesised(inner) => is_constant_query(reading, inner),
        QueryBody::SetOperation { .. } | QueryBody::Table(_) | QueryBody::Values(_) => false,
    }
}

/// The expression without parentheses around it.
pub(super) fn bare(expr: &Expr) -> &Expr {
    if let ExprKind::Parenthesised(inner) = &expr.kind { bare(inner) } else { expr }
}

/// The kind of a literal, parentheses apart.
pub(super) fn literal(expr: &Expr) -> Option<LiteralKind> {
    if let ExprKind::Literal(kind) = bare(expr).kind { Some(kind) } else { None }
}

/// Whether the operator compares.
pub(super) fn compares(op: BinaryOp) -> bool {
    matches!(op.family(), BinaryFamily::Equality | BinaryFamily::Order)
}

/// The largest number in the comparisons by which query builders say "never": `0 = 1`, `1 != 1`, `1 = 2`. A probe takes
/// random numbers, and must not learn from a refusal whether they are equal.
const NEVER_MAX: u64 = 2;

/// Whether the expression is false or NULL as it stands: `0`, FALSE, NULL, or a comparison of two small integers that
/// does not hold. The only place where a rule looks at a value.
pub(super) fn is_never_true(reading: &Reading<'_>, expr: &Expr) -> bool {
    let expr = bare(expr);
    if let ExprKind::Literal(kind) = expr.kind {
        return match kind {
            LiteralKind::Null => true,
            LiteralKind::Boolean => reading.is_word(expr.tokens.first, "FALSE"),
            LiteralKind::Integer => reading.integer(expr) == Some(0),
            LiteralKind::String
            | LiteralKind::Hex
            | LiteralKind::Bit
            | LiteralKind::Decimal
            | LiteralKind::Float
            | LiteralKind::Temporal => false,
        };
    }
    let ExprKind::Binary { op, left, right } = &expr.kind else { return false };
    let small = |side: &Expr| reading.integer(bare(side)).filter(|number| *number <= NEVER_MAX);
    let (Some(left), Some(right)) = (small(left), small(right)) else { return false };
    match op {
        BinaryOp::Equal | BinaryOp::NullSafeEqual => left != right,
        BinaryOp::NotEqual => left == right,
        BinaryOp::Less => left >= right,
        BinaryOp::LessEqual => left > right,
        BinaryOp::Greater => left <= right,
        BinaryOp::GreaterEqual => left < right,
        BinaryOp::Or
        | BinaryOp::And
        | BinaryOp::Xor
        | BinaryOp::BitOr
        | BinaryOp::BitAnd
        | BinaryOp::Shift
        | BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide
        | BinaryOp::BitXor
        | BinaryOp::Concat => false,
    }
}
