//! Sealing, opening and indexing of one value.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use candado::crypto::{
    ColumnKeys, DataKey, DataMaterial, IndexKey, IndexKeys, IndexMaterial, IndexVersion, KeyId, KeySecret, Plaintext,
    normalise, warm_up,
};
use candado::policy::{
    Access, ColumnId, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn,
    Role, RoleId, TextSize,
};
use candado::schema::ColumnRef;
use criterion::{Criterion, Throughput};

/// The group.
pub(crate) fn bench(criterion: &mut Criterion) {
    seal_and_open(criterion);
    index(criterion);
}

fn column(normaliser: Option<Normaliser>) -> ProtectedColumn {
    ProtectedColumn {
        column: ColumnRef::new("shop", "users", "phone"),
        keyset: Arc::from("contact"),
        context: Arc::from("shop.users.phone"),
        logical: LogicalType::Text(TextSize::Text),
        collation: None,
        index: normaliser.map(|normaliser| IndexSpec { domain: Arc::from("phone"), length: 16, normaliser }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    }
}

fn keys(column: &ProtectedColumn) -> ColumnKeys {
    let secret = |byte| KeySecret::take_from(&mut [byte; 32]).expect("32 bytes");
    let (data, index) = (DataKey::new(secret(1)), IndexKey::new(secret(2)));
    let kid = KeyId::new(7).expect("not zero");
    let version = IndexVersion::new(1).expect("not zero");
    let data = DataMaterial { active: Some((kid, &data)), readable: vec![], barred: vec![] };
    let index = IndexMaterial { active: Some((version, &index)), readable: vec![], keys: IndexKeys::All };
    ColumnKeys::new(ColumnId(0), column, &data, Some(&index)).expect("a right policy")
}

fn grant(column: ProtectedColumn) -> DecryptGrant {
    let role = Role { name: Arc::from("plain"), default_access: Access::Plain, columns: HashMap::new() };
    let policy = Policy::new(1, vec![column], vec![role], vec![], RoleId(0), FirewallMode::Block);
    policy.access(RoleId(0), ColumnId(0)).1.expect("the role reads everything")
}

fn seal_and_open(criterion: &mut Criterion) {
    let column = column(None);
    let keys = keys(&column);
    let grant = grant(column);
    for (operation, octets) in [("12 B", 12), ("60 B", 60), ("4 KiB", 4096)] {
        let value = Plaintext::from(vec![b'a'; octets]);
        let (mut stored, mut opened) = (Vec::new(), Plaintext::new());
        let mut group = criterion.benchmark_group("envelope");
        group.throughput(Throughput::Bytes(octets as u64));
        group.bench_function(format!("seal {operation}"), |bencher| {
            bencher.iter(|| {
                stored.clear();
                keys.seal(black_box(&value), &mut stored)
            });
        });
        group.bench_function(format!("open {operation}"), |bencher| {
            bencher.iter(|| keys.open(&grant, black_box(&stored), &mut opened));
        });
        group.finish();
    }
}

fn index(criterion: &mut Criterion) {
    warm_up();
    let mut group = criterion.benchmark_group("index");
    let phone = Plaintext::from(b"+819012345678".to_vec());
    let raw = keys(&column(Some(Normaliser::Raw)));
    group.bench_function("search raw 13 B", |bencher| bencher.iter(|| raw.search(black_box(&phone))));
    let e164 = Normaliser::E164 { region: Arc::from("JP") };
    for (name, value) in [("national", "090-1234-5678"), ("international", "+819012345678")] {
        let (value, mut normal) = (Plaintext::from(value.as_bytes().to_vec()), Plaintext::new());
        group.bench_function(format!("e164 {name}"), |bencher| {
            bencher.iter(|| {
                normal.clear();
                normalise(&e164, black_box(&value), &mut normal)
            });
        });
    }
    group.finish();
}
