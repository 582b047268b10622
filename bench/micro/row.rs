//! Rows of a result set: 1,000 rows of 20 columns, of which 0, 1, 3 or 5 are opened, or 3 are masked.
//!
//! The difference between an arm and the one without protected columns is what opening costs over the relay.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::num::NonZeroU16;
use std::sync::Arc;

use candado::crypto::{KeyId, KeyPurpose, KeySecret, Plaintext};
use candado::keys::{KeyRecord, KeyRing, KeyState, RingBuilder};
use candado::plan::CellAction;
use candado::policy::{
    Access, ColumnId, FirewallMode, LogicalType, Mask, Padding, Policy, ProtectedColumn, Role, RoleId,
};
use candado::rewrite::{Context, ResultColumn, RowPlan};
use candado::schema::{Catalog, Charset, ColumnRef, ServerKind, ServerVersion};
use candado::sql::{Dialect, SqlMode};
use candado::wire::column::ColumnAttributes;
use candado::wire::lenenc;
use criterion::{BenchmarkId, Criterion, Throughput};

const ROWS: usize = 1_000;
const COLUMNS: usize = 20;
const PROTECTED_MAX: u32 = 5;
/// VARBINARY, for every column.
const COLUMN: ColumnAttributes =
    ColumnAttributes { collation_id: 63, length: 400, column_type: 253, flags: 0x80, decimals: 0 };
/// A telephone number, an address and an e-mail address, by turns.
const VALUES: [&str; 3] =
    ["+81901234567", "1-2-3 Marunouchi, Chiyoda-ku, Tokyo 100-0005, Japan, 4F", "somebody@mail.example.com"];

/// Adds the group.
pub(crate) fn bench(criterion: &mut Criterion) {
    let policy = policy();
    let ring = ring(&policy);
    let server = ServerVersion { kind: ServerKind::MySql, number: 90_704 };
    let catalog = Catalog::new(1, server, 0, HashSet::new(), vec![], vec![]);
    let cx = Context {
        policy: &policy,
        ring: &ring,
        catalog: &catalog,
        dialect: Dialect { mode: SqlMode::STRICT, charset: Charset::Utf8mb4, server },
        results_charset: Some(Charset::Utf8mb4),
        results_collation_id: 255,
    };
    let mut group = criterion.benchmark_group("row");
    group.throughput(Throughput::Elements(ROWS as u64));
    for protected in [0, 1, 3, PROTECTED_MAX] {
        let actions = actions(&policy, protected);
        for (name, rows) in [("text", text_rows(&ring, protected)), ("binary", binary_rows(&ring, protected))] {
            let mut plan = RowPlan::new(&actions, &[ResultColumn::new(&COLUMN); COLUMNS]).expect("a plan that fits");
            let mut out = Vec::with_capacity(1 << 20);
            group.bench_function(BenchmarkId::new(name, protected), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    for row in &rows {
                        match (&mut plan, name) {
                            (None, _) => out.extend_from_slice(row),
                            (Some(plan), "text") => plan.text_row(row, &cx, &mut out).expect("a sealed row"),
                            (Some(plan), _) => plan.binary_row(row, &cx, &mut out).expect("a sealed row"),
                        }
                    }
                    black_box(&out);
                });
            });
        }
    }
    for mask in [Mask::Phone { shown: 2, region: None }, Mask::Email { shown: 1 }, Mask::Last(4), Mask::Null] {
        let name = mask.name();
        let actions = masked(&actions(&policy, 3), &mask.into());
        let rows = text_rows(&ring, 3);
        let columns = [ResultColumn::new(&COLUMN); COLUMNS];
        let mut plan = RowPlan::new(&actions, &columns).expect("a plan that fits").expect("masked columns");
        let mut out = Vec::with_capacity(1 << 20);
        group.bench_function(BenchmarkId::new("masked", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                for row in &rows {
                    plan.text_row(row, &cx, &mut out).expect("a sealed row");
                }
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// The same, with a mask of each value that was to be opened.
fn masked(actions: &[CellAction], mask: &Arc<Mask>) -> Vec<CellAction> {
    let masked = |action: &CellAction| match action {
        CellAction::Open(grant) => CellAction::Mask(grant.clone(), mask.clone()),
        CellAction::Relay | CellAction::Mask(..) | CellAction::Ciphertext(_) => action.clone(),
    };
    actions.iter().map(masked).collect()
}

fn policy() -> Policy {
    let columns = (0..PROTECTED_MAX)
        .map(|column| {
            let column = ColumnRef::new("shop", "customers", format!("secret{column}"));
            ProtectedColumn {
                context: column.to_string().into(),
                column,
                keyset: "contact".into(),
                logical: LogicalType::Varchar { chars_max: 255 },
                collation: None,
                index: None,
                padding: Padding::Block(16),
                subject: None,
                bind: None,
            }
        })
        .collect();
    let role = Role { name: "all".into(), default_access: Access::Plain, columns: HashMap::new() };
    Policy::new(1, columns, vec![role], vec![], RoleId(0), FirewallMode::Block)
}

fn ring(policy: &Policy) -> KeyRing {
    let secret = || KeySecret::take_from(&mut [7; 32]).expect("32 bytes");
    let kid = KeyId::new(7).expect("not zero");
    let record = KeyRecord {
        kid,
        keyset: "contact".into(),
        purpose: KeyPurpose::Data,
        version: NonZeroU16::MIN,
        state: KeyState::Active,
        kcv: Some(secret().kcv(kid, KeyPurpose::Data)),
        wraps: vec![],
    };
    let mut builder = RingBuilder::new();
    builder.add(record, Some(secret())).expect("a key with its check value");
    builder.build(policy, 1).expect("a key for each column")
}

/// Protected columns lie spread over the row.
fn protected_at(column: usize, protected: u32) -> Option<ColumnId> {
    let position = u32::try_from(column).ok()? / 4;
    (column % 4 == 2 && position < protected).then_some(ColumnId(position))
}

fn actions(policy: &Policy, protected: u32) -> Vec<CellAction> {
    (0..COLUMNS)
        .map(|column| match protected_at(column, protected) {
            Some(id) => CellAction::Open(policy.access(RoleId(0), id).1.expect("the role reads everything")),
            None => CellAction::Relay,
        })
        .collect()
}

fn cells(ring: &KeyRing, row: usize, protected: u32) -> Vec<Vec<u8>> {
    (0..COLUMNS)
        .map(|column| match protected_at(column, protected) {
            Some(id) => {
                let value = VALUES[(row + column) % VALUES.len()];
                let mut sealed = Vec::new();
                let keys = ring.column(id).expect("a key for each column");
                keys.seal(&Plaintext::from(value.as_bytes().to_vec()), &mut sealed).expect("a sealed value");
                sealed
            }
            None => format!("{:>9}", row * column).into_bytes(),
        })
        .collect()
}

fn text_rows(ring: &KeyRing, protected: u32) -> Vec<Vec<u8>> {
    let row = |row| {
        let mut out = Vec::new();
        cells(ring, row, protected).iter().for_each(|cell| lenenc::put_string(cell, &mut out));
        out
    };
    (0..ROWS).map(row).collect()
}

fn binary_rows(ring: &KeyRing, protected: u32) -> Vec<Vec<u8>> {
    let bitmap = [0; (COLUMNS + 2).div_ceil(8)];
    let row = |row| {
        let mut out = [&[0][..], &bitmap].concat();
        cells(ring, row, protected).iter().for_each(|cell| lenenc::put_string(cell, &mut out));
        out
    };
    (0..ROWS).map(row).collect()
}
