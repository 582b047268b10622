//! A policy, a key ring and lexed statements for the tests of this module.

use std::collections::{HashMap, HashSet};

use super::{Context, ResultColumn, RewriteError};
use crate::crypto::{KeyId, KeyPurpose, KeySecret, Stage};
use crate::keys::{KeyRecord, KeyRing, KeyState, RingBuilder, Stages};
use crate::plan::{CellAction, Effect, QueryPlan, Splice};
use crate::policy::{
    Access, ColumnId, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn,
    Role, RoleId, TextSize,
};
use crate::schema::{Catalog, Charset, Column, ColumnRef, ServerKind, ServerVersion, Table, TableKind, TableRef};
use crate::sql::tree::TokenRange;
use crate::sql::{self, Dialect, SqlMode, Token};

/// `shop.customers.phone`: VARCHAR(20), searched by its bytes.
pub(super) const PHONE: ColumnId = ColumnId(0);
/// `shop.customers.notes`: TEXT, not searched.
pub(super) const NOTES: ColumnId = ColumnId(1);
/// `shop.customers.größe`: VARCHAR(20) with a binary collation and a name that is not ASCII.
pub(super) const UMLAUT: ColumnId = ColumnId(2);

pub(super) struct Fixture {
    pub(super) policy: Policy,
    pub(super) ring: KeyRing,
    pub(super) catalog: Catalog,
}

impl Fixture {
    /// With one live index key.
    pub(super) fn new() -> Self {
        Self::with_index_versions(1)
    }

    pub(super) fn with_index_versions(versions: u16) -> Self {
        Self::with(versions, Stage::Sealed)
    }

    /// With the columns at that stage.
    pub(super) fn with(versions: u16, stage: Stage) -> Self {
        let columns = vec![
            column("phone", LogicalType::Varchar { chars_max: 20 }, true, None),
            column("notes", LogicalType::Text(TextSize::Text), false, None),
            column("größe", LogicalType::Varchar { chars_max: 20 }, false, Some("utf8mb4_bin")),
        ];
        let role = Role { name: "all".into(), default_access: Access::Plain, columns: HashMap::new() };
        let policy = Policy::new(1, columns, vec![role], vec![], RoleId(0), FirewallMode::Block);
        let ring = ring(&policy, versions, 1, stage);
        Self { policy, ring, catalog: catalog("varbinary", "mediumblob") }
    }

    /// Before the server was told that the columns are bytes.
    pub(super) fn stored_as_text(mut self) -> Self {
        self.catalog = catalog("varchar", "text");
        self
    }

    /// Under another active index key: what is sealed by the one is read by the other.
    pub(super) fn with_active_index(mut self, versions: u16, active: u16, stage: Stage) -> Self {
        self.ring = ring(&self.policy, versions, active, stage);
        self
    }

    /// utf8mb4 in both directions.
    pub(super) fn cx(&self) -> Context<'_> {
        Context {
            policy: &self.policy,
            ring: &self.ring,
            catalog: &self.catalog,
            dialect: dialect(),
            results_charset: Some(Charset::Utf8mb4),
            results_collation_id: 255,
        }
    }

    pub(super) fn grant(&self, id: ColumnId) -> DecryptGrant {
        self.policy.access(RoleId(0), id).1.unwrap()
    }

    pub(super) fn open(&self, id: ColumnId) -> CellAction {
        CellAction::Open(self.grant(id))
    }

    pub(super) fn name(&self, id: ColumnId) -> ColumnRef {
        self.policy.column(id).unwrap().column.clone()
    }

    pub(super) fn seal(&self, id: ColumnId, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.ring.column(id).unwrap().seal(&value.to_vec().into(), &mut out).unwrap();
        out
    }

    pub(super) fn opened(&self, id: ColumnId, stored: &[u8]) -> Vec<u8> {
        let mut plain = crate::crypto::Plaintext::new();
        self.ring.column(id).unwrap().open(&self.grant(id), stored, &mut plain).unwrap();
        plain.expose().to_vec()
    }

    pub(super) fn opens(&self, id: ColumnId, stored: &[u8]) -> bool {
        self.ring.column(id).unwrap().open(&self.grant(id), stored, &mut crate::crypto::Plaintext::new()).is_ok()
    }

    /// The ranges that a lookup of the value asks for.
    pub(super) fn ranges(&self, id: ColumnId, value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let ranges = self.ring.column(id).unwrap().search(&value.to_vec().into()).unwrap();
        ranges.into_iter().map(|range| (range.low, range.high.unwrap())).collect()
    }
}

pub(super) fn dialect() -> Dialect {
    Dialect {
        mode: SqlMode::STRICT,
        charset: Charset::Utf8mb4,
        server: ServerVersion { kind: ServerKind::MySql, number: 90_704 },
    }
}

fn column(name: &str, logical: LogicalType, searched: bool, collation: Option<&str>) -> ProtectedColumn {
    let column = ColumnRef::new("shop", "customers", name);
    let index = searched.then(|| IndexSpec { domain: name.into(), length: 16, normaliser: Normaliser::Raw });
    ProtectedColumn {
        context: column.to_string().into(),
        column,
        keyset: "contact".into(),
        logical,
        collation: collation.map(Into::into),
        index,
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    }
}

/// A table as policy knows it.
pub(super) fn catalog(varchar: &str, text: &str) -> Catalog {
    let column = |name: &str, data_type: &str| Column {
        name: name.into(),
        data_type: data_type.into(),
        column_type: data_type.into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: true,
        extra: "".into(),
    };
    let table = Table {
        name: TableRef::new("shop", "customers"),
        kind: TableKind::Base,
        columns: vec![column("id", "int"), column("phone", varchar), column("notes", text), column("größe", varchar)],
        definition: Some("".into()),
    };
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let reserved = ["SELECT", "FROM", "WHERE", "INSERT", "INTO", "VALUES", "UPDATE", "SET", "AND", "OR", "NOT", "IN"];
    let reserved: HashSet<Box<str>> = reserved.into_iter().map(Into::into).collect();
    Catalog::new(1, server, 0, reserved, vec![table], vec![])
}

/// Columns of a result as a server announces those that hold bytes.
pub(super) fn announced(types: &[u8]) -> Vec<ResultColumn> {
    types.iter().map(|column_type| ResultColumn { column_type: *column_type, collation_id: 63 }).collect()
}

fn ring(policy: &Policy, index_versions: u16, active: u16, stage: Stage) -> KeyRing {
    let stages: Stages = policy.columns().iter().map(|column| (column.context.clone(), stage)).collect();
    let mut builder = RingBuilder::new().with_stages(stages);
    builder.add(record(7, KeyPurpose::Data, 1, KeyState::Active), Some(secret(7))).unwrap();
    for version in 1..=index_versions {
        let state = if version == active { KeyState::Active } else { KeyState::DecryptOnly };
        let kid = 100 + u32::from(version);
        builder.add(record(kid, KeyPurpose::Index, version, state), Some(secret(kid))).unwrap();
    }
    builder.build(policy, 1).unwrap()
}

fn secret(kid: u32) -> KeySecret {
    KeySecret::take_from(&mut [kid.to_le_bytes()[0]; 32]).unwrap()
}

fn record(kid: u32, purpose: KeyPurpose, version: u16, state: KeyState) -> KeyRecord {
    let id = KeyId::new(kid).unwrap();
    KeyRecord {
        kid: id,
        keyset: "contact".into(),
        purpose,
        version: version.try_into().unwrap(),
        state,
        kcv: Some(secret(kid).kcv(id, purpose)),
        wraps: vec![],
    }
}

/// A statement with its tokens.
pub(super) struct Lexed<'a> {
    pub(super) sql: &'a [u8],
    pub(super) tokens: Vec<Token>,
}

impl<'a> Lexed<'a> {
    pub(super) fn new(sql: &'a [u8], dialect: &Dialect) -> Self {
        let mut tokens = Vec::new();
        sql::lex(sql, dialect, &mut tokens).unwrap();
        Self { sql, tokens }
    }

    /// The tokens of a piece of the statement, at its last occurrence.
    pub(super) fn find(&self, piece: &str) -> TokenRange {
        let start = memchr::memmem::rfind(self.sql, piece.as_bytes()).unwrap();
        let end = start.checked_add(piece.len()).unwrap();
        let first = self.tokens.iter().position(|token| token.start as usize == start).unwrap();
        let last = self.tokens.iter().position(|token| token.end as usize == end).unwrap();
        TokenRange { first: first.try_into().unwrap(), last: last.try_into().unwrap() }
    }

    pub(super) fn splice(&self, splices: &[Splice], cx: &Context<'_>) -> Result<Option<Vec<u8>>, RewriteError> {
        let source = super::statement::Source { sql: self.sql, tokens: &self.tokens, qualified: &[] };
        let mut out = b"kept".to_vec();
        let result = super::statement::splice(source, &plan(splices.to_vec(), 0), cx, &mut out);
        assert_eq!(out.get(..4).unwrap(), b"kept");
        let written = out.get(4..).unwrap().to_vec();
        match result? {
            super::Rewritten::Unchanged => {
                assert!(written.is_empty());
                Ok(None)
            }
            super::Rewritten::Replaced => Ok(Some(written)),
        }
    }
}

pub(super) fn plan(splices: Vec<Splice>, params: u16) -> QueryPlan {
    QueryPlan { splices, ..QueryPlan::relay(Effect::None, params) }
}
