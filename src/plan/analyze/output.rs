//! What the columns of a query carry (sql.md P11): each is followed from a base table through select lists, nested
//! queries and set operations to the result.

use super::construct;
use super::expression::column_path;
use super::tag::Named;
use super::{Analysis, Refusal, Scope, Verb, Visibility};
use crate::plan::Among;
use crate::plan::scope::{Clause, Output, Search};
use crate::policy::ColumnId;
use crate::sql::tree::{Expr, SelectItem, SetOperator, TokenIndex};

/// A column of a select list, or an expression that may hand one on: what that carries is known only when it has been
/// read.
enum Column<'t> {
    Known(Output),
    Carrier { expr: &'t Expr, name: Option<Box<str>>, alias: Option<TokenIndex> },
}

impl Analysis<'_> {
    /// The columns of a select list, stars expanded. What may hand on a protected column is visited here, all other
    /// expressions by [`Self::items`].
    pub(super) fn outputs(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Result<Vec<Output>, Refusal> {
        let mut columns = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Star(_) => columns.extend(
                    scope
                        .slots
                        .iter()
                        .filter_map(|slot| scope.column(*slot))
                        .filter(|column| column.visibility == Visibility::Visible)
                        .map(|column| Column::Known(Output::of(column))),
                ),
                SelectItem::QualifiedStar(path) => {
                    columns.extend(self.qualified_star(path, scope)?.into_iter().map(Column::Known));
                }
                SelectItem::Expr { expr, alias } => {
                    let name = self.name_of(expr, *alias);
                    columns.push(if self.is_carrier(expr) {
                        Column::Carrier { expr, name, alias: *alias }
                    } else {
                        let found = if self.is_key(expr, scope)? {
                            let found = self.resolved_operand(expr, scope)?;
                            if let Some(operand) = found {
                                self.show_any(expr, operand, Among::Group, Named::of(alias.is_some()));
                            }
                            found
                        } else {
                            self.column_operand(expr, scope)?
                        };
                        Column::Known(Output { name, protected: found.map(|operand| operand.column) })
                    });
                }
            }
        }
        self.read_carriers(columns, scope)
    }

    /// Visits what may hand on a protected column, in order. A nested query can name columns of the list, those before
    /// it included that are read here; the server takes no name of a later one.
    fn read_carriers(&mut self, mut columns: Vec<Column<'_>>, scope: &Scope<'_>) -> Result<Vec<Output>, Refusal> {
        for at in 0..columns.len() {
            let Some(Column::Carrier { expr, name, alias }) = columns.get(at) else { continue };
            let known: Vec<Output> = columns.iter().filter_map(Column::known).cloned().collect();
            let before = self.splices.len();
            let scope = Scope { outputs: &known, ..listed(*alias, scope) };
            let carried = self.carried(expr, &scope)?;
            let protected = self.shown(&carried)?;
            self.shown_name(*alias, before)?;
            let name = name.clone();
            if let Some(place) = columns.get_mut(at) {
                *place = Column::Known(Output { name, protected });
            }
        }
        Ok(columns.iter().filter_map(Column::known).cloned().collect())
    }

    /// Visits the expressions of a select list that [`Self::outputs`] has not judged.
    pub(super) fn items(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Result<(), Refusal> {
        for item in items {
            match item {
                SelectItem::Star(_) | SelectItem::QualifiedStar(_) => {}
                SelectItem::Expr { expr, .. } if column_path(expr).is_some() || self.is_carrier(expr) => {}
                SelectItem::Expr { expr, alias } => {
                    let before = self.splices.len();
                    self.value(expr, &listed(*alias, scope), construct::SELECT_EXPRESSION)?;
                    self.shown_name(*alias, before)?;
                }
            }
        }
        Ok(())
    }

    /// A column without an alias is named by its text, which must stay what the client wrote.
    fn shown_name(&self, alias: Option<TokenIndex>, splices_before: usize) -> Result<(), Refusal> {
        match (alias, self.splices.get(splices_before)) {
            (None, Some(splice)) => Err(self.unsupported(splice.column, construct::UNNAMED)),
            (Some(_), _) | (None, None) => Ok(()),
        }
    }

    /// The name of a column of a select list.
    pub(super) fn name_of(&self, expr: &Expr, alias: Option<TokenIndex>) -> Option<Box<str>> {
        let own = || column_path(expr).and_then(|path| path.parts.last()).copied();
        alias.or_else(own).map(|name| self.folded(name))
    }

    /// The columns of a set operation. Envelopes of equal values differ, so rows with some must not be compared, and a
    /// column is opened by one grant, so all of its rows must come from one protected column.
    pub(super) fn together(
        &self,
        operator: SetOperator,
        left: Vec<Output>,
        right: &[Output],
    ) -> Result<Vec<Output>, Refusal> {
        let Some(any) = protected_of(&left).or_else(|| protected_of(right)) else { return Ok(left) };
        match operator {
            SetOperator::Comparing => return Err(self.unsupported(any, construct::SET_COMPARISON)),
            SetOperator::UnionAll => {}
        }
        if left.len() != right.len() {
            return Err(self.unsupported(any, construct::UNION));
        }
        for (left, right) in left.iter().zip(right) {
            if left.protected != right.protected {
                let column = left.protected.or(right.protected).unwrap_or(any);
                return Err(self.unsupported(column, construct::UNION));
            }
        }
        Ok(left)
    }

    /// The role's right to every protected column that a query returns.
    pub(super) fn granted(&self, outputs: &[Output]) -> Result<(), Refusal> {
        outputs
            .iter()
            .filter_map(|output| output.protected)
            .try_for_each(|column| self.grant(column, Verb::Select).map(drop))
    }
}

impl Column<'_> {
    fn known(&self) -> Option<&Output> {
        match self {
            Self::Known(output) => Some(output),
            Self::Carrier { .. } => None,
        }
    }
}

/// Where an expression of a select list stands. Without an alias nothing may be replaced but in nested queries, which
/// allow it by themselves.
fn listed<'s>(alias: Option<TokenIndex>, scope: &Scope<'s>) -> Scope<'s> {
    let search = if alias.is_some() { scope.search } else { Search::Refused };
    Scope { search, clause: Clause::SelectList, ..*scope }
}

/// The first protected column among them.
pub(super) fn protected_of(outputs: &[Output]) -> Option<ColumnId> {
    outputs.iter().find_map(|output| output.protected)
}
