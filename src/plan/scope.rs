//! What a name can mean at one place of a statement.
//!
//! A [`Scope`] is one level of a statement: the sources of its FROM clause, the order of its columns, and the names of
//! its select list. Levels are chained outward. Where the server's own preference between a select-list name and a
//! column is a matter of clause and version, every candidate is returned and the caller judges by the worst.

use std::sync::Arc;

use super::Among;
use super::protected_names::fold;
use crate::policy::ColumnId;
use crate::sql::tree::TokenRange;

/// A table, view, derived table or common table expression in a FROM clause.
#[derive(Debug)]
pub(super) struct Source {
    /// Alias, or the table's name as the catalog spells it.
    pub(super) label: Box<str>,
    /// Database of a base table or view.
    pub(super) database: Option<Arc<str>>,
    /// Columns in ordinal order.
    pub(super) columns: Vec<SourceColumn>,
    /// Where they come from.
    pub(super) origin: Origin,
}

/// Where the columns of a source come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// One table, whose rows they are.
    Table,
    /// A query, or a row that a statement makes.
    Other,
}

/// A column of a source.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    /// Folded name; `None` for an unnamed expression of a derived table, which no name finds.
    pub(super) name: Option<Box<str>>,
    /// The protected column whose envelopes it carries.
    pub(super) protected: Option<ColumnId>,
    /// Whether `*` shows it.
    pub(super) visibility: Visibility,
    /// How the catalog writes the name, if it is a table's or view's.
    pub(super) spelled: Option<Box<str>>,
    /// What the server calls it where `*` shows it, if that is known.
    pub(super) label: Option<Box<str>>,
    /// What the server makes it from, or from it, if it is a table's own.
    pub(super) made: Made,
}

impl SourceColumn {
    /// The protected column that it is, or that it is made from.
    fn comes_from(&self) -> Option<ColumnId> {
        let made = match self.made {
            Made::From(column) => Some(column),
            Made::Nowise | Made::Into(..) => None,
        };
        self.protected.or(made)
    }
}

/// How a table's column belongs to a generated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// In no way that matters.
    Nowise,
    /// It is made from envelopes of that protected column, and is no envelope.
    From(ColumnId),
    /// It is protected, and that column holds the first bytes of its envelopes, so many.
    Into(Box<str>, usize),
}

/// Whether `*` shows a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// It does.
    Visible,
    /// Only its name finds it.
    Invisible,
}

/// Position of a column: source and column in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) source: usize,
    pub(super) column: usize,
}

/// A column that a query returns.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Folded name; `None` for an expression without alias.
    pub(super) name: Option<Box<str>>,
    /// The protected column whose envelopes it carries.
    pub(super) protected: Option<ColumnId>,
    /// What the server calls it.
    pub(super) label: Label,
    /// The protected column from which the server makes it, if that is what a star shows.
    pub(super) made_from: Option<ColumnId>,
}

/// What the server calls a column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// So, to the letter.
    Name(Box<str>),
    /// By the text of those tokens.
    Text(TokenRange),
    /// By a name of ours, where the text of those tokens is due, or a name that is not known here.
    Lost(Option<TokenRange>),
    /// By a name that is not known here.
    Unknown,
}

impl Output {
    /// A column shown as it is.
    pub(super) fn of(column: &SourceColumn) -> Self {
        let label = column.label.clone().map_or(Label::Unknown, Label::Name);
        let made_from = match column.made {
            Made::From(column) => Some(column),
            Made::Nowise | Made::Into(..) => None,
        };
        Self { name: column.name.clone(), protected: column.protected, label, made_from }
    }
}

/// Whether select-list names are found at the scope's own level. They always are from nested levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aliases {
    /// GROUP BY, HAVING, ORDER BY.
    Visible,
    /// FROM, WHERE and the select list itself.
    Hidden,
}

/// Whether a comparison with a protected column can be rewritten here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// WHERE, ON and HAVING, and columns of a select list that have an alias.
    Allowed,
    /// Everywhere else.
    Refused,
}

/// What becomes of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    /// The server uses it.
    Condition,
    /// It is shown with a definition, which tells whether it can be NULL.
    SelectList,
}

/// One level of names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'s> {
    /// The enclosing level.
    pub(super) outer: Option<&'s Scope<'s>>,
    /// All sources of the level's FROM clause that are known so far.
    pub(super) sources: &'s [Source],
    /// Sources before this one are out of sight (operands of other joins).
    pub(super) first: usize,
    /// Columns in the order of `*`, common columns of USING and NATURAL once.
    pub(super) slots: &'s [Slot],
    /// Names of the select list.
    pub(super) outputs: &'s [Output],
    /// Whether `outputs` count at this level.
    pub(super) aliases: Aliases,
    /// Whether comparisons are rewritten here.
    pub(super) search: Search,
    /// Where an expression that is visited stands.
    pub(super) clause: Clause,
    /// Protected columns by whose values the rows are grouped: outside of aggregates a row stands for many.
    pub(super) grouped: &'s [Slot],
    /// Among which rows one of equal values is shown of those.
    pub(super) among: Among,
}

/// What a name means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Nothing, or more than one column.
    Unknown,
    /// Columns none of which is protected.
    Unprotected,
    /// At least one protected column; all of them.
    Protected(Vec<ColumnId>),
}

/// Where a name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearness {
    /// Among the columns of the level itself, and of nothing else.
    Own,
    /// Farther out, or perhaps in the select list.
    Other,
}

/// Whether it is clear which column a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Whichever candidate the server takes, the same column's values come out.
    Certain,
    /// It depends on the server's choice.
    Uncertain,
}

impl Scope<'static> {
    /// A level without any name.
    pub(super) const EMPTY: Self = Self {
        outer: None,
        sources: &[],
        first: 0,
        slots: &[],
        outputs: &[],
        aliases: Aliases::Hidden,
        search: Search::Refused,
        clause: Clause::Condition,
        grouped: &[],
        among: Among::Group,
    };
}

impl Scope<'_> {
    /// Resolves a column name, outward if need be.
    pub(super) fn resolve(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Meaning {
        let candidates = self.candidates(qualifier, column, rule);
        if candidates.is_empty() {
            return Meaning::Unknown;
        }
        let mut protected: Vec<ColumnId> = candidates.into_iter().flatten().collect();
        protected.dedup();
        if protected.is_empty() { Meaning::Unprotected } else { Meaning::Protected(protected) }
    }

    /// How many levels are around this one.
    pub(super) fn depth(&self) -> usize {
        std::iter::successors(self.outer, |level| level.outer).count()
    }

    /// The depth of the level that a name is found at.
    pub(super) fn depth_of(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Option<usize> {
        let column = fold(column);
        let (mut level, mut aliases) = (self, self.aliases);
        while level.candidates_here(qualifier, &column, rule, aliases).is_none() {
            (level, aliases) = (level.outer?, Aliases::Visible);
        }
        Some(level.depth())
    }

    /// The protected columns that a name would mean at the levels around this one, or from which the server makes what it
    /// would mean, if no nearer level knew it.
    pub(super) fn protected_outside(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Vec<ColumnId> {
        let column = fold(column);
        let mut found = Vec::new();
        for level in std::iter::successors(self.outer, |level| level.outer) {
            let named: Vec<&SourceColumn> = match qualifier {
                Qualifier::None => level.slots.iter().filter_map(|slot| level.column(*slot)).collect(),
                Qualifier::Table { .. } => {
                    level.sources_named(qualifier, rule).flat_map(|source| &source.columns).collect()
                }
            };
            let named = named.into_iter().filter(|found| found.name.as_deref() == Some(&*column));
            found.extend(named.filter_map(SourceColumn::comes_from));
            if let Qualifier::None = qualifier {
                let listed = level.outputs.iter().filter(|output| output.name.as_deref() == Some(&*column));
                found.extend(listed.filter_map(|output| output.protected.or(output.made_from)));
            }
        }
        found
    }

    /// The columns of tables that a name can mean, at the nearest level that knows it, with their sources; whether that is
    /// this level, and no name of a select list is meant.
    pub(super) fn columns_meant<'q>(
        &'q self,
        qualifier: Qualifier<'q>,
        column: &str,
        rule: TableNames,
    ) -> (Vec<(&'q Source, &'q SourceColumn)>, Nearness) {
        let column = fold(column);
        let (mut level, mut aliases, mut nearness) = (self, self.aliases, Nearness::Own);
        while level.candidates_here(qualifier, &column, rule, aliases).is_none() {
            let Some(outer) = level.outer else { return (Vec::new(), Nearness::Other) };
            (level, aliases, nearness) = (outer, Aliases::Visible, Nearness::Other);
        }
        let is_named = |found: &SourceColumn| found.name.as_deref() == Some(&*column);
        let found = match qualifier {
            Qualifier::None => {
                if aliases == Aliases::Visible
                    && level.outputs.iter().any(|output| output.name.as_deref() == Some(&*column))
                {
                    nearness = Nearness::Other;
                }
                let slots = level.slots.iter();
                let found = slots.filter_map(|slot| Some((level.sources.get(slot.source)?, level.column(*slot)?)));
                found.filter(|(_, found)| is_named(found)).collect()
            }
            Qualifier::Table { .. } => {
                let sources = level.sources_named(qualifier, rule);
                let columns = sources.flat_map(|source| source.columns.iter().map(move |column| (source, column)));
                columns.filter(|(_, found)| is_named(found)).collect()
            }
        };
        (found, nearness)
    }

    /// Whether all that a name can mean carries the same values.
    pub(super) fn certainty(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Certainty {
        match self.candidates(qualifier, column, rule).as_slice() {
            [first, others @ ..] if others.iter().all(|other| other == first) => Certainty::Certain,
            _ => Certainty::Uncertain,
        }
    }

    /// What a name can mean at the nearest level that knows it, as the protected column of each candidate. Empty: no
    /// level knows it, or it is ambiguous there.
    fn candidates(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Vec<Option<ColumnId>> {
        let column = fold(column);
        let mut level = self;
        let mut aliases = self.aliases;
        loop {
            match level.candidates_here(qualifier, &column, rule, aliases) {
                Some(candidates) => return candidates,
                None => match level.outer {
                    Some(outer) => level = outer,
                    None => return Vec::new(),
                },
            }
            aliases = Aliases::Visible;
        }
    }

    fn candidates_here(
        &self,
        qualifier: Qualifier<'_>,
        column: &str,
        rule: TableNames,
        aliases: Aliases,
    ) -> Option<Vec<Option<ColumnId>>> {
        let found = match qualifier {
            Qualifier::None => self.columns_named(column),
            Qualifier::Table { .. } => {
                self.sources_named(qualifier, rule).flat_map(|source| source.columns_named(column)).collect()
            }
        };
        let named: Vec<Option<ColumnId>> = match (qualifier, aliases) {
            (Qualifier::None, Aliases::Visible) => self
                .outputs
                .iter()
                .filter(|output| output.name.as_deref() == Some(column))
                .map(|output| output.protected)
                .collect(),
            (Qualifier::Table { .. }, _) | (_, Aliases::Hidden) => Vec::new(),
        };
        if named.is_empty() && found.len() > 1 {
            return Some(Vec::new());
        }
        if named.is_empty() && found.is_empty() {
            return None;
        }
        Some(found.into_iter().chain(named).collect())
    }

    /// The one column of the level's own sources that a name means, whatever names the select list has.
    pub(super) fn slot(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> Option<Slot> {
        let column = fold(column);
        let named = |slot: &Slot| self.column(*slot).is_some_and(|found| found.name.as_deref() == Some(&*column));
        let mut found: Vec<Slot> = match qualifier {
            Qualifier::None => self.slots.iter().copied().filter(named).collect(),
            Qualifier::Table { .. } => {
                let sources = self.sources.iter().enumerate().skip(self.first);
                let sources = sources.filter(|(_, source)| source.is_named(qualifier, rule));
                let all = sources
                    .flat_map(|(at, source)| (0..source.columns.len()).map(move |column| Slot { source: at, column }));
                all.filter(named).collect()
            }
        };
        found.pop().filter(|_| found.is_empty())
    }

    /// Whether a name means, at the nearest level that knows it, a column by which rows are grouped. HAVING finds names
    /// of the select list, which stand for one value of the group.
    pub(super) fn is_grouped(&self, qualifier: Qualifier<'_>, column: &str, rule: TableNames) -> bool {
        let folded = fold(column);
        let (mut level, mut aliases) = (self, self.aliases);
        let listed = match (qualifier, self.aliases, self.search) {
            (Qualifier::None, Aliases::Visible, Search::Allowed) => {
                self.outputs.iter().any(|output| output.name.as_deref() == Some(&*folded))
            }
            (Qualifier::None | Qualifier::Table { .. }, _, _) => false,
        };
        if listed {
            return false;
        }
        while level.candidates_here(qualifier, &folded, rule, aliases).is_none() {
            let Some(outer) = level.outer else { return false };
            (level, aliases) = (outer, Aliases::Visible);
        }
        level.slot(qualifier, column, rule).is_some_and(|slot| level.grouped.contains(&slot))
    }

    fn columns_named(&self, column: &str) -> Vec<Option<ColumnId>> {
        self.slots
            .iter()
            .filter_map(|slot| self.column(*slot))
            .filter(|found| found.name.as_deref() == Some(column))
            .map(|found| found.protected)
            .collect()
    }

    /// The column at a slot.
    pub(super) fn column(&self, slot: Slot) -> Option<&SourceColumn> {
        self.sources.get(slot.source)?.columns.get(slot.column)
    }

    /// The columns that `t.*` shows, with their positions.
    pub(super) fn visible_of(&self, qualifier: Qualifier<'_>, rule: TableNames) -> Vec<(Slot, &SourceColumn)> {
        let sources = self.sources.iter().enumerate().skip(self.first);
        let sources = sources.filter(|(_, source)| source.is_named(qualifier, rule));
        let columns = sources.flat_map(|(at, source)| {
            source.columns.iter().enumerate().map(move |(column, found)| (Slot { source: at, column }, found))
        });
        columns.filter(|(_, column)| column.visibility == Visibility::Visible).collect()
    }

    /// The level's sources that a qualifier names.
    pub(super) fn sources_named<'q>(
        &'q self,
        qualifier: Qualifier<'q>,
        rule: TableNames,
    ) -> impl Iterator<Item = &'q Source> {
        self.sources.iter().skip(self.first).filter(move |source| source.is_named(qualifier, rule))
    }
}

impl Source {
    fn is_named(&self, qualifier: Qualifier<'_>, rule: TableNames) -> bool {
        match qualifier {
            Qualifier::None => false,
            Qualifier::Table { database: None, table } => rule.equal(&self.label, table),
            Qualifier::Table { database: Some(database), table } => {
                rule.equal(&self.label, table) && self.database.as_deref().is_some_and(|own| rule.equal(own, database))
            }
        }
    }

    fn columns_named(&self, column: &str) -> impl Iterator<Item = Option<ColumnId>> {
        self.columns.iter().filter(move |found| found.name.as_deref() == Some(column)).map(|found| found.protected)
    }

    /// What `t.*` shows.
    pub(super) fn visible(&self) -> impl Iterator<Item = &SourceColumn> {
        self.columns.iter().filter(|column| column.visibility == Visibility::Visible)
    }
}

/// The part of a column's name before the column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Qualifier<'q> {
    /// None.
    None,
    /// A table or alias, perhaps with its database.
    Table {
        /// The database.
        database: Option<&'q str>,
        /// The table or alias.
        table: &'q str,
    },
}

/// How the server compares names of tables, databases and aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableNames {
    /// Byte for byte (`lower_case_table_names` is 0).
    Exact,
    /// Without case.
    Folded,
}

impl TableNames {
    /// The rule of a server.
    pub(super) fn of(lower_case_table_names: u8) -> Self {
        if lower_case_table_names == 0 { Self::Exact } else { Self::Folded }
    }

    /// Whether two names are one.
    pub(super) fn equal(self, left: &str, right: &str) -> bool {
        match self {
            Self::Exact => left == right,
            Self::Folded => fold(left) == fold(right),
        }
    }
}

/// Columns that a natural join or USING leaves of two row sets: common ones first, then the rest of the left, then the
/// rest of the right operand.
pub(super) fn merge(common: &[(Slot, Slot)], left: &[Slot], right: &[Slot]) -> Vec<Slot> {
    let mut merged: Vec<Slot> = common.iter().map(|(kept, _)| *kept).collect();
    let gone = |slot: &&Slot| !common.iter().any(|(kept, dropped)| *slot == kept || *slot == dropped);
    merged.extend(left.iter().filter(gone));
    merged.extend(right.iter().filter(gone));
    merged
}
