//! INSERT, REPLACE, UPDATE and DELETE: values on their way into protected columns.

use super::carry::{Carried, Constant, Others, Rows as CarriedRows};
use super::construct;
use super::expression::bare;
use super::fill::Target;
use super::from::{Rows, Surroundings, level};
use super::output::Naming;
use super::predicate::value;
use super::query::Place;
use super::subject::Owner;
use super::{Analysis, Meaning, Outputs, Refusal, Scope, SourceColumn, Usage, Verb, Visibility, fold};
use crate::plan::scope::{Made, Origin, Search, Slot, Source};
use crate::plan::statistics::sees_all;
use crate::plan::{Splice, SpliceKind, Value};
use crate::policy::ColumnId;
use crate::schema::Table;
use crate::sql::tree::{
    Assignment, Delete, Expr, ExprKind, Insert, InsertSource, Path, RowAlias, SelectItem, TableReference, Update,
};

/// What the assignments of a clause see.
struct Assigning<'s> {
    /// Names of the assigned columns, and of `VALUES(col)`.
    target: &'s Scope<'s>,
    /// Names inside the values.
    values: &'s Scope<'s>,
    /// What the clause does to its columns.
    verb: Verb,
}

impl Analysis<'_> {
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<Outputs, Refusal> {
        let table = self.written_table(&insert.table)?;
        let source = Source {
            label: (&*table.name.table).into(),
            database: Some(table.name.database.clone()),
            columns: self.columns_of(table),
            origin: Origin::Table,
        };
        let slots = slots_of(&source);
        let sources = std::slice::from_ref(&source);
        let scope = Scope { sources, slots: &slots, ..Scope::EMPTY };
        let targets = self.targets(insert, table, &scope)?;
        match &insert.source {
            InsertSource::Values(rows) => {
                for row in rows.iter().filter(|row| !row.is_empty()) {
                    let owner = Owner::of_row(row, targets.iter().map(|target| &*target.name));
                    self.row(row, &targets, &scope, &owner)?;
                }
            }
            InsertSource::Set(assignments) => {
                let assigning = Assigning { target: &scope, values: &scope, verb: Verb::Insert };
                let names: Vec<&str> = targets.iter().map(|target| &*target.name).collect();
                let owner = Owner::of_row(assignments.iter().map(|assignment| &assignment.value), names);
                self.assignments(assignments, &assigning, &owner)?;
            }
            InsertSource::Query(query) => {
                self.fill(query, &targets)?;
                self.updates_alone(&insert.on_duplicate)?;
            }
        }
        self.keeps_stated(table, &insert.on_duplicate, |refused| refused.duplicate)?;
        self.on_duplicate(insert, &targets, &scope)?;
        self.returning(&insert.returning, &scope)
    }

    /// The columns that each row fills, after the role was asked about the protected ones.
    fn targets(&self, insert: &Insert, table: &Table, scope: &Scope<'_>) -> Result<Vec<Target>, Refusal> {
        let listed: Vec<&Path> = match (&insert.source, &insert.columns) {
            (InsertSource::Set(assignments), _) => assignments.iter().map(|assignment| &assignment.column).collect(),
            (InsertSource::Values(_) | InsertSource::Query(_), columns) => columns.iter().flatten().collect(),
        };
        if !listed.is_empty() {
            return listed
                .into_iter()
                .map(|path| {
                    let name = path.parts.last().map(|part| self.folded(*part)).unwrap_or_default();
                    Ok(Target { name, protected: self.assigned(path, scope, Verb::Insert)? })
                })
                .collect();
        }
        if let InsertSource::Values(rows) = &insert.source
            && rows.iter().all(Vec::is_empty)
        {
            return Ok(Vec::new());
        }
        table
            .columns
            .iter()
            .filter(|column| !column.is_invisible())
            .map(|column| {
                let protected = self.cx.policy.column_named(&table.name, &column.name);
                if let Some(column) = protected {
                    self.may(column, Usage::Used(Verb::Insert))?;
                }
                Ok(Target { name: fold(&column.name), protected })
            })
            .collect()
    }

    /// The protected column that an assigned name means.
    fn assigned(&self, path: &Path, scope: &Scope<'_>, verb: Verb) -> Result<Option<ColumnId>, Refusal> {
        match self.meaning(path, scope, verb)? {
            Meaning::Unprotected => Ok(None),
            Meaning::Protected(columns) => match columns.as_slice() {
                [column] => Ok(Some(*column)),
                _ => Err(self.unknown_column(path)),
            },
            Meaning::Unknown => Err(self.unknown_column(path)),
        }
    }

    fn row(&mut self, row: &[Expr], targets: &[Target], scope: &Scope<'_>, owner: &Owner<'_>) -> Result<(), Refusal> {
        if row.len() != targets.len() {
            let protected = targets.iter().find_map(|target| target.protected);
            return Err(protected.map_or_else(
                || self.unsupported_data(construct::ROW_LENGTH),
                |column| self.unsupported(column, construct::ROW_LENGTH),
            ));
        }
        for (expr, target) in row.iter().zip(targets) {
            match target.protected {
                Some(column) => self.seal(expr, column, scope, owner)?,
                None => self.value(expr, scope, construct::COPY)?,
            }
        }
        Ok(())
    }

    /// Plans a value that goes into a protected column.
    fn seal(&mut self, expr: &Expr, column: ColumnId, scope: &Scope<'_>, owner: &Owner<'_>) -> Result<(), Refusal> {
        match value(expr) {
            Some(Value::Null) => {}
            Some(found @ (Value::Literal(_) | Value::Param(_) | Value::Pattern(_))) => {
                let subject = self.subject_of(column, found, owner, scope)?;
                self.splices.push(Splice { tokens: bare(expr).tokens, column, kind: SpliceKind::Seal(found), subject });
            }
            // As if the column were left out: the server takes its own default, which the CHECK constraint judges.
            None if matches!(bare(expr).kind, ExprKind::Default(None)) => {}
            None if self.is_carrier(expr) => {
                let carried = self.carried(expr, scope)?;
                return self.seal_carried(&carried, column, owner, scope);
            }
            None => {
                // The walk may have something more telling to say, such as that a column in it is denied.
                self.value(expr, scope, construct::COPY)?;
                let default = matches!(bare(expr).kind, ExprKind::Default(_));
                let construct = if default { construct::DEFAULT } else { construct::INSERT_VALUE };
                return Err(self.unsupported(column, construct));
            }
        }
        Ok(())
    }

    /// Plans an expression that comes to constants, or to the value that the column has: its envelope fits.
    fn seal_carried(
        &mut self,
        carried: &Carried,
        column: ColumnId,
        owner: &Owner<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        match (carried.column, carried.others, carried.rows) {
            (None, Others::None, _) => {}
            (Some(own), Others::None, CarriedRows::Own) if own == column && self.is_of_row(column, owner, scope) => {}
            (Some(_), Others::None, _) => return Err(self.unsupported(column, construct::COPY)),
            (_, Others::Some, _) => return Err(self.unsupported(column, construct::INSERT_VALUE)),
        }
        for Constant { value, tokens } in &carried.constants {
            let subject = self.subject_of(column, *value, owner, scope)?;
            self.splices.push(Splice { tokens: *tokens, column, kind: SpliceKind::Seal(*value), subject });
        }
        Ok(())
    }

    fn assignments(
        &mut self,
        assignments: &[Assignment],
        assigning: &Assigning<'_>,
        owner: &Owner<'_>,
    ) -> Result<(), Refusal> {
        for assignment in assignments {
            match self.assigned(&assignment.column, assigning.target, assigning.verb)? {
                None => self.value(&assignment.value, assigning.values, construct::COPY)?,
                Some(column) => {
                    if !self.is_copy_of(column, &assignment.value, assigning, owner)? {
                        self.seal(&assignment.value, column, assigning.values, owner)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a column's name among the values of an assignment means the row that is changed, or the one that was to
    /// be inserted in its place.
    fn is_of_row(&self, column: ColumnId, owner: &Owner<'_>, values: &Scope<'_>) -> bool {
        let carries = |source: &&Source| source.columns.iter().any(|found| found.protected == Some(column));
        match owner {
            Owner::Row(_) => false,
            Owner::Anybody => self.stated(column).is_none(),
            Owner::Conditions(_) | Owner::Rows => values.sources.iter().filter(carries).count() == 1,
        }
    }

    /// Whether a value is the column's own: of the same row, or of the row that was to be inserted. Its envelope fits.
    fn is_copy_of(
        &self,
        column: ColumnId,
        value: &Expr,
        assigning: &Assigning<'_>,
        owner: &Owner<'_>,
    ) -> Result<bool, Refusal> {
        if assigning.verb == Verb::Insert || !self.is_of_row(column, owner, assigning.values) {
            // There is no row yet, and the server would take the column's default; or it is another row's value.
            return Ok(false);
        }
        let value = bare(value);
        let (path, scope) = if let ExprKind::Column(path) = &value.kind {
            (path, assigning.values)
        } else if let ExprKind::Values(path) = &value.kind {
            (path, assigning.target)
        } else {
            return Ok(false);
        };
        match self.meaning(path, scope, Verb::Select)? {
            Meaning::Protected(columns) => Ok(columns == [column]),
            Meaning::Unprotected | Meaning::Unknown => Ok(false),
        }
    }

    /// Refuses names in ON DUPLICATE KEY UPDATE behind a query to roles that do not see all values: should the table have no
    /// such column, because a temporary one stands in its place, the server finds the query's.
    fn updates_alone(&self, assignments: &[Assignment]) -> Result<(), Refusal> {
        let is_alone = |value: &Expr| {
            matches!(
                bare(value).kind,
                ExprKind::Literal(_) | ExprKind::Param(_) | ExprKind::Values(_) | ExprKind::Default(_)
            )
        };
        if sees_all(self.cx.policy, self.cx.role) || assignments.iter().all(|assignment| is_alone(&assignment.value)) {
            return Ok(());
        }
        Err(self.unsupported_data(construct::DUPLICATE_NAMES))
    }

    fn on_duplicate(&mut self, insert: &Insert, targets: &[Target], scope: &Scope<'_>) -> Result<(), Refusal> {
        if insert.on_duplicate.is_empty() {
            return Ok(());
        }
        let Some(alias) = &insert.row_alias else {
            let assigning = Assigning { target: scope, values: scope, verb: Verb::Update };
            return self.assignments(&insert.on_duplicate, &assigning, &Owner::Anybody);
        };
        let row = self.row_source(alias, targets);
        let own: Vec<Source> = scope
            .sources
            .iter()
            .map(|source| Source {
                label: source.label.clone(),
                database: source.database.clone(),
                columns: source.columns.clone(),
                origin: source.origin,
            })
            .chain([row])
            .collect();
        let slots: Vec<Slot> = own
            .iter()
            .enumerate()
            .flat_map(|(at, source)| (0..source.columns.len()).map(move |column| Slot { source: at, column }))
            .collect();
        let values = Scope { sources: &own, slots: &slots, ..Scope::EMPTY };
        let assigning = Assigning { target: scope, values: &values, verb: Verb::Update };
        self.assignments(&insert.on_duplicate, &assigning, &Owner::Anybody)
    }

    /// The row that was to be inserted, under its alias.
    fn row_source(&self, alias: &RowAlias, targets: &[Target]) -> Source {
        let mut given = alias.columns.iter();
        let columns = targets
            .iter()
            .map(|target| SourceColumn {
                name: Some(given.next().map_or_else(|| target.name.clone(), |name| self.folded(*name))),
                protected: target.protected,
                visibility: Visibility::Visible,
                spelled: None,
                label: None,
                made: Made::Nowise,
            })
            .collect();
        Source { label: self.cx.text.name(alias.name).into(), database: None, columns, origin: Origin::Other }
    }

    pub(super) fn update(&mut self, update: &Update) -> Result<Outputs, Refusal> {
        self.with(update.with.as_ref(), None)?;
        let surroundings = Surroundings { outer: None, search: Search::Allowed };
        let Rows { sources, slots } = self.from(&update.tables, surroundings)?;
        self.without_common()?;
        let scope = level(&sources, 0, &slots, surroundings);
        self.keep_stated(&sources, &update.assignments)?;
        let assigning = Assigning { target: &scope, values: &scope, verb: Verb::Update };
        let owner = match update.tables.as_slice() {
            [TableReference::Named { .. }] => Owner::of_condition(update.filter.as_ref()),
            _ => Owner::Rows,
        };
        self.assignments(&update.assignments, &assigning, &owner)?;
        if let Some(filter) = &update.filter {
            self.condition(filter, &scope)?;
        }
        self.values(update.order_by.iter().map(|item| &item.expr), &scope, construct::ORDER_CHANGE)?;
        self.values(&update.limit, &scope, construct::LIMIT)?;
        self.returning(&update.returning, &scope)
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Result<Outputs, Refusal> {
        self.with(delete.with.as_ref(), None)?;
        let surroundings = Surroundings { outer: None, search: Search::Allowed };
        let Rows { sources, slots } = self.from(&delete.tables, surroundings)?;
        self.without_common()?;
        let scope = level(&sources, 0, &slots, surroundings);
        if let Some(filter) = &delete.filter {
            self.condition(filter, &scope)?;
        }
        self.values(delete.order_by.iter().map(|item| &item.expr), &scope, construct::ORDER_CHANGE)?;
        self.values(&delete.limit, &scope, construct::LIMIT)?;
        self.returning(&delete.returning, &scope)
    }

    /// Plans RETURNING, MariaDB's result of a statement that writes. Only who sees values may read in a statement that does
    /// something else, too.
    fn returning(&mut self, items: &[SelectItem], scope: &Scope<'_>) -> Result<Outputs, Refusal> {
        let scope = Scope { search: Search::Refused, ..*scope };
        let outputs = self.outputs(items, &scope, Place::Carried)?;
        self.granted(&outputs)?;
        let shown = outputs.iter().filter_map(|output| output.protected);
        shown.into_iter().try_for_each(|column| self.may(column, Usage::Used(Verb::Select)))?;
        self.items(items, &scope, Naming::Servers)?;
        self.all_bound(&outputs)?;
        self.shown_outputs(&outputs)
    }
}

fn slots_of(source: &Source) -> Vec<Slot> {
    (0..source.columns.len()).map(|column| Slot { source: 0, column }).collect()
}
