//! Any bytes in a cell: opening never panics, and never leaves bytes behind that were not authenticated.
#![no_main]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use candado::crypto::{
    ColumnKeys, DataKey, DataMaterial, Envelope, IndexKey, IndexMaterial, IndexVersion, KeyId, KeySecret, Plaintext,
};
use candado::policy::{
    Access, ColumnId, DecryptGrant, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn,
    Role, RoleId,
};
use candado::schema::ColumnRef;
use libfuzzer_sys::fuzz_target;

static COLUMN: LazyLock<(ColumnKeys, DecryptGrant)> = LazyLock::new(|| {
    let column = ProtectedColumn {
        column: ColumnRef::new("shop", "users", "name"),
        keyset: Arc::from("contact"),
        context: Arc::from("shop.users.name"),
        logical: LogicalType::Varchar { chars_max: 255 },
        collation: None,
        index: Some(IndexSpec { domain: Arc::from("name"), length: 16, normaliser: Normaliser::Text }),
        padding: Padding::Block(16),
    };
    let secret = |byte| KeySecret::take_from(&mut [byte; 32]).unwrap();
    let (data, index) = (DataKey::new(secret(1)), IndexKey::new(secret(2)));
    let data = DataMaterial { active: (KeyId::new(7).unwrap(), &data), readable: vec![], barred: vec![] };
    let index = IndexMaterial { active: (IndexVersion::new(1).unwrap(), &index), readable: vec![] };
    let keys = ColumnKeys::new(ColumnId(0), &column, &data, Some(&index)).unwrap();
    let role = Role { name: Arc::from("plain"), default_access: Access::Plain, columns: HashMap::new() };
    let policy = Policy::new(1, vec![column], vec![role], vec![], RoleId(0), FirewallMode::Block);
    (keys, policy.access(RoleId(0), ColumnId(0)).1.unwrap())
});

fuzz_target!(|bytes: &[u8]| {
    let (keys, grant) = &*COLUMN;
    let mut plain = Plaintext::new();
    let opened = keys.open(grant, bytes, &mut plain);
    assert!(opened.is_err() && plain.is_empty(), "nobody forges an envelope");
    assert!(Envelope::parse(bytes).is_err() || bytes.len() >= 52);

    // The same bytes as a value: sealed, opened again, and changed in one place.
    let value = Plaintext::from(bytes.to_vec());
    let mut sealed = Vec::new();
    if keys.seal(&value, &mut sealed).is_ok() {
        keys.open(grant, &sealed, &mut plain).unwrap();
        assert_eq!(plain.expose(), bytes);
        let place = bytes.len() % sealed.len();
        sealed[place] ^= 1;
        assert!(keys.open(grant, &sealed, &mut plain).is_err());
    }
});
