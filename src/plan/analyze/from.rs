//! FROM clauses: sources, joins and the order in which `*` shows their columns.

use super::common::Written;
use super::construct;
use super::query::Place;
use super::{Analysis, Named, Refusal, Scope, SourceColumn, UnknownName, Usage, Verb, Visibility};
use crate::plan::Among;
use crate::plan::scope::{Aliases, Clause, Made, Origin, Output, Qualifier, Search, Slot, Source, merge};
use crate::schema::Table;
use crate::sql::tree::{JoinCondition, JoinKind, Path, Query, TableReference, TokenIndex};

/// Where a FROM clause stands.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'s> {
    /// The enclosing level of names.
    pub(super) outer: Option<&'s Scope<'s>>,
    /// Whether comparisons in ON are rewritten.
    pub(super) search: Search,
}

/// What a FROM clause brings into sight.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) sources: Vec<Source>,
    pub(super) slots: Vec<Slot>,
}

impl Analysis<'_> {
    /// Resolves the table references of a FROM clause; several of them are a cross join.
    pub(super) fn from(
        &mut self,
        references: &[TableReference],
        surroundings: Surroundings<'_>,
    ) -> Result<Rows, Refusal> {
        let mut sources = Vec::new();
        let slots = self.references(references, surroundings, &mut sources)?;
        Ok(Rows { sources, slots })
    }

    fn references(
        &mut self,
        references: &[TableReference],
        surroundings: Surroundings<'_>,
        sources: &mut Vec<Source>,
    ) -> Result<Vec<Slot>, Refusal> {
        let mut slots = Vec::new();
        for reference in references {
            slots.extend(self.reference(reference, surroundings, sources)?);
        }
        Ok(slots)
    }

    fn reference(
        &mut self,
        reference: &TableReference,
        surroundings: Surroundings<'_>,
        sources: &mut Vec<Source>,
    ) -> Result<Vec<Slot>, Refusal> {
        match reference {
            TableReference::Named { path, alias, modifiers: _ } => {
                let source = self.source(path, *alias)?;
                Ok(push(sources, source))
            }
            TableReference::Derived { query, alias, columns, lateral } => {
                let columns = if *lateral {
                    let slots = all_slots(sources);
                    let scope = level(sources, 0, &slots, Surroundings { search: Search::Refused, ..surroundings });
                    self.derived(query, columns, Some(&scope))?
                } else {
                    self.derived(query, columns, surroundings.outer)?
                };
                let label = alias.map(|alias| self.cx.text.name(alias)).unwrap_or_default();
                Ok(push(sources, Source { label: label.into(), database: None, columns, origin: Origin::Other }))
            }
            TableReference::Function { args, columns, alias, tokens: _ } => {
                // It sees what stands before it, as a lateral derived table does.
                let slots = all_slots(sources);
                let scope = level(sources, 0, &slots, Surroundings { search: Search::Refused, ..surroundings });
                self.values(args, &scope, construct::TABLE_FUNCTION)?;
                self.kept_names(columns.iter().copied())?;
                let own = |name: &TokenIndex| SourceColumn {
                    name: Some(self.folded(*name)),
                    protected: None,
                    visibility: Visibility::Visible,
                    spelled: None,
                    label: Some(self.cx.text.name(*name).into()),
                    made: Made::Nowise,
                };
                let columns = columns.iter().map(own).collect();
                let label = alias.map(|alias| self.cx.text.name(alias)).unwrap_or_default();
                Ok(push(sources, Source { label: label.into(), database: None, columns, origin: Origin::Other }))
            }
            TableReference::Versioned { table, period } => {
                let nothing = level(&[], 0, &[], Surroundings { search: Search::Refused, ..surroundings });
                self.values(period, &nothing, construct::PERIOD)?;
                let first = sources.len();
                let slots = self.reference(table, surroundings, sources)?;
                let mut columns = sources.iter().skip(first).flat_map(|source| &source.columns);
                match columns.find_map(|column| column.protected) {
                    Some(column) => Err(self.unsupported(column, construct::PAST)),
                    None => Ok(slots),
                }
            }
            TableReference::Join { left, right, kind, condition } => {
                let first = sources.len();
                let left = self.reference(left, surroundings, sources)?;
                let right = self.reference(right, surroundings, sources)?;
                self.join(first, left, right, *kind, condition, surroundings, sources)
            }
            TableReference::Parenthesised(list) => self.references(list, surroundings, sources),
        }
    }

    /// A named source of a FROM clause.
    pub(super) fn source(&self, path: &Path, alias: Option<TokenIndex>) -> Result<Source, Refusal> {
        let alias = alias.map(|alias| self.cx.text.name(alias));
        let stored = |table: &Table, columns, origin| Source {
            label: alias.clone().unwrap_or_else(|| (&*table.name.table).into()).into(),
            database: Some(table.name.database.clone()),
            columns,
            origin,
        };
        Ok(match self.named(path)? {
            Named::Table(table) => stored(table, self.columns_of(table), Origin::Table),
            Named::View(view) => stored(view, self.view_columns(view)?, Origin::Other),
            Named::Cte(columns) => {
                let own = path.parts.last().map(|part| self.cx.text.name(*part));
                let label = alias.or(own).unwrap_or_default().into();
                Source { label, database: None, columns, origin: Origin::Other }
            }
        })
    }

    fn derived(
        &mut self,
        query: &Query,
        columns: &[TokenIndex],
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<SourceColumn>, Refusal> {
        self.kept_names(columns.iter().copied())?;
        let outputs = self.query(query, outer, Place::Carried)?;
        self.renamed(outputs, columns)
    }

    #[expect(clippy::too_many_arguments, reason = "both operands of a join with where they stand")]
    fn join(
        &mut self,
        first: usize,
        left: Vec<Slot>,
        right: Vec<Slot>,
        kind: JoinKind,
        condition: &JoinCondition,
        surroundings: Surroundings<'_>,
        sources: &[Source],
    ) -> Result<Vec<Slot>, Refusal> {
        match condition {
            JoinCondition::None => Ok([left, right].concat()),
            JoinCondition::On(on) => {
                let slots = [left, right].concat();
                self.condition(on, &level(sources, first, &slots, surroundings))?;
                Ok(slots)
            }
            JoinCondition::Using(columns) => {
                let names: Vec<Box<str>> = columns.iter().map(|column| self.folded(*column)).collect();
                self.coalesce(sources, first, &names, (&left, &right), kind, Written::Using(columns))
            }
            JoinCondition::Natural(word, last) => {
                let names: Vec<Box<str>> = visible_names(sources, &left)
                    .filter(|name| visible_names(sources, &right).any(|other| other == *name))
                    .map(Box::from)
                    .collect();
                let written = Written::Natural { word: *word, last: *last };
                self.coalesce(sources, first, &names, (&left, &right), kind, written)
            }
        }
    }

    /// Joins by equal names. A right join shows the right operand's common columns, in the right operand's order.
    fn coalesce(
        &mut self,
        sources: &[Source],
        first: usize,
        names: &[Box<str>],
        (left, right): (&[Slot], &[Slot]),
        kind: JoinKind,
        written: Written<'_>,
    ) -> Result<Vec<Slot>, Refusal> {
        let mut pairs = Vec::with_capacity(names.len());
        for name in names {
            pairs.push((self.one(sources, first, left, name)?, self.one(sources, first, right, name)?));
        }
        let shown = pairs.iter().map(|(left, right)| match kind {
            JoinKind::Inner | JoinKind::Left => (*left, *right),
            JoinKind::Right => (*right, *left),
        });
        let mut common: Vec<(Slot, Slot)> = shown.collect();
        self.write_out(sources, &pairs, common.iter().map(|(kept, _)| *kept).collect(), written)?;
        let operand = match kind {
            JoinKind::Inner | JoinKind::Left => left,
            JoinKind::Right => right,
        };
        let rank = |slot: Slot| operand.iter().position(|at| at.source == slot.source && at.column == slot.column);
        common.sort_by_key(|(kept, _)| rank(*kept));
        Ok(match kind {
            JoinKind::Inner | JoinKind::Left => merge(&common, left, right),
            JoinKind::Right => merge(&common, right, left),
        })
    }

    /// The one column of that name in an operand.
    fn one(&self, sources: &[Source], first: usize, operand: &[Slot], name: &str) -> Result<Slot, Refusal> {
        let scope = Scope { sources, first, slots: operand, ..Scope::EMPTY };
        let mut found = operand
            .iter()
            .filter(|slot| scope.column(**slot).is_some_and(|column| column.name.as_deref() == Some(name)));
        let (Some(slot), None) = (found.next(), found.next()) else {
            return Err(Refusal::UnknownName { name: UnknownName::Column(name.to_owned()) });
        };
        if let Some(found) = scope.column(*slot) {
            self.may_see_made(found, Verb::Select)?;
            found.protected.map_or(Ok(()), |column| self.may(column, Usage::Used(Verb::Select)))?;
        }
        Ok(*slot)
    }

    /// The sources that `t.*` names, or a refusal if there is none.
    pub(super) fn qualified_star(&self, path: &Path, scope: &Scope<'_>) -> Result<Vec<Output>, Refusal> {
        Ok(self.starred(path, scope)?.into_iter().map(|(_, column)| Output::of(column)).collect())
    }

    /// The columns of those sources, with their positions.
    pub(super) fn starred<'s>(
        &self,
        path: &Path,
        scope: &'s Scope<'_>,
    ) -> Result<Vec<(Slot, &'s SourceColumn)>, Refusal> {
        let parts: Vec<_> = path.parts.iter().map(|part| self.cx.text.name(*part)).collect();
        let qualifier = match parts.as_slice() {
            [table] => Qualifier::Table { database: None, table },
            [database, table] => Qualifier::Table { database: Some(database), table },
            _ => return Err(self.unknown_table(path)),
        };
        if scope.sources_named(qualifier, self.table_names()).next().is_none() {
            return Err(self.unknown_table(path));
        }
        Ok(scope.visible_of(qualifier, self.table_names()))
    }
}

/// The level of names that a part of a FROM clause sees.
pub(super) fn level<'s>(
    sources: &'s [Source],
    first: usize,
    slots: &'s [Slot],
    surroundings: Surroundings<'s>,
) -> Scope<'s> {
    Scope {
        outer: surroundings.outer,
        sources,
        first,
        slots,
        outputs: &[],
        aliases: Aliases::Hidden,
        search: surroundings.search,
        clause: Clause::Condition,
        grouped: &[],
        among: Among::Group,
    }
}

fn push(sources: &mut Vec<Source>, source: Source) -> Vec<Slot> {
    let at = sources.len();
    let slots = (0..source.columns.len()).map(|column| Slot { source: at, column }).collect();
    sources.push(source);
    slots
}

fn all_slots(sources: &[Source]) -> Vec<Slot> {
    sources
        .iter()
        .enumerate()
        .flat_map(|(at, source)| (0..source.columns.len()).map(move |column| Slot { source: at, column }))
        .collect()
}

fn visible_names<'s>(sources: &'s [Source], slots: &'s [Slot]) -> impl Iterator<Item = &'s str> {
    slots
        .iter()
        .filter_map(|slot| sources.get(slot.source)?.columns.get(slot.column))
        .filter(|column| column.visibility == Visibility::Visible)
        .filter_map(|column| column.name.as_deref())
}
