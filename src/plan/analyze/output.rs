//! What the columns of a query carry: each is followed from a base table through select lists, nested
//! queries to the result. Set operations are [`super::set`]'s.

use super::construct;
use super::expression::{bare, column_path};
use super::predicate::value;
use super::query::Place;
use super::tag::Named;
use super::{Analysis, Refusal, ResultName, Scope, SourceColumn, Usage, Verb, Visibility};
use crate::plan::scope::{Clause, Label, Output, Search, Slot};
use crate::policy::ColumnId;
use crate::sql::TokenKind;
use crate::sql::tree::{Expr, ExprKind, LiteralKind, SelectItem, TokenIndex};

/// Bytes of a column's name that both servers keep.
const NAME_OCTETS_MAX: usize = 255;

/// Who sees what the server calls a column without an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// The client alone, which is shown its own text.
    Restored,
    /// The rest of the statement.
    Servers,
}

/// A column of a select list, or an expression that may hand one on: what that carries is known only when it has been
/// read.
enum Column<'t> {
    Known(Output),
    /// `target`: the protected column of an INSERT that it fills.
    Carrier {
        expr: &'t Expr,
        name: Option<Box<str>>,
        alias: Option<TokenIndex>,
        target: Option<ColumnId>,
    },
}

impl Analysis<'_> {
    /// The columns of a select list, stars expanded. What may hand on a protected column is visited here, all other
    /// expressions by [`Self::items`].
    pub(super) fn outputs(
        &mut self,
        items: &[SelectItem],
        scope: &Scope<'_>,
        place: Place,
    ) -> Result<Vec<Output>, Refusal> {
        let mut columns = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Star(_) => {
                    columns.extend(visible(scope).map(|column| Column::Known(Output::of(column))));
                }
                SelectItem::QualifiedStar(path) => {
                    columns.extend(self.qualified_star(path, scope)?.into_iter().map(Column::Known));
                }
                SelectItem::Expr { expr, alias } => {
                    let (name, label) = (self.name_of(expr, *alias), self.label_of(expr, *alias));
                    let target = self.target(place, columns.len());
                    let is_value = target.is_some() && value(expr).is_some();
                    columns.push(if is_value || self.is_carrier(expr) {
                        Column::Carrier { expr, name, alias: *alias, target }
                    } else {
                        let found = if self.is_key(expr, scope)? {
                            let found = self.resolved_operand(expr, scope)?;
                            if let Some(operand) = found {
                                let shown = self.tagged(operand, scope);
                                self.show_any(expr, (operand.column, shown), scope.among, Named::of(alias.is_some()));
                            }
                            found
                        } else {
                            self.listed_column(expr, scope)?
                        };
                        Column::Known(Output {
                            name,
                            protected: found.map(|operand| operand.column),
                            label,
                            made_from: None,
                        })
                    });
                }
            }
        }
        for (at, column) in columns.iter().enumerate() {
            let carried = column.known().and_then(|output| output.protected);
            self.copied(carried, self.target(place, at))?;
        }
        self.read_carriers(columns, items, scope, place.naming())
    }

    /// Visits what may hand on a protected column, in order. A nested query can name columns of the list, those before
    /// it included that are read here; the server takes no name of a later one.
    fn read_carriers(
        &mut self,
        mut columns: Vec<Column<'_>>,
        items: &[SelectItem],
        scope: &Scope<'_>,
        naming: Naming,
    ) -> Result<Vec<Output>, Refusal> {
        for at in 0..columns.len() {
            let Some(Column::Carrier { expr, name, alias, target }) = columns.get(at) else { continue };
            let known: Vec<Output> = columns.iter().filter_map(Column::known).cloned().collect();
            let before = self.splices.len();
            let scope = Scope { outputs: &known, ..listed(*alias, naming, scope) };
            let protected = match target {
                // Nobody sees the name.
                Some(target) => self.filling(expr, *target, items, &scope)?,
                None => {
                    let carried = self.carried(expr, &scope)?;
                    let protected = self.shown(&carried)?;
                    self.shown_name(expr, *alias, before, (at, naming))?;
                    protected
                }
            };
            let (name, label) = (name.clone(), self.label_of(expr, *alias));
            if let Some(place) = columns.get_mut(at) {
                *place = Column::Known(Output { name, protected, label, made_from: None });
            }
        }
        Ok(columns.iter().filter_map(Column::known).cloned().collect())
    }

    /// Visits the expressions of a select list that [`Self::outputs`] has not judged.
    pub(super) fn items(&mut self, items: &[SelectItem], scope: &Scope<'_>, naming: Naming) -> Result<(), Refusal> {
        let mut at = 0_usize;
        for item in items {
            let width = match item {
                SelectItem::Star(_) => visible(scope).count(),
                SelectItem::QualifiedStar(path) => self.qualified_star(path, scope)?.len(),
                SelectItem::Expr { expr, .. } if column_path(expr).is_some() || self.is_carrier(expr) => 1,
                SelectItem::Expr { expr, alias } => {
                    let before = self.splices.len();
                    self.value(expr, &listed(*alias, naming, scope), construct::SELECT_EXPRESSION)?;
                    self.shown_name(expr, *alias, before, (at, naming))?;
                    1
                }
            };
            at = at.saturating_add(width);
        }
        Ok(())
    }

    /// A column without an alias is named by its text, which must stay what the client wrote.
    fn shown_name(
        &mut self,
        expr: &Expr,
        alias: Option<TokenIndex>,
        splices_before: usize,
        (output, naming): (usize, Naming),
    ) -> Result<(), Refusal> {
        let replaced = self.splices.get(splices_before).or_else(|| {
            // A name that is sent with its table changes the text as well.
            self.splices.first().filter(|_| self.is_qualified_within(expr))
        });
        let (None, Some(column)) = (alias, replaced.map(|splice| splice.column)) else { return Ok(()) };
        match naming {
            Naming::Restored => {
                self.names.push(ResultName { output, tokens: expr.tokens, column });
                Ok(())
            }
            Naming::Servers => Err(self.unsupported(column, construct::UNNAMED)),
        }
    }

    /// The name of a column of a select list.
    pub(super) fn name_of(&self, expr: &Expr, alias: Option<TokenIndex>) -> Option<Box<str>> {
        let own = || column_path(expr).and_then(|path| path.parts.last()).copied();
        alias.or_else(own).map(|name| self.folded(name))
    }

    /// What the server calls a column of a select list.
    pub(super) fn label_of(&self, expr: &Expr, alias: Option<TokenIndex>) -> Label {
        let own = || column_path(expr).and_then(|path| path.parts.last()).copied();
        match alias.or_else(own) {
            Some(name) => Label::Name(self.cx.text.name(name).into()),
            // Its content, of which the servers leave something out at times.
            None if matches!(bare(expr).kind, ExprKind::Literal(LiteralKind::String)) => Label::Unknown,
            None => Label::Text(expr.tokens),
        }
    }

    /// Refuses names of columns that the server changes before it looks for them: it drops what cannot be seen from their
    /// beginning, undoes backslashes and cuts long ones. Another column than the one meant here would have the name.
    pub(super) fn kept_names(&self, names: impl IntoIterator<Item = TokenIndex>) -> Result<(), Refusal> {
        let is_kept = |at: TokenIndex| {
            let Some(token) = self.cx.text.token(at) else { return false };
            let has_escapes = token.kind == TokenKind::String && self.cx.text.bytes(token).contains(&b'\\');
            let name = self.cx.text.name(at);
            let is_seen = |first: char| first.is_ascii_graphic() || first.is_alphanumeric();
            !has_escapes && name.len() <= NAME_OCTETS_MAX && name.chars().next().is_none_or(is_seen)
        };
        if names.into_iter().all(is_kept) { Ok(()) } else { Err(self.unsupported_data(construct::NAME)) }
    }

    /// The role's right to see every protected column that a query returns.
    pub(super) fn granted(&self, outputs: &[Output]) -> Result<(), Refusal> {
        outputs.iter().filter_map(|output| output.protected).try_for_each(|column| self.may(column, Usage::Shown))?;
        let made = outputs.iter().filter_map(|output| output.made_from);
        made.into_iter().try_for_each(|column| self.may(column, Usage::Used(Verb::Select)))
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

/// The columns that `*` shows.
fn visible<'s>(scope: &'s Scope<'_>) -> impl Iterator<Item = &'s SourceColumn> {
    visible_slots(scope).map(|(_, column)| column)
}

/// The same with their positions.
pub(super) fn visible_slots<'s>(scope: &'s Scope<'_>) -> impl Iterator<Item = (Slot, &'s SourceColumn)> {
    let columns = scope.slots.iter().filter_map(|slot| Some((*slot, scope.column(*slot)?)));
    columns.filter(|(_, column)| column.visibility == Visibility::Visible)
}

/// Where an expression of a select list stands. Where the server's name for it would be seen, nothing may be replaced
/// without an alias but in nested queries, which allow it by themselves.
fn listed<'s>(alias: Option<TokenIndex>, naming: Naming, scope: &Scope<'s>) -> Scope<'s> {
    let search = match (alias, naming) {
        (None, Naming::Servers) => Search::Refused,
        (Some(_), _) | (None, Naming::Restored) => scope.search,
    };
    Scope { search, clause: Clause::SelectList, ..*scope }
}

/// The first protected column among them.
pub(super) fn protected_of(outputs: &[Output]) -> Option<ColumnId> {
    outputs.iter().find_map(|output| output.protected)
}
