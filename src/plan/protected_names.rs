//! Bare names whose mention puts a statement near protected data.
//!
//! Collected once for each pair of policy and catalog: the protected tables, every view and routine that can reach one
//! through any number of steps, and, for statements that cannot be parsed, the protected columns and those that the server
//! makes from them. Databases are left
//! out on purpose: a mention too many costs an analysis, one too few lets a statement through.

use std::collections::HashSet;

use super::made::made_columns;
use crate::policy::Policy;
use crate::schema::{Catalog, TableKind};

/// The dangerous names of one policy and one catalog.
#[derive(Debug)]
pub(super) struct ProtectedNames {
    policy_version: u64,
    catalog_version: u64,
    tables: HashSet<Box<str>>,
    views: HashSet<Box<str>>,
    routines: HashSet<Box<str>>,
    columns: HashSet<Box<str>>,
    /// Columns that values are bound to, or that say whose they are.
    stated: HashSet<Box<str>>,
}

impl ProtectedNames {
    /// Follows the definitions of the catalog until nothing new is reached.
    pub(super) fn collect(policy: &Policy, catalog: &Catalog) -> Self {
        let mut names = Self {
            policy_version: policy.version(),
            catalog_version: catalog.version,
            tables: policy.columns().iter().map(|column| fold(&column.column.table)).collect(),
            views: HashSet::new(),
            routines: HashSet::new(),
            columns: policy.columns().iter().map(|column| fold(&column.column.column)).collect(),
            stated: policy.columns().iter().filter_map(|column| Some(fold(column.stated()?))).collect(),
        };
        if names.tables.is_empty() {
            return names;
        }
        for table in catalog.tables() {
            names.columns.extend(made_columns(table, policy, catalog).into_iter().map(|made| made.name));
        }
        let views: Vec<Definition> = catalog
            .tables()
            .filter(|table| table.kind == TableKind::View)
            .map(|table| Definition::new(&table.name.table, table.definition.as_deref()))
            .collect();
        let routines: Vec<Definition> =
            catalog.routines().map(|routine| Definition::new(&routine.name, routine.definition.as_deref())).collect();
        loop {
            let before = names.views.len() + names.routines.len();
            for view in &views {
                if !names.views.contains(&view.name) && view.reaches(&names) {
                    names.views.insert(view.name.clone());
                }
            }
            for routine in &routines {
                if !names.routines.contains(&routine.name) && (routine.is_opaque() || routine.reaches(&names)) {
                    names.routines.insert(routine.name.clone());
                }
            }
            if names.views.len() + names.routines.len() == before {
                return names;
            }
        }
    }

    /// Whether the names belong to these versions.
    pub(super) fn is_of(&self, policy: &Policy, catalog: &Catalog) -> bool {
        self.policy_version == policy.version() && self.catalog_version == catalog.version
    }

    /// Whether policy protects anything.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Whether a name as written is that of a protected table or of something that reaches one.
    pub(super) fn has_carrier(&self, name: &str) -> bool {
        let name = fold(name);
        self.tables.contains(&name) || self.views.contains(&name) || self.routines.contains(&name)
    }

    /// Whether a name as written is that of a view that reaches a protected table.
    pub(super) fn has_view(&self, name: &str) -> bool {
        self.views.contains(&fold(name))
    }

    /// Whether a name as written is that of a routine that reaches a protected table.
    pub(super) fn has_routine(&self, name: &str) -> bool {
        self.routines.contains(&fold(name))
    }

    /// Whether a name as written is that of a column that protected values of any table are bound to, or that says whose they
    /// are.
    pub(super) fn has_stated(&self, name: &str) -> bool {
        self.stated.contains(&fold(name))
    }

    /// Whether a name as written is that of a protected column of any table.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.columns.contains(&fold(name))
    }
}

/// A view's or routine's text, folded.
struct Definition {
    name: Box<str>,
    /// `None` if the control account may not read it.
    text: Option<Box<str>>,
}

impl Definition {
    fn new(name: &str, text: Option<&str>) -> Self {
        Self { name: fold(name), text: text.map(fold) }
    }

    fn reaches(&self, names: &ProtectedNames) -> bool {
        self.text.as_deref().is_none_or(|text| {
            [&names.tables, &names.views, &names.routines].into_iter().flatten().any(|name| mentions(text, name))
        })
    }

    /// Text put together at run time can reach anything, and so can the plan of another connection's statement.
    fn is_opaque(&self) -> bool {
        self.text.as_deref().is_none_or(|text| {
            let has = |word| mentions(text, word);
            has("prepare") || has("execute") || has("explain") || has("show") && has("analyze")
        })
    }
}

/// Whether a routine may change tables, views or routines, itself or through another one. An unreadable one may.
pub(super) fn may_define(definition: Option<&str>) -> bool {
    const VERBS: [&str; 7] = ["create", "alter", "drop", "rename", "call", "prepare", "execute"];
    definition.map(fold).is_none_or(|text| VERBS.iter().any(|verb| mentions(&text, verb)))
}

/// Folds a name so that names which the server takes for equal are equal. The server lower-cases the dotted capital I
/// to a plain i; Unicode's full mapping would add a combining dot.
pub(super) fn fold(name: &str) -> Box<str> {
    if name.is_ascii() {
        return name.to_ascii_lowercase().into_boxed_str();
    }
    name.chars()
        .flat_map(|character| {
            let character = if character == '\u{130}' { 'I' } else { character };
            character.to_lowercase()
        })
        .collect::<String>()
        .into_boxed_str()
}

/// Whether a folded name stands in a folded text: as a word of its own, or anywhere if the name itself has characters
/// that end words. Comments and strings count: the text is read under modes that are not known here.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    if !name.chars().all(is_word) {
        return text.contains(name) || text.contains(&name.replace('`', "``"));
    }
    text.match_indices(name).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(start + found.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '$' || !character.is_ascii()
}
