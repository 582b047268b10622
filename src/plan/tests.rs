//! A small shop to plan statements for, and a readable form of plans.

mod accounts;
mod cache;
mod calls;
mod carriers;
mod made;
mod modes;
mod plans;
mod property;
mod searches;
mod shown;
mod unread;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::firewall::profile::AccountProfile;
use crate::policy::{
    Access, Account, Basis, ColumnId, ColumnRules, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy,
    ProtectedColumn, Right, Role, RoleId, SortRule,
};
use crate::schema::{
    Catalog, Charset, Column, ColumnRef, Routine, ServerKind, ServerVersion, SortOrder, Table, TableKind, TableRef,
};
use crate::sql::tree::TokenRange;
use crate::sql::{Dialect, SqlMode, Token, TokenKind};
use calls::routines;

const PLAIN: RoleId = RoleId(0);
const ENGINEER: RoleId = RoleId(1);
const MASKED: RoleId = RoleId(2);
const CIPHERTEXT: RoleId = RoleId(3);
/// Sees all but telephone numbers.
const DESK: RoleId = RoleId(4);

/// Everything around a statement; fields are changed by the tests that care.
struct Shop {
    catalog: Catalog,
    policy: Policy,
    cache: PlanCache,
    dialect: Dialect,
    database: Option<&'static str>,
    role: RoleId,
    lookup: Lookup,
    firewall: FirewallMode,
    profile: Option<AccountProfile>,
    account: Account,
}

impl Shop {
    fn open() -> Self {
        let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
        Self {
            catalog: catalog(server, 0),
            policy: policy(1),
            cache: PlanCache::new(1000, 1 << 20),
            dialect: Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server },
            database: Some("shop"),
            role: PLAIN,
            lookup: Lookup::Again,
            firewall: FirewallMode::Block,
            profile: None,
            account: Account { user: "app".into(), host: "%".into() },
        }
    }

    fn inspect<T>(&self, sql: &[u8], then: impl FnOnce(Result<Admitted<'_>, Refusal>) -> T) -> T {
        let mut scratch = Scratch::default();
        then(inspect(
            sql,
            Inspection {
                lookup: self.lookup,
                dialect: self.dialect,
                default_database: self.database,
                catalog: &self.catalog,
                policy: &self.policy,
                role: self.role,
                account: &self.account,
                firewall: self.firewall,
                profile: self.profile.as_ref(),
                cache: &self.cache,
                scratch: &mut scratch,
            },
        ))
    }

    fn refusal(&self, sql: &str) -> Option<Refusal> {
        self.inspect(sql.as_bytes(), |result| result.err())
    }

    fn dump(&self, sql: &str) -> String {
        self.inspect(sql.as_bytes(), |result| match result {
            Ok(admitted) => {
                assert_well_formed(&admitted);
                dump(&admitted, &self.policy)
            }
            Err(Refusal::Firewall { rule }) => format!("refused by rule {rule}\n"),
            Err(refusal) => format!("refused: {refusal}\n"),
        })
    }
}

fn tag_text<'a>(generated: impl IntoIterator<Item = &'a TagColumn>) -> String {
    let tags = generated.into_iter().map(|tag| format!("{}.{}", tag.column.table, tag.column.column));
    let tags = tags.collect::<Vec<_>>().join(" and ");
    if tags.is_empty() { tags } else { format!(" by {tags}") }
}

fn set_text(part: &SetPart, operator: &str, operands: &str) -> String {
    format!("{:?} rows of «{operands}» in the place of «{operator}»\n", part.rows)
}

fn dump(admitted: &Admitted<'_>, policy: &Policy) -> String {
    let plan = admitted.plan();
    let name = |id| policy.column(id).unwrap().column.column.clone();
    let text = |range: TokenRange| range_text(admitted, range);
    let value = |value: &Value| value_text(admitted, value);
    let mut out = String::new();
    for splice in &plan.splices {
        if let SpliceKind::Rows { comparison, rows } = &splice.kind {
            writeln!(out, "rows {comparison:?} in «{}»", text(splice.tokens)).unwrap();
            for (number, pair) in (1..).zip(rows).flat_map(|(number, row)| row.iter().map(move |pair| (number, pair))) {
                if pair.protected.is_none() {
                    writeln!(out, "{number}: {} with {}", text(pair.column_tokens), text(pair.other_tokens)).unwrap();
                }
            }
        }
        for splice in splice.parts() {
            let column = name(splice.column);
            match &splice.kind {
                SpliceKind::Rows { .. } => unreachable!("rows have parts"),
                SpliceKind::Constant(shown) => writeln!(out, "constant {column}: {}", value(shown)).unwrap(),
                SpliceKind::Tag { of, like } => {
                    let (whole, named) = (text(splice.tokens), text(of.tokens));
                    let by = tag_text(of.generated.as_deref());
                    writeln!(out, "tag {column} like {}: {named} in «{whole}»{by}", name(*like)).unwrap();
                }
                SpliceKind::AnyOf { of, among, name } => {
                    let shown = name.map(|at| text(one(at))).unwrap_or_default();
                    let (whole, named) = (text(splice.tokens), text(of.tokens));
                    let by = tag_text(of.generated.as_deref());
                    writeln!(out, "any {column} of {among:?}: {named} in «{whole}» {shown}{by}").unwrap();
                }
                SpliceKind::Set(part) => out.push_str(&set_text(part, &text(splice.tokens), &text(part.operands))),
                SpliceKind::Joined(joined) => writeln!(out, "{}", joined_text(&text(splice.tokens), joined)).unwrap(),
                SpliceKind::Operand => writeln!(out, "without {column}: «{}»", text(splice.tokens)).unwrap(),
                SpliceKind::NullIf { column_tokens, value: compared } => {
                    writeln!(out, "null {column}: if {} = {}", text(*column_tokens), value(compared)).unwrap();
                }
                SpliceKind::Kept(kept) => out.push_str(&kept_text(kept)),
                SpliceKind::Sorted(pieces) => {
                    let pieces = pieces_text(admitted, pieces);
                    writeln!(out, "for the sort: «{}» becomes «{pieces}»", text(splice.tokens)).unwrap();
                }
                SpliceKind::Seal(sealed) => writeln!(out, "seal {column}: {}", value(sealed)).unwrap(),
                SpliceKind::Search { column_tokens, comparison, values } => {
                    let values: Vec<_> = values.iter().map(value).collect();
                    let (whole, named) = (text(splice.tokens), text(*column_tokens));
                    writeln!(out, "search {column}: {named} {comparison:?} {} in «{whole}»", values.join(" | "))
                        .unwrap();
                }
                SpliceKind::Match { left, right, other, comparison } => {
                    let (whole, one, two) = (text(splice.tokens), text(left.tokens), text(right.tokens));
                    let by = tag_text(left.generated.iter().chain(&right.generated).map(|tag| &**tag));
                    writeln!(out, "match {column} and {}: {one} {comparison:?} {two} in «{whole}»{by}", name(*other))
                        .unwrap();
                }
            }
        }
    }
    out.push_str(&outputs_text(&plan.outputs, policy));
    out.push_str(&plan.sort.as_ref().map(sort_text).unwrap_or_default());
    out.extend(plan.bound.iter().map(|bound| bound_text(bound, &text(one(bound.before)))));
    out.extend(plan.qualified.iter().map(|name| format!("{} is {}'s\n", text(one(name.token)), name.table)));
    out.extend(plan.names.iter().map(|name| format!("column {} is named «{}»\n", name.output, text(name.tokens))));
    if plan.effect == Effect::Catalog {
        out.push_str("catalog changes\n");
    }
    if out.is_empty() {
        out.push_str("relay\n");
    }
    out
}

fn one(token: u32) -> TokenRange {
    TokenRange { first: token, last: token }
}

fn bound_text(bound: &Bound, before: &str) -> String {
    let ties: Vec<_> = bound.ties.iter().map(|tie| format!("{}.{}", tie.table, tie.column)).collect();
    format!("bound {:?} to {} before «{before}»\n", bound.cells, ties.join(", "))
}

fn joined_text(replaced: &str, joined: &Joined) -> String {
    let column = |column: &TableColumn| format!("{}.{}", column.table, column.column);
    let pair = |pair: &CommonPair| {
        let tag = if pair.protected.is_some() { "tags of " } else { "" };
        let by = tag_text(pair.tags.iter().flatten());
        format!("{tag}{} = {}{by}", column(&pair.left), column(&pair.right))
    };
    let pairs = joined.pairs().iter().map(pair).collect::<Vec<_>>().join(", ");
    match joined {
        Joined::Natural => format!("without «{replaced}»"),
        Joined::Using(_) => format!("on {pairs} instead of «{replaced}»"),
        Joined::Behind(_) => format!("on {pairs} behind «{replaced}»"),
        Joined::Star(columns) => {
            format!("star «{replaced}»: {}", columns.iter().map(column).collect::<Vec<_>>().join(", "))
        }
    }
}

fn outputs_text(outputs: &Outputs, policy: &Policy) -> String {
    let name = |id: ColumnId| policy.column(id).unwrap().column.column.to_string();
    let cell = |cell: &CellAction| match cell {
        CellAction::Relay => "-".to_owned(),
        CellAction::Open(grant) => format!("open {}", name(grant.column())),
        CellAction::Mask(grant, mask) => format!("mask {} by {}", name(grant.column()), mask.name()),
        CellAction::Ciphertext(column) => format!("envelopes of {}", name(*column)),
    };
    let result = |cells: &[CellAction]| format!("result: {}\n", cells.iter().map(cell).collect::<Vec<_>>().join(", "));
    match outputs {
        Outputs::Relay => String::new(),
        Outputs::Messages => "messages\n".to_owned(),
        Outputs::Columns(cells) => result(cells),
        Outputs::Results(results) => results.iter().map(|cells| result(cells)).collect(),
    }
}

fn sort_text(sort: &Sort) -> String {
    let mut out = String::new();
    for SortKey { output, by, direction } in &sort.keys {
        writeln!(out, "sorted by {output} as {by:?}, {direction:?}").unwrap();
    }
    let (hidden, rows) = (sort.hidden, sort.rows_max);
    writeln!(out, "of {rows} rows: {:?} from {:?}, without {hidden}", sort.count, sort.offset).unwrap();
    out
}

fn pieces_text(admitted: &Admitted<'_>, pieces: &[Piece]) -> String {
    let pieces = pieces.iter().map(|piece| match piece {
        Piece::Words(words) => words.to_string(),
        Piece::Tokens(range) => range_text(admitted, *range),
    });
    pieces.collect::<Vec<_>>().join(" ")
}

fn kept_text(kept: &KeptText) -> String {
    format!("kept for EXECUTE with {} variables: {}\n", kept.params, std::str::from_utf8(&kept.sql).unwrap())
}

fn value_text(admitted: &Admitted<'_>, value: &Value) -> String {
    match value {
        Value::Literal(range) => range_text(admitted, *range),
        Value::Param(ordinal) => format!("?{ordinal}"),
        Value::Pattern(ordinal) => format!("pattern ?{ordinal}"),
        Value::Null => "NULL".to_owned(),
    }
}

fn range_text(admitted: &Admitted<'_>, range: TokenRange) -> String {
    let start = admitted.tokens()[range.first as usize].start as usize;
    let end = admitted.tokens()[range.last as usize].end as usize;
    String::from_utf8(admitted.sql()[start..end].to_vec()).unwrap()
}

/// What every plan promises to the code that carries it out.
fn assert_well_formed(admitted: &Admitted<'_>) {
    let plan = admitted.plan();
    for pair in plan.splices.windows(2) {
        assert!(pair[0].tokens.last < pair[1].tokens.first, "splices overlap: {pair:?}");
    }
    let kind = |index: u32| admitted.tokens()[index as usize].kind;
    let inside = |inner: TokenRange, outer: TokenRange| outer.first <= inner.first && inner.last <= outer.last;
    let check = |value: &Value, within: TokenRange| match value {
        Value::Literal(range) => {
            assert!(inside(*range, within));
            let literal = |token: &Token| {
                matches!(
                    token.kind,
                    TokenKind::String | TokenKind::NationalString | TokenKind::Introducer | TokenKind::Hex
                )
            };
            assert!(admitted.tokens()[range.first as usize..=range.last as usize].iter().all(literal));
        }
        Value::Param(ordinal) | Value::Pattern(ordinal) => assert!(*ordinal < plan.params),
        Value::Null => {}
    };
    let parts = plan.splices.iter().flat_map(|splice| splice.parts().into_iter().map(|part| (splice.tokens, part)));
    for (whole, splice) in parts {
        assert!(inside(splice.tokens, whole));
        match &splice.kind {
            SpliceKind::Rows { .. } => panic!("rows are made of comparisons"),
            SpliceKind::Operand
            | SpliceKind::Tag { .. }
            | SpliceKind::AnyOf { .. }
            | SpliceKind::Sorted(_)
            | SpliceKind::Joined(_)
            | SpliceKind::Kept(_) => {}
            SpliceKind::Set(part) => {
                assert!(inside(splice.tokens, part.operands));
                let ends = [part.operands.first, part.operands.last];
                let starts_at = |at: &u32| plan.splices.iter().any(|other| other.tokens.first == *at);
                assert!(!starts_at(&ends[0]), "nothing replaces the first word of a query");
            }
            SpliceKind::NullIf { value, .. } => check(value, splice.tokens),
            SpliceKind::Seal(value) | SpliceKind::Constant(value) => {
                check(value, splice.tokens);
                if let Value::Param(_) = value {
                    assert_eq!(kind(splice.tokens.first), TokenKind::Param);
                    assert_eq!(splice.tokens.first, splice.tokens.last);
                }
            }
            SpliceKind::Search { column_tokens, values, .. } => {
                let is_case = plan.splices.iter().any(|splice| splice.kind == SpliceKind::Operand);
                assert!(is_case || inside(*column_tokens, whole));
                assert!(matches!(
                    kind(column_tokens.last),
                    TokenKind::Word | TokenKind::Identifier | TokenKind::QuotedIdentifier
                ));
                assert!(!values.is_empty());
                values.iter().for_each(|value| check(value, splice.tokens));
            }
            SpliceKind::Match { left, right, .. } => {
                let is_case = plan.splices.iter().any(|splice| splice.kind == SpliceKind::Operand);
                assert!(is_case || inside(left.tokens, splice.tokens));
                assert!(inside(right.tokens, splice.tokens));
            }
        }
    }
}

fn column(name: &str, data_type: &str, extra: &str) -> Column {
    Column {
        name: name.into(),
        data_type: data_type.into(),
        column_type: data_type.into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: true,
        extra: extra.into(),
    }
}

fn table(database: &str, name: &str, columns: &[&str]) -> Table {
    let columns = columns
        .iter()
        .map(|name| match name.strip_prefix('-') {
            Some(invisible) => column(invisible, "varbinary(23)", "invisible"),
            None => column(name, "varbinary", ""),
        })
        .collect();
    Table { name: TableRef::new(database, name), kind: TableKind::Base, columns, definition: Some("".into()) }
}

fn view(name: &str, columns: &[&str], definition: Option<&str>) -> Table {
    Table { kind: TableKind::View, definition: definition.map(Arc::from), ..table("shop", name, columns) }
}

fn routine(name: &str, definition: Option<&str>) -> Routine {
    Routine { database: "shop".into(), name: name.into(), definition: definition.map(Arc::from) }
}

fn catalog(server: ServerVersion, lower_case_table_names: u8) -> Catalog {
    let tables = vec![
        table("shop", "customers", &["id", "name", "phone", "email", "note", "-secret"]),
        table("shop", "orders", &["id", "customer_id", "phone", "total"]),
        table("shop", "plain", &["id", "name", "total"]),
        table("other", "customers", &["id", "phone"]),
        view("vip", &["id", "phone"], Some("select `shop`.`customers`.`id` AS `id` from `shop`.`customers`")),
        view("vip_again", &["id"], Some("select `shop`.`vip`.`id` AS `id` from `shop`.`vip`")),
        view(
            "contact",
            &["id", "tel", "mail"],
            Some(
                "select `shop`.`customers`.`id` AS `id`,`shop`.`customers`.`phone` AS `tel`,`shop`.`customers`.`email` \
                 AS `mail` from `shop`.`customers` where (`shop`.`customers`.`id` > 1)",
            ),
        ),
        view(
            "contact_again",
            &["number", "total"],
            Some(
                "select `v`.`tel` AS `number`,`o`.`total` AS `total` from (`shop`.`contact` `v` join `shop`.`orders` `o` \
                 on((`o`.`customer_id` = `v`.`id`)))",
            ),
        ),
        view(
            "sorted",
            &["phone"],
            Some("select `c`.`phone` AS `phone` from `shop`.`customers` `c` order by `c`.`phone`"),
        ),
        view(
            "one",
            &["id"],
            Some("select `c`.`id` AS `id` from `shop`.`customers` `c` where (`c`.`phone` = _utf8mb4'x')"),
        ),
        view(
            "endless",
            &["phone"],
            Some("select `shop`.`endless`.`phone` AS `phone` from `shop`.`endless`,`shop`.`customers`"),
        ),
        view("cheap", &["id", "total"], Some("select `shop`.`orders`.`id` AS `id` from `shop`.`orders`")),
        view("dark", &["id"], None),
    ];
    let routines = vec![
        routine("call_them", Some("BEGIN SELECT phone FROM Customers; END")),
        routine("call_indirectly", Some("BEGIN CALL call_them(); END")),
        routine("count_orders", Some("BEGIN SELECT COUNT(*) FROM orders; END")),
        routine("dynamic", Some("BEGIN PREPARE s FROM @t; EXECUTE s; END")),
        routine("unreadable", None),
        routine("touch", Some("BEGIN INSERT INTO customers (phone) VALUES (p); END")),
        routine("keep", Some("INSERT INTO customers (phone) VALUES (p)")),
        routine("look", None),
        routine("rebuild", Some("BEGIN TRUNCATE orders; DROP TABLE old; END")),
    ];
    Catalog::new(7, server, lower_case_table_names, HashSet::new(), tables, routines)
}

fn policy(version: u64) -> Policy {
    policy_where(version, |_| {})
}

/// The same with other columns.
fn policy_where(version: u64, change: impl FnOnce(&mut [ProtectedColumn])) -> Policy {
    let protected = |name: &str, indexed: bool| ProtectedColumn {
        column: ColumnRef::new("shop", "customers", name),
        keyset: "main".into(),
        context: format!("shop.customers.{name}").into(),
        logical: LogicalType::Varchar { chars_max: 50 },
        collation: None,
        index: indexed.then(|| IndexSpec { domain: name.into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::None,
        subject: None,
        bind: None,
    };
    let mut columns = vec![protected("phone", true), protected("email", true), protected("note", false)];
    change(&mut columns);
    let role = |name: &str, default_access| Role { name: name.into(), default_access, columns: HashMap::new() };
    let roles = vec![
        role("plain", Access::Plain),
        role("engineer", Access::Deny),
        role("masked", Access::Masked),
        role("ciphertext", Access::Ciphertext),
        Role {
            name: "desk".into(),
            default_access: Access::Plain,
            columns: HashMap::from([(ColumnId(0), Right { access: Access::Masked, basis: Basis::Column, mask: None })]),
        },
    ];
    // By telephone numbers nobody sorts.
    let rule = |rows_max| SortRule { order: SortOrder::Padded, rows_max };
    let sorted = |rows_max| ColumnRules { sort: Some(rule(rows_max)), ..ColumnRules::default() };
    let rules = vec![ColumnRules::default(), sorted(500), sorted(200)];
    let policy = Policy::new(version, columns, roles, Vec::new(), ENGINEER, FirewallMode::Block);
    policy.with_rules(rules).with_routines(routines())
}
