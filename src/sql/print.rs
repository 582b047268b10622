//! Writing a statement with the tree's reading made visible: every operator in parentheses of its own.
//!
//! For explanations and for the test that lets the server judge the tree: what is printed must mean the same.

use super::tree::{Expr, ExprKind, Statement};
use super::{Token, walk};

/// The statement's executed tokens with a blank between each two, and with parentheses around each operator expression
/// and its operands as the tree has them. Blanks between a function's name and its parenthesis are left out.
pub fn parenthesised(sql: &[u8], tokens: &[Token], statement: &Statement) -> Vec<u8> {
    let mut parens = Parens { opening: vec![0; tokens.len()], closing: vec![0; tokens.len()] };
    walk::statement(&mut parens, statement);
    let mut out = Vec::with_capacity(sql.len() * 2);
    let mut end = 0;
    for ((token, opening), closing) in tokens.iter().zip(&parens.opening).zip(&parens.closing) {
        if token.start != end {
            out.push(b' ');
        }
        end = token.end;
        out.extend(std::iter::repeat_n(b'(', *opening));
        out.extend_from_slice(token.bytes(sql));
        out.extend(std::iter::repeat_n(b')', *closing));
    }
    out
}

struct Parens {
    opening: Vec<usize>,
    closing: Vec<usize>,
}

impl<'t> walk::Visitor<'t> for Parens {
    fn expr(&mut self, expr: &'t Expr) {
        if !is_operator(&expr.kind) {
            return;
        }
        if let Some(count) = self.opening.get_mut(expr.tokens.first as usize) {
            *count += 1;
        }
        if let Some(count) = self.closing.get_mut(expr.tokens.last as usize) {
            *count += 1;
        }
    }
}

fn is_operator(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Unary { .. }
        | ExprKind::Binary { .. }
        | ExprKind::Is { .. }
        | ExprKind::Between { .. }
        | ExprKind::In { .. }
        | ExprKind::InQuery { .. }
        | ExprKind::Match { .. }
        | ExprKind::Quantified { .. }
        | ExprKind::Collate(_)
        | ExprKind::Cast(_)
        | ExprKind::Case { .. }
        | ExprKind::Assign(_)
        | ExprKind::Function(_) => true,
        ExprKind::Column(_)
        | ExprKind::Literal(_)
        | ExprKind::Param(_)
        | ExprKind::UserVariable
        | ExprKind::SystemVariable
        | ExprKind::Parenthesised(_)
        | ExprKind::Exists(_)
        | ExprKind::Subquery(_)
        | ExprKind::Row(_)
        | ExprKind::Interval(_)
        | ExprKind::Values(_)
        | ExprKind::Default(_)
        | ExprKind::JsonExtract(_)
        | ExprKind::Odbc(_) => false,
    }
}
