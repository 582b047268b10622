//! `policy.toml` as written, and the way from there to a checked [`Policy`].
//!
//! The language is described in `keys-policy/README.md`. Everything that a later stage would have to doubt is decided
//! here: names are complete, keysets are declared, contexts are unique, lengths are in their bounds, roles exist.
//! Reading the file is the caller's work; whether the database agrees is `candado check`'s.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::access::{self, Lines, Protected, WrittenAccess, WrittenRight};
use super::account::{Unlisted, WrittenAccount, bindings};
use super::budget::WrittenBudget;
use super::environment::{Differing, WrittenEnvironment};
use super::honey::{self, WrittenHoney};
use super::mask::WrittenMask;
use super::password_hash::{WrittenCosts, WrittenKind};
use super::rates::WrittenRates;
use super::routine::{self, WrittenRoutine};
use super::search::WrittenSearch;
use super::sort::{self, WrittenSort};
use super::stated::{WrittenUnbound, bind, stated};
use super::written::{Problems, Text, suggestion};
use super::{
    Access, Budget, ColumnId, ColumnRules, HashCosts, IndexSpec, LogicalType, Normaliser, Padding, Policy,
    ProtectedColumn, Role, RoleId, SearchGrant, TextSize,
};
use crate::schema::ColumnRef;

/// A VARCHAR of utf8mb4 holds at most 65,535 bytes.
const VARCHAR_CHARS_MAX: u32 = 16_383;
/// The shorter a tag, the more unequal values share it; an envelope carries none of one byte.
const INDEX_LENGTHS: std::ops::RangeInclusive<u8> = 2..=16;
const INDEX_LENGTH: u8 = 16;
const PADDING: u8 = 16;
/// MySQL names are at most 64 characters; three of them, two dots and room for a deployment's own prefix.
const CONTEXT_OCTETS_MAX: usize = 255;
/// The keyset of the key that authenticates the record of acts.
pub const RESERVED_KEYSET: &str = "candado";
/// The role of accounts that no `[[account]]` names.
const UNLISTED: &str = "unlisted";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keysets: Vec<Spanned<String>>,
    #[serde(default)]
    column: Vec<Column>,
    #[serde(default)]
    role: BTreeMap<String, Spanned<WrittenRole>>,
    #[serde(default)]
    account: Vec<WrittenAccount>,
    #[serde(default)]
    unlisted: Unlisted,
    #[serde(default)]
    rates: WrittenRates,
    password_hash: Option<Spanned<WrittenCosts>>,
    #[serde(default)]
    routine: Vec<WrittenRoutine>,
    #[serde(default)]
    budget: BTreeMap<String, Spanned<WrittenBudget>>,
    #[serde(default)]
    honey: Vec<WrittenHoney>,
    #[serde(default)]
    environment: BTreeMap<String, Spanned<WrittenEnvironment>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) name: Spanned<String>,
    keyset: Spanned<String>,
    #[serde(rename = "type")]
    logical: Spanned<String>,
    context: Option<Spanned<String>>,
    collation: Option<Spanned<String>>,
    index: Option<Index>,
    padding: Option<Spanned<u8>>,
    pub(super) subject: Option<Spanned<String>>,
    pub(super) bind: Option<Spanned<String>>,
    pub(super) unbound: Option<Spanned<WrittenUnbound>>,
    kind: Option<Spanned<WrittenKind>>,
    mask: Option<Spanned<WrittenMask>>,
    sort: Option<Spanned<WrittenSort>>,
    sort_rows: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    normaliser: Spanned<WrittenNormaliser>,
    region: Option<Spanned<String>>,
    domain: Option<Spanned<String>>,
    length: Option<Spanned<u8>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenNormaliser {
    Raw,
    Text,
    Email,
    E164,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRole {
    access: WrittenAccess,
    #[serde(default)]
    keysets: BTreeMap<String, Spanned<WrittenAccess>>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<WrittenRight>>,
    search: Option<WrittenSearch>,
}

/// Reads the text of a policy file without environments. `file` is its name in messages, `version` the new snapshot's.
///
/// # Errors
/// Everything that is wrong with it, each with file and line.
pub fn parse(file: &str, text: &str, version: u64) -> Result<Policy, Problems> {
    parse_for(file, text, version, None)
}

/// The environments that a policy file has, in order of their names.
///
/// # Errors
/// It cannot be read as TOML, or has keys that do not exist.
pub fn environments(file: &str, text: &str) -> Result<Vec<String>, Problems> {
    let written: File = Text::new(file, text).parse()?;
    Ok(written.environment.into_keys().collect())
}

/// Reads the text of a policy file for an environment; with environments in it, one has to be named.
///
/// # Errors
/// Everything that is wrong with it, each with file and line.
pub fn parse_for(file: &str, text: &str, version: u64, environment: Option<&str>) -> Result<Policy, Problems> {
    let mut text = Text::new(file, text);
    let written: File = text.parse()?;
    let keysets = keysets(&mut text, &written.keysets);
    let columns = columns(&mut text, &written.column, &keysets);
    let by_name: HashMap<String, ColumnId> =
        (0_u32..).zip(&columns).map(|(id, column)| (column.column.to_string().to_lowercase(), ColumnId(id))).collect();
    domains(&mut text, &written.column, &columns);
    stated(&mut text, &written.column, &columns);
    let rules = rules(&mut text, &written, &columns, &by_name);
    let protected = Protected { columns: &columns, by_name: &by_name, keysets: &keysets, rules: &rules };
    let (mut roles, searches) = roles(&mut text, &written.role, &protected);
    let bindings = bindings(&mut text, &written.account, &roles);
    let unlisted = RoleId(u16::try_from(roles.len()).unwrap_or(u16::MAX));
    roles.push(Role { name: UNLISTED.into(), default_access: Access::Deny, columns: HashMap::new() });
    let rates = written.rates.checked(&mut text);
    let budgets = budgets(&mut text, &written.budget, &roles);
    let for_all = Differing { bindings, firewall: written.unlisted.firewall(), budgets };
    let Differing { bindings, firewall, budgets } =
        for_all.chosen(&mut text, &written.environment, environment, &roles);
    let policy = Policy::new(version, columns, roles, Vec::new(), unlisted, firewall);
    let policy = policy.with_bindings(bindings).with_environment(environment);
    let routines = routine::routines(&mut text, &written.routine, &by_name);
    text.finish(
        policy
            .with_rates(rates)
            .with_budgets(budgets)
            .with_routines(routines)
            .with_rules(rules)
            .with_searches(searches),
    )
}

/// What is said of each column beside its format, at the positions of `columns`.
fn rules(
    text: &mut Text<'_>,
    written: &File,
    columns: &[ProtectedColumn],
    by_name: &HashMap<String, ColumnId>,
) -> Vec<ColumnRules> {
    let costs = written.password_hash.as_ref().map(|costs| costs.get_ref().checked(text)).unwrap_or_default();
    let mut rules = vec![ColumnRules::default(); columns.len()];
    for line in &written.column {
        let sort = sort::rule(text, line.sort.as_ref(), line.sort_rows.as_ref(), line.collation.as_ref());
        let password_hash = line.kind.as_ref().map(|kind| password_hash(text, line, kind, costs));
        let id = column_ref(line.name.get_ref()).and_then(|name| by_name.get(&name.to_string().to_lowercase()));
        let place = id.and_then(|id| usize::try_from(id.0).ok());
        let Some((column, rules)) = place.and_then(|place| columns.get(place).zip(rules.get_mut(place))) else {
            continue;
        };
        let mask = line.mask.as_ref().map(|mask| Arc::new(mask.get_ref().checked(text, &mask.span(), column)));
        *rules = ColumnRules { sort, password_hash, honey: None, mask };
    }
    for (id, honey) in honey::honey(text, &written.honey, columns, by_name) {
        let rules = usize::try_from(id.0).ok().and_then(|place| rules.get_mut(place));
        rules.into_iter().for_each(|rules| rules.honey = Some(Arc::new(honey.clone())));
    }
    let takes_hashes = rules.iter().any(|rules| rules.password_hash.is_some());
    if let (Some(costs), false) = (&written.password_hash, takes_hashes) {
        text.wrong(
            &costs.span(),
            "[password_hash] belongs to columns with `kind = \"password_hash\"`, and there is none",
        );
    }
    rules
}

/// What a hash must cost in a column of that kind. Nobody looks one up: each has a salt of its own.
fn password_hash(text: &mut Text<'_>, line: &Column, kind: &Spanned<WrittenKind>, costs: HashCosts) -> HashCosts {
    match kind.get_ref() {
        WrittenKind::PasswordHash => {
            if line.index.is_some() {
                let text_of = "a column of password hashes has no index: equal passwords have other hashes";
                text.wrong(&kind.span(), text_of);
            }
            costs
        }
    }
}

/// Budgets by role.
pub(super) fn budgets(
    text: &mut Text<'_>,
    written: &BTreeMap<String, Spanned<WrittenBudget>>,
    roles: &[Role],
) -> HashMap<RoleId, Budget> {
    let mut budgets = HashMap::new();
    for (name, budget) in written {
        let checked = budget.get_ref().checked(text);
        match (0..).zip(roles).find(|(_, role)| *role.name == **name) {
            Some((id, _)) => drop(budgets.insert(RoleId(id), checked)),
            None => {
                let hint = suggestion(name, roles.iter().map(|role| &*role.name));
                text.wrong(&budget.span(), format!("[budget.{name}]: there is no such role{hint}"));
            }
        }
    }
    budgets
}

fn keysets<'a>(text: &mut Text<'_>, written: &'a [Spanned<String>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::with_capacity(written.len());
    for keyset in written {
        let name = keyset.get_ref().as_str();
        let in_form = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !in_form {
            text.wrong(&keyset.span(), format!("keyset `{name}`: 1 to 64 letters, digits, `_` and `-` are allowed"));
        } else if name == RESERVED_KEYSET {
            let text_of = "holds the key of Candado's own record of acts: choose another name for the keys of columns";
            text.wrong(&keyset.span(), format!("keyset `{name}` {text_of}"));
        } else if names.contains(&name) {
            text.wrong(&keyset.span(), format!("keyset `{name}` is declared twice"));
        }
        names.push(name);
    }
    names
}

fn columns(text: &mut Text<'_>, written: &[Column], keysets: &[&str]) -> Vec<ProtectedColumn> {
    let mut names = HashSet::new();
    let mut contexts = HashSet::new();
    let mut columns = Vec::with_capacity(written.len());
    for column in written {
        let at = column.name.span();
        let Some(name) = column_ref(column.name.get_ref()) else {
            let text_of = "a column's name is `database.table.column`; a part with a dot in it stands in backticks";
            text.wrong(&at, text_of);
            continue;
        };
        if !names.insert(name.to_string().to_lowercase()) {
            text.wrong(&at, format!("column `{name}` is declared twice"));
        }
        let keyset = column.keyset.get_ref();
        if !keysets.contains(&keyset.as_str()) {
            let hint = suggestion(keyset, keysets.iter().copied());
            text.wrong(&column.keyset.span(), format!("keyset `{keyset}` is not among `keysets`{hint}"));
        }
        let context = bound_name(text, column.context.as_ref(), "context", &name.to_string());
        if !contexts.insert(context.clone()) {
            let at = column.context.as_ref().map_or(at, Spanned::span);
            text.wrong(&at, format!("context `{context}` belongs to another column: envelopes could be exchanged"));
        }
        columns.push(ProtectedColumn {
            logical: logical(text, &column.logical),
            collation: collation(text, column.collation.as_ref()),
            index: column.index.as_ref().map(|index| index_spec(text, index, &context)),
            padding: padding(text, column.padding.as_ref()),
            subject: column.subject.as_ref().map(|subject| subject.get_ref().as_str().into()),
            bind: bind(text, column),
            keyset: keyset.as_str().into(),
            column: name,
            context,
        });
    }
    columns
}

/// Tags of one domain can be compared only if the same key and the same rules made them.
fn domains(text: &mut Text<'_>, written: &[Column], columns: &[ProtectedColumn]) {
    let mut first: HashMap<&str, &ProtectedColumn> = HashMap::new();
    for column in columns {
        let Some(index) = &column.index else { continue };
        let earlier = *first.entry(&index.domain).or_insert(column);
        let differs = earlier.keyset != column.keyset || earlier.index.as_ref() != Some(index);
        let place = written.iter().find(|of| column_ref(of.name.get_ref()).as_ref() == Some(&column.column));
        if let (true, Some(place)) = (differs, place) {
            let other = &earlier.column;
            text.wrong(
                &place.name.span(),
                format!("index domain `{}` is that of `{other}`: both need the same keyset and index", index.domain),
            );
        }
    }
}

/// `database.table.column`, each part bare or in backticks (a backtick inside is doubled).
pub fn column_ref(written: &str) -> Option<ColumnRef> {
    let mut parts: Vec<String> = vec![];
    let mut rest = written;
    loop {
        let (part, tail) = if let Some(quoted) = rest.strip_prefix('`') {
            quoted_part(quoted)?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (part, tail) = rest.split_at_checked(end)?;
            (part.to_owned(), tail)
        };
        if part.is_empty() || part.chars().count() > 64 || part.contains('\0') {
            return None;
        }
        parts.push(part);
        match tail.strip_prefix('.') {
            Some(more) => rest = more,
            None if tail.is_empty() => break,
            None => return None,
        }
    }
    let [database, table, column] = <[String; 3]>::try_from(parts).ok()?;
    Some(ColumnRef::new(database, table, column))
}

/// The part up to its closing backtick, and what follows.
fn quoted_part(quoted: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('`')?;
        part.push_str(before);
        match after.strip_prefix('`') {
            Some(more) => {
                part.push('`');
                rest = more;
            }
            None => return Some((part, after)),
        }
    }
}

/// A string that is bound into keys and envelopes; `default` if none is written.
fn bound_name(text: &mut Text<'_>, written: Option<&Spanned<String>>, what: &str, default: &str) -> Arc<str> {
    let Some(written) = written else { return default.into() };
    let name = written.get_ref();
    if name.is_empty() || name.len() > CONTEXT_OCTETS_MAX {
        text.wrong(&written.span(), format!("{what}: 1 to {CONTEXT_OCTETS_MAX} bytes"));
    }
    name.as_str().into()
}

fn logical(text: &mut Text<'_>, written: &Spanned<String>) -> LogicalType {
    let lower = written.get_ref().to_ascii_lowercase();
    match lower.as_str() {
        "tinytext" => return LogicalType::Text(TextSize::Tiny),
        "text" => return LogicalType::Text(TextSize::Text),
        "mediumtext" => return LogicalType::Text(TextSize::Medium),
        "longtext" => return LogicalType::Text(TextSize::Long),
        _ => {}
    }
    let length = lower.strip_prefix("varchar(").and_then(|rest| rest.strip_suffix(')'));
    match length.and_then(|digits| digits.trim().parse().ok()) {
        Some(chars_max) if (1..=VARCHAR_CHARS_MAX).contains(&chars_max) => return LogicalType::Varchar { chars_max },
        Some(_) => {
            text.wrong(&written.span(), format!("varchar has 1 to {VARCHAR_CHARS_MAX} characters in utf8mb4"));
        }
        None => text.wrong(
            &written.span(),
            format!("type `{}`: use varchar(n), tinytext, text, mediumtext or longtext", written.get_ref()),
        ),
    }
    LogicalType::Text(TextSize::Tiny)
}

fn collation(text: &mut Text<'_>, written: Option<&Spanned<String>>) -> Option<Arc<str>> {
    let written = written?;
    if !written.get_ref().to_ascii_lowercase().starts_with("utf8mb4_") {
        text.wrong(
            &written.span(),
            format!("collation `{}`: sealed values are UTF-8, only utf8mb4 collations can be shown", written.get_ref()),
        );
    }
    Some(written.get_ref().as_str().into())
}

fn padding(text: &mut Text<'_>, written: Option<&Spanned<u8>>) -> Padding {
    match written.map(|block| (*block.get_ref(), block.span())) {
        None => Padding::Block(PADDING),
        Some((0, _)) => Padding::None,
        Some((block @ (16 | 32 | 64), _)) => Padding::Block(block),
        Some((_, at)) => {
            text.wrong(&at, "padding is 0 (none, lengths show), 16, 32 or 64");
            Padding::Block(PADDING)
        }
    }
}

fn index_spec(text: &mut Text<'_>, written: &Index, context: &Arc<str>) -> IndexSpec {
    let normaliser = match written.normaliser.get_ref() {
        WrittenNormaliser::Raw => Normaliser::Raw,
        WrittenNormaliser::Text => Normaliser::Text,
        WrittenNormaliser::Email => Normaliser::Email,
        WrittenNormaliser::E164 => Normaliser::E164 { region: region(text, written) },
    };
    if let (false, Some(region)) = (matches!(normaliser, Normaliser::E164 { .. }), &written.region) {
        text.wrong(&region.span(), "region belongs to normaliser `e164` only");
    }
    let length = written.length.as_ref().map_or(INDEX_LENGTH, |length| *length.get_ref());
    if let Some(at) = written.length.as_ref().filter(|_| !INDEX_LENGTHS.contains(&length)) {
        text.wrong(&at.span(), "an index has 2 to 16 bytes");
    }
    IndexSpec { domain: bound_name(text, written.domain.as_ref(), "domain", context), length, normaliser }
}

fn region(text: &mut Text<'_>, index: &Index) -> Arc<str> {
    let Some(region) = &index.region else {
        text.wrong(&index.normaliser.span(), "normaliser `e164` needs a region such as \"JP\" for national notations");
        return "".into();
    };
    if region.get_ref().parse::<phonenumber::country::Id>().is_err() {
        text.wrong(
            &region.span(),
            format!("region `{}` is no ISO 3166 code in capitals, such as \"JP\"", region.get_ref()),
        );
    }
    region.get_ref().as_str().into()
}

/// The roles, and what those may search for that do not see the values.
fn roles(
    text: &mut Text<'_>,
    written: &BTreeMap<String, Spanned<WrittenRole>>,
    protected: &Protected<'_>,
) -> (Vec<Role>, HashMap<RoleId, SearchGrant>) {
    let mut roles = Vec::with_capacity(written.len() + 1);
    let mut searches = HashMap::new();
    for (id, (name, role)) in (0_u16..).map(RoleId).zip(written) {
        if name == UNLISTED {
            text.wrong(&role.span(), "role name `unlisted` is taken: it is what accounts without an entry have");
        }
        let WrittenRole { access, keysets, columns, search } = role.get_ref();
        let lines = Lines { name, at: role.span(), access: (*access).into(), keysets, columns };
        let columns = access::rights(text, &lines, protected);
        let role = Role { name: name.as_str().into(), default_access: lines.access, columns };
        searches.extend(search.as_ref().map(|search| (id, search.checked(text, &role, protected))));
        roles.push(role);
    }
    if written.len() >= usize::from(u16::MAX) {
        text.wrong(&Range { start: 0, end: 0 }, "too many roles");
    }
    (roles, searches)
}
