//! ORDER BY a protected column where policy has the proxy sort (see [`crate::plan::Sort`]): only the outermost query's,
//! and only by a column itself. What the server cannot do is taken out of the statement.

use super::construct;
use super::expression::column_path;
use super::output::visible_slots;
use super::query::Position;
use super::{Analysis, Meaning, Refusal, Scope, Usage, Verb};
use crate::plan::plan::Piece;
use crate::plan::scope::{Output, Slot};
use crate::plan::{CellAction, Direction, Sort, SortBound, SortBy, SortKey, Splice, SpliceKind};
use crate::policy::{ColumnId, SortRule};
use crate::sql::tree::{
    Expr, ExprKind, LiteralKind, OrderItem, Path, Query, Select, SelectItem, TokenIndex, TokenRange, UnaryOp,
};

/// A sort as it is planned.
pub(super) struct Sorting {
    pub(super) sort: Sort,
    /// What becomes of the columns that are added to the result.
    pub(super) added: Vec<CellAction>,
    /// The tokens of ORDER BY and its keys.
    clause: TokenRange,
    /// The first token of the keys that the server is left to sort by.
    rest: Option<TokenIndex>,
}

/// A key of ORDER BY.
enum Key {
    Protected {
        column: ColumnId,
        rule: SortRule,
        place: KeyPlace,
    },
    /// The server's, or not for the proxy to sort by.
    Other,
}

/// Where the values of a protected key come from.
enum KeyPlace {
    Output(usize),
    /// No column of the result; those tokens name it.
    Column(TokenRange),
}

/// Whether the proxy sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sorts {
    Yes,
    /// Nothing was visited.
    No,
}

/// Columns that a result gets for the sake of the sort.
#[derive(Default)]
struct Columns {
    /// How many the client's statement has.
    shown: usize,
    pieces: Vec<Piece>,
    actions: Vec<CellAction>,
}

impl Columns {
    /// Adds one; gives its position.
    fn add(&mut self, pieces: impl IntoIterator<Item = Piece>, action: CellAction) -> usize {
        let at = self.shown.saturating_add(self.actions.len());
        self.pieces.push(words(","));
        self.pieces.extend(pieces);
        self.actions.push(action);
        at
    }
}

impl Analysis<'_> {
    /// Plans the outermost ORDER BY if the proxy sorts by one of its keys. `select` is the SELECT that it belongs to, if
    /// it does not belong to a set operation or the like.
    pub(super) fn sort(
        &mut self,
        order_by: &[OrderItem],
        scope: &Scope<'_>,
        select: Option<&Select>,
    ) -> Result<Sorts, Refusal> {
        let listed = select.map_or(Ok(Vec::new()), |select| self.listed_slots(&select.items, scope))?;
        let keys = order_by.iter().map(|item| self.sort_key(item, scope, &listed)).collect::<Result<Vec<_>, _>>()?;
        let protected = keys.iter().filter_map(|key| match key {
            Key::Protected { column, rule, .. } => Some((*column, *rule)),
            Key::Other => None,
        });
        let Some((first, rows_max)) = protected.fold(None, |least: Option<(ColumnId, u32)>, (column, rule)| {
            Some(least.map_or((column, rule.rows_max), |(first, rows)| (first, rows.min(rule.rows_max))))
        }) else {
            return Ok(Sorts::No);
        };
        for (item, _) in order_by.iter().zip(&keys).filter(|(_, key)| matches!(key, Key::Other)) {
            self.order(std::slice::from_ref(item), scope, construct::ORDER_BY)?;
        }
        let last = keys.iter().rposition(|key| matches!(key, Key::Protected { .. })).unwrap_or_default();
        let rest = order_by.get(last.saturating_add(1)).map(|item| item.expr.tokens.first);
        let mut columns = Columns { shown: scope.outputs.len(), ..Columns::default() };
        let keys = self.keys(order_by, keys.get(..=last).unwrap_or_default(), scope, &listed, &mut columns)?;
        let hidden = columns.actions.len();
        self.add_columns(columns.pieces, first, select)?;
        let tokens = |item: &OrderItem| item.expr.tokens;
        let clause = TokenRange {
            first: order_by.first().map(tokens).map_or(0, |tokens| tokens.first.saturating_sub(2)),
            last: order_by.last().map_or(0, |item| self.item_end(item)),
        };
        let sort = Sort { column: first, keys, hidden, rows_max, count: None, offset: None };
        self.sorting = Some(Sorting { sort, added: columns.actions, clause, rest });
        Ok(Sorts::Yes)
    }

    /// Takes LIMIT and the keys that are the proxy's out of the statement: the server gives all rows, up to the bound.
    pub(super) fn sorted_limit(&mut self, query: &Query) -> Result<(), Refusal> {
        let Some(mut sorting) = self.sorting.take() else { return Ok(()) };
        let column = sorting.sort.column;
        let refused = |construct| Err(self.unsupported(column, construct));
        if query.into.is_some() {
            return refused(construct::INTO);
        }
        if query.examined.is_some() {
            return refused(construct::ORDER_FETCH);
        }
        let (count, offset) = match query.limit.as_slice() {
            [] => (None, None),
            [count] if self.is_before(count, "LIMIT") => (Some(count), None),
            [first, second] if self.is_before(first, "LIMIT") => {
                if self.is_before(second, "OFFSET") {
                    (Some(first), Some(second))
                } else {
                    (Some(second), Some(first))
                }
            }
            _ => return refused(construct::ORDER_FETCH),
        };
        for bound in [count, offset].into_iter().flatten() {
            if bound_of(bound).is_none() {
                return refused(construct::ORDER_FETCH);
            }
        }
        (sorting.sort.count, sorting.sort.offset) = (count.and_then(bound_of), offset.and_then(bound_of));
        let asked_for = sorting.sort.asked_for();
        for (bound, given) in [(count, asked_for), (offset, 0)] {
            if let Some(Expr { kind: ExprKind::Literal(_), tokens }) = bound {
                self.replace(*tokens, column, vec![words(&given.to_string())]);
            }
        }
        let limit = words(&format!("LIMIT {asked_for}"));
        let TokenRange { first, last } = sorting.clause;
        match (sorting.rest, count) {
            (None, None) => self.replace(sorting.clause, column, vec![limit]),
            (None, Some(_)) => self.replace(sorting.clause, column, Vec::new()),
            (Some(rest), count) => {
                let taken = TokenRange { first, last: rest.saturating_sub(1) };
                self.replace(taken, column, vec![words("ORDER BY")]);
                if count.is_none() {
                    let end = TokenRange { first: last, last };
                    self.replace(end, column, vec![Piece::Tokens(end), limit]);
                }
            }
        }
        self.sorting = Some(sorting);
        Ok(())
    }

    fn sort_key(&self, item: &OrderItem, scope: &Scope<'_>, listed: &[Option<Slot>]) -> Result<Key, Refusal> {
        let found = match (Position::of(&item.expr), &item.expr.kind) {
            (Position::Integer, _) => {
                let at = self.integer(item.expr.tokens.first).and_then(|at| at.checked_sub(1));
                at.and_then(|at| Some((scope.outputs.get(at)?.protected?, KeyPlace::Output(at))))
            }
            (Position::None | Position::Unclear, ExprKind::Column(path)) => self.key_column(path, scope, listed)?,
            (Position::None | Position::Unclear, _) => None,
        };
        // A position names a column, too.
        if let Some((column, _)) = &found {
            self.may(*column, Usage::Used(Verb::Select))?;
        }
        Ok(match found.and_then(|(column, place)| Some((column, self.cx.policy.sort(column)?, place))) {
            Some((column, rule, place)) => Key::Protected { column, rule, place },
            None => Key::Other,
        })
    }

    /// The protected column that a name of ORDER BY means for certain. The server looks among the columns of the result
    /// first.
    fn key_column(
        &self,
        path: &Path,
        scope: &Scope<'_>,
        listed: &[Option<Slot>],
    ) -> Result<Option<(ColumnId, KeyPlace)>, Refusal> {
        let Meaning::Protected(_) = self.meaning(path, scope, Verb::Select)? else { return Ok(None) };
        let named = self.outputs_named(path, scope);
        match named.as_slice() {
            [] => {}
            [(at, output)] => return Ok(output.protected.map(|column| (column, KeyPlace::Output(*at)))),
            _ => return Ok(None),
        }
        let rule = self.table_names();
        let Some(slot) = self.with_name(path, |qualifier, column| scope.slot(qualifier, column, rule))? else {
            return Ok(None);
        };
        let Some(column) = scope.column(slot).and_then(|found| found.protected) else { return Ok(None) };
        let place = match listed.iter().position(|listed| *listed == Some(slot)) {
            Some(at) => KeyPlace::Output(at),
            None => KeyPlace::Column(path.tokens),
        };
        Ok(Some((column, place)))
    }

    /// The columns of the result that a bare name finds.
    fn outputs_named<'s>(&self, path: &Path, scope: &Scope<'s>) -> Vec<(usize, &'s Output)> {
        let [name] = path.parts.as_slice() else { return Vec::new() };
        let name = self.folded(*name);
        scope.outputs.iter().enumerate().filter(|(_, output)| output.name.as_deref() == Some(&*name)).collect()
    }

    /// The keys that the proxy sorts by; successive ones of the server's are one rank.
    fn keys(
        &self,
        order_by: &[OrderItem],
        keys: &[Key],
        scope: &Scope<'_>,
        listed: &[Option<Slot>],
        columns: &mut Columns,
    ) -> Result<Vec<SortKey>, Refusal> {
        let column = |keys: &[Key]| {
            keys.iter().find_map(|key| match key {
                Key::Protected { column, .. } => Some(*column),
                Key::Other => None,
            })
        };
        let mut found = Vec::new();
        let mut at = 0_usize;
        while let (Some(key), Some(item)) = (keys.get(at), order_by.get(at)) {
            match key {
                Key::Protected { column, rule, place } => {
                    let output = match place {
                        KeyPlace::Output(output) => *output,
                        KeyPlace::Column(_) if self.is_opened_bound(*column) => {
                            return Err(self.unsupported(*column, construct::ORDER_HIDDEN));
                        }
                        KeyPlace::Column(tokens) => columns.add([Piece::Tokens(*tokens)], self.cell(Some(*column))?),
                    };
                    found.push(SortKey { output, by: SortBy::Value(rule.order), direction: self.direction(item) });
                    at = at.saturating_add(1);
                }
                Key::Other => {
                    let rest = keys.get(at..).unwrap_or_default();
                    let width = rest.iter().take_while(|key| matches!(key, Key::Other)).count();
                    let end = at.saturating_add(width);
                    let items = order_by.get(at..end).unwrap_or_default();
                    if !items.iter().all(|item| self.is_rankable(&item.expr, scope, listed)) {
                        let column = column(rest).ok_or_else(|| self.unsupported_data(construct::ORDER_MIXED))?;
                        return Err(self.unsupported(column, construct::ORDER_MIXED));
                    }
                    let last = items.last().map_or(0, |item| self.item_end(item));
                    let tokens = TokenRange { first: item.expr.tokens.first, last };
                    let rank = [words("DENSE_RANK() OVER (ORDER BY"), Piece::Tokens(tokens), words(")")];
                    let output = columns.add(rank, CellAction::Relay);
                    found.push(SortKey { output, by: SortBy::Rank, direction: Direction::Ascending });
                    at = end;
                }
            }
        }
        Ok(found)
    }

    /// Whether an expression means in OVER what it means in ORDER BY, and the same for each row as often as it is asked.
    fn is_rankable(&self, expr: &Expr, scope: &Scope<'_>, listed: &[Option<Slot>]) -> bool {
        let mut bare = expr;
        while let ExprKind::Parenthesised(inner) | ExprKind::Unary { op: UnaryOp::Plus, operand: inner } = &bare.kind {
            bare = inner;
        }
        !matches!(&bare.kind, ExprKind::Literal(_)) && self.is_part_rankable(expr, scope, listed)
    }

    fn is_part_rankable(&self, expr: &Expr, scope: &Scope<'_>, listed: &[Option<Slot>]) -> bool {
        let ranks = |part: &Expr| self.is_part_rankable(part, scope, listed);
        match &expr.kind {
            ExprKind::Column(path) => {
                let rule = self.table_names();
                let slot = self.with_name(path, |qualifier, column| scope.slot(qualifier, column, rule));
                let Ok(Some(slot)) = slot else { return false };
                self.outputs_named(path, scope).iter().all(|(at, _)| listed.get(*at) == Some(&Some(slot)))
            }
            ExprKind::Literal(_) => true,
            ExprKind::Parenthesised(inner) => ranks(inner),
            ExprKind::Unary { operand, .. } | ExprKind::Is { operand, .. } => ranks(operand),
            ExprKind::Binary { left, right, .. } => ranks(left) && ranks(right),
            ExprKind::Between { operands, .. } => operands.iter().all(ranks),
            ExprKind::In { operand, list, .. } => ranks(operand) && list.iter().all(ranks),
            ExprKind::Case { operand, whens, otherwise } => {
                operand.as_deref().is_none_or(ranks)
                    && whens.iter().all(|(when, then)| ranks(when) && ranks(then))
                    && otherwise.as_deref().is_none_or(ranks)
            }
            ExprKind::Param(_)
            | ExprKind::UserVariable
            | ExprKind::SystemVariable
            | ExprKind::Assign(_)
            | ExprKind::InQuery { .. }
            | ExprKind::Match { .. }
            | ExprKind::Quantified { .. }
            | ExprKind::Exists(_)
            | ExprKind::Subquery(_)
            | ExprKind::Row(_)
            | ExprKind::Function(_)
            | ExprKind::Cast(_)
            | ExprKind::Collate(_)
            | ExprKind::Interval(_)
            | ExprKind::Values(_)
            | ExprKind::Default(_)
            | ExprKind::JsonExtract(_)
            | ExprKind::Odbc(_) => false,
        }
    }

    /// Puts columns behind the select list.
    fn add_columns(&mut self, pieces: Vec<Piece>, column: ColumnId, select: Option<&Select>) -> Result<(), Refusal> {
        if pieces.is_empty() {
            return Ok(());
        }
        let from = select.filter(|select| self.shows_rows(select)).and_then(|select| self.end_of_list(&select.items));
        let Some(from) = from else { return Err(self.unsupported(column, construct::ORDER_HIDDEN)) };
        let from = TokenRange { first: from, last: from };
        self.replace(from, column, pieces.into_iter().chain([Piece::Tokens(from)]).collect());
        Ok(())
    }

    /// Whether each row of a SELECT is one of its FROM clause.
    pub(super) fn shows_rows(&self, select: &Select) -> bool {
        select.distinct.is_none()
            && select.group_by.is_empty()
            && select.having.is_none()
            && !self.aggregates(&select.items)
    }

    /// The FROM behind a select list.
    pub(super) fn end_of_list(&self, items: &[SelectItem]) -> Option<TokenIndex> {
        let last = match items.last()? {
            SelectItem::Star(star) => *star,
            SelectItem::QualifiedStar(path) => path.tokens.last.checked_add(2)?,
            SelectItem::Expr { expr, alias } => alias.unwrap_or(expr.tokens.last),
        };
        let from = last.checked_add(1)?;
        self.cx.text.is(usize::try_from(from).ok()?, "FROM").then_some(from)
    }

    /// The column of the FROM clause that each column of a select list shows, if it shows one.
    pub(super) fn listed_slots(&self, items: &[SelectItem], scope: &Scope<'_>) -> Result<Vec<Option<Slot>>, Refusal> {
        let mut listed = Vec::with_capacity(items.len());
        let rule = self.table_names();
        for item in items {
            match item {
                SelectItem::Star(_) => listed.extend(visible_slots(scope).map(|(slot, _)| Some(slot))),
                SelectItem::QualifiedStar(path) => {
                    listed.extend(self.starred(path, scope)?.into_iter().map(|(slot, _)| Some(slot)));
                }
                SelectItem::Expr { expr, .. } => listed.push(match column_path(expr) {
                    Some(path) => self.with_name(path, |qualifier, column| scope.slot(qualifier, column, rule))?,
                    None => None,
                }),
            }
        }
        Ok(listed)
    }

    fn direction(&self, item: &OrderItem) -> Direction {
        if self.is_at(item.expr.tokens.last.saturating_add(1), "DESC") {
            Direction::Descending
        } else {
            Direction::Ascending
        }
    }

    /// The last token of a key, its direction included.
    fn item_end(&self, item: &OrderItem) -> TokenIndex {
        let next = item.expr.tokens.last.saturating_add(1);
        if self.is_at(next, "ASC") || self.is_at(next, "DESC") { next } else { item.expr.tokens.last }
    }

    /// Whether a word stands before an expression.
    fn is_before(&self, expr: &Expr, word: &str) -> bool {
        expr.tokens.first.checked_sub(1).is_some_and(|before| self.is_at(before, word))
    }

    fn is_at(&self, token: TokenIndex, word: &str) -> bool {
        usize::try_from(token).is_ok_and(|at| self.cx.text.is(at, word))
    }

    fn replace(&mut self, tokens: TokenRange, column: ColumnId, pieces: Vec<Piece>) {
        self.splices.push(Splice { tokens, column, kind: SpliceKind::Sorted(pieces), subject: None });
    }
}

/// A number of LIMIT, if the proxy can know it.
fn bound_of(expr: &Expr) -> Option<SortBound> {
    if let ExprKind::Literal(LiteralKind::Integer) = &expr.kind {
        Some(SortBound::Literal(expr.tokens.first))
    } else if let ExprKind::Param(param) = &expr.kind {
        Some(SortBound::Param(*param))
    } else {
        None
    }
}

fn words(words: &str) -> Piece {
    Piece::Words(words.into())
}
