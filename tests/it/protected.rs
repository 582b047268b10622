//! Protected columns through the data plane, packet by packet: what is stored is sealed, what comes back is what was
//! written, in both protocols and both forms of results; and what is refused leaves the connection in step.

use std::collections::HashMap;
use std::sync::Arc;

use candado::crypto::{KeyId, KeyPurpose, KeySecret};
use candado::keys::{KeyRecord, KeyRing, KeyState, RingBuilder};
use candado::policy::{
    Access, AccountPattern, FirewallMode, IndexSpec, LogicalType, Normaliser, Padding, Policy, ProtectedColumn, Role,
    RoleId,
};
use candado::proxy::Snapshot;
use candado::schema::{Catalog, Column, ColumnRef, ServerKind, ServerVersion, Table, TableKind, TableRef};
use candado::wire::Capabilities;
use candado::wire::column::ColumnDefinition;

use crate::support::data_plane::{DataPlane, settings};
use crate::support::raw::{Packet, Raw, error_code};
use crate::support::server::{Kind, Server};

const FORMS: [Capabilities; 2] = [
    Capabilities::PLUGIN_AUTH_LENENC,
    Capabilities::PLUGIN_AUTH_LENENC.union(Capabilities::DEPRECATE_EOF).union(Capabilities::SESSION_TRACK),
];

/// A table with a sealed column and a plain one beside it, and a data plane that knows it.
struct Shop {
    server: &'static Server,
    database: String,
    proxy: DataPlane,
}

impl Shop {
    fn open(kind: Kind, access: Access) -> Self {
        let server = Server::start(kind);
        let database = server.database("protected");
        server.sql(&format!(
            "CREATE TABLE {database}.customers (id INT PRIMARY KEY, name VARCHAR(20), phone VARBINARY(200),
             KEY (phone(23)))"
        ));
        let proxy = DataPlane::start_with(settings(server), snapshot(kind, &database, policy(&database, access, 1)));
        Self { server, database, proxy }
    }

    fn client(&self, form: Capabilities) -> Raw {
        let mut raw = Raw::login(self.proxy.port, form);
        assert_eq!(error_code(&raw.query(&format!("USE {}", self.database))), 0);
        raw
    }

    fn stored(&self) -> String {
        self.server.sql(&format!("SELECT hex(phone) FROM {}.customers ORDER BY id", self.database))
    }
}

fn snapshot(kind: Kind, database: &str, policy: Policy) -> Snapshot {
    let ring = ring(&policy, 1, 8);
    Snapshot {
        profiles: Arc::default(),
        catalog: Arc::new(catalog(kind, database, 1)),
        ring: Some(Arc::new(ring)),
        policy: Arc::new(policy),
    }
}

fn policy(database: &str, access: Access, version: u64) -> Policy {
    let column = ColumnRef::new(database, "customers", "phone");
    let protected = ProtectedColumn {
        context: column.to_string().into(),
        column,
        keyset: "contact".into(),
        logical: LogicalType::Varchar { chars_max: 20 },
        collation: None,
        index: Some(IndexSpec { domain: "phone".into(), length: 16, normaliser: Normaliser::Raw }),
        padding: Padding::Block(16),
        subject: None,
        bind: None,
    };
    policy_of(vec![protected], access, version)
}

fn policy_of(columns: Vec<ProtectedColumn>, access: Access, version: u64) -> Policy {
    let role = Role { name: "role".into(), default_access: access, columns: HashMap::new() };
    let root = AccountPattern { user: "root".into(), host: None };
    let accounts = vec![(root, RoleId(0), FirewallMode::Block)];
    Policy::new(version, columns, vec![role], accounts, RoleId(0), FirewallMode::Block)
}

/// From version 2 on, the table has a column more.
fn catalog(kind: Kind, database: &str, version: u64) -> Catalog {
    let column = |name: &str, data_type: &str, octets_max| Column {
        name: name.into(),
        data_type: data_type.into(),
        column_type: data_type.into(),
        octets_max,
        charset: None,
        collation: None,
        nullable: name != "id",
        extra: "".into(),
    };
    let mut columns =
        vec![column("id", "int", None), column("name", "varchar", Some(80)), column("phone", "varbinary", Some(200))];
    if version > 1 {
        columns.push(column("more", "int", None));
    }
    let table = Table {
        name: TableRef::new(database, "customers"),
        kind: TableKind::Base,
        columns,
        definition: Some("".into()),
    };
    let kind = match kind {
        Kind::MySql => ServerKind::MySql,
        Kind::MariaDb => ServerKind::MariaDb,
    };
    Catalog::new(version, ServerVersion { kind, number: 90_704 }, 0, Default::default(), vec![table], vec![])
}

fn ring(policy: &Policy, version: u64, index_kid: u32) -> KeyRing {
    let mut builder = RingBuilder::new();
    for (kid, purpose) in [(7_u32, KeyPurpose::Data), (index_kid, KeyPurpose::Index)] {
        let secret = || KeySecret::take_from(&mut [u8::try_from(kid).unwrap(); 32]).unwrap();
        let id = KeyId::new(kid).unwrap();
        let record = KeyRecord {
            kid: id,
            keyset: "contact".into(),
            purpose,
            version: 1.try_into().unwrap(),
            state: KeyState::Active,
            kcv: Some(secret().kcv(id, purpose)),
            wraps: vec![],
        };
        builder.add(record, Some(secret())).unwrap();
    }
    builder.build(policy, version).unwrap()
}

/// Text cells of all rows of an answer.
fn rows(packets: &[Packet], form: Capabilities) -> Vec<Vec<Option<String>>> {
    assert_eq!(error_code(packets), 0, "{packets:?}");
    let columns = usize::from(packets[0].1[0]);
    let first = if form.contains(Capabilities::DEPRECATE_EOF) { 1 + columns } else { 2 + columns };
    packets[first..packets.len() - 1].iter().map(|(_, row)| cells(row)).collect()
}

fn cells(mut row: &[u8]) -> Vec<Option<String>> {
    let mut cells = Vec::new();
    while let Some((&first, rest)) = row.split_first() {
        if first == 0xfb {
            cells.push(None);
            row = rest;
        } else {
            let (cell, rest) = rest.split_at(usize::from(first));
            cells.push(Some(String::from_utf8(cell.to_vec()).unwrap()));
            row = rest;
        }
    }
    cells
}

fn sequence_is_whole(packets: &[Packet]) {
    let seen: Vec<u8> = packets.iter().map(|(sequence, _)| *sequence).collect();
    let expected: Vec<u8> = (1..).take(packets.len()).collect();
    assert_eq!(seen, expected);
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn text_protocol(kind: Kind) {
    let shop = Shop::open(kind, Access::Plain);
    for form in FORMS {
        let mut raw = shop.client(form);
        raw.query("DELETE FROM customers");
        let inserted = raw.query(
            "INSERT INTO customers VALUES (1, 'ana', '+46 70 1'), (2, 'bo', NULL), (3, 'cy', ''), (4, 'd', '😀')",
        );
        assert_eq!(error_code(&inserted), 0, "{inserted:?}");
        let stored = shop.stored();
        assert!(stored.starts_with("C1FE1D01") && !stored.contains("2B3436"), "{stored}");

        let packets = raw.query("SELECT id, phone FROM customers ORDER BY id");
        sequence_is_whole(&packets);
        let expected = [("1", text("+46 70 1")), ("2", None), ("3", text("")), ("4", text("😀"))];
        let expected: Vec<_> = expected.into_iter().map(|(id, phone)| vec![text(id), phone]).collect();
        assert_eq!(rows(&packets, form), expected);
        let definition = ColumnDefinition::parse(&packets[2].1).unwrap();
        assert_eq!((definition.attributes.column_type, definition.attributes.length), (253, 80), "VARCHAR(20)");

        let found = raw.query("SELECT name FROM customers WHERE phone = '+46 70 1'");
        assert_eq!(rows(&found, form), [[text("ana")]]);
        assert_eq!(rows(&raw.query("SELECT name FROM customers WHERE phone = 'no'"), form).len(), 0);
        assert_eq!(error_code(&raw.query("UPDATE customers SET phone = '7' WHERE id = 2")), 0);
        assert_eq!(rows(&raw.query("SELECT phone FROM customers WHERE id = 2"), form), [[text("7")]]);
        assert_eq!(error_code(&raw.query("SELECT phone FROM customers ORDER BY phone")), 1235);
        assert_eq!(error_code(&raw.query("SELECT name FROM customers WHERE phone LIKE '+46%'")), 1235);
        assert_eq!(rows(&raw.query("SELECT count(*) FROM customers"), form), [[text("4")]]);
    }
}

fn prepared_statements(kind: Kind) {
    let shop = Shop::open(kind, Access::Plain);
    for form in FORMS {
        let mut raw = shop.client(form);
        raw.query("DELETE FROM customers");
        let (id, packets) = raw.prepare("INSERT INTO customers VALUES (?, ?, ?)");
        assert_eq!(packets[0].1[5..9], [0, 0, 3, 0], "no columns, three parameters");
        sequence_is_whole(&packets);
        let types = b"\x03\0\xfd\0\xfd\0";
        let first = [b"\0\x01\0\0\0\0\x01".as_slice(), types, b"\x01\0\0\0\x03ana\x06secret"].concat();
        assert_eq!(error_code(&raw.statement(0x17, id, &first)), 0);
        let again = b"\0\x01\0\0\0\0\0\x02\0\0\0\x02bo\x05other";
        assert_eq!(error_code(&raw.statement(0x17, id, again)), 0, "types are those of before");
        raw.statement(0x18, id, b"\x02\0long ");
        raw.statement(0x18, id, b"\x02\0value");
        let long = b"\0\x01\0\0\0\0\0\x03\0\0\0\x02cy";
        assert_eq!(error_code(&raw.statement(0x17, id, long)), 0);
        let stored = shop.stored();
        assert!(!stored.contains("736563726574") && stored.lines().count() == 3, "{stored}");

        let all = raw.query("SELECT phone FROM customers ORDER BY id");
        assert_eq!(rows(&all, form), [[text("secret")], [text("other")], [text("long value")]]);

        let (id, packets) = raw.prepare("SELECT id, phone FROM customers WHERE phone = ? AND name = ?");
        assert_eq!(packets[0].1[5..9], [2, 0, 2, 0], "the client's own count");
        sequence_is_whole(&packets);
        let end = if form.contains(Capabilities::DEPRECATE_EOF) { 0 } else { 1 };
        assert_eq!(packets.len(), 1 + 2 + end + 2 + end);
        let lookup = b"\0\x01\0\0\0\0\x01\xfd\0\xfd\0\x05other\x02bo";
        let packets = raw.statement(0x17, id, lookup);
        sequence_is_whole(&packets);
        let row = &packets[packets.len() - 2].1;
        assert_eq!(row.as_slice(), b"\0\0\x02\0\0\0\x05other");

        let cursor = raw.statement(0x17, id, b"\x01\x01\0\0\0\0\0\x05other\x02bo");
        sequence_is_whole(&cursor);
        let fetched = raw.statement(0x1c, id, &5_u32.to_le_bytes());
        assert_eq!(fetched[0].1.as_slice(), b"\0\0\x02\0\0\0\x05other");
        assert_eq!(error_code(&raw.query("SELECT 1")), 0);
    }
}

fn a_role_without_access(kind: Kind) {
    let shop = Shop::open(kind, Access::Deny);
    let mut raw = shop.client(FORMS[1]);
    assert_eq!(error_code(&raw.query("SELECT phone FROM customers")), 1143);
    assert_eq!(error_code(&raw.query("SELECT * FROM customers")), 1143);
    assert_eq!(error_code(&raw.prepare("SELECT phone FROM customers").1), 1143);
    assert_eq!(error_code(&raw.query("SELECT id, name FROM customers")), 0);
}

fn values_that_were_changed(kind: Kind) {
    let shop = Shop::open(kind, Access::Plain);
    for form in FORMS {
        let mut raw = shop.client(form);
        raw.query("DELETE FROM customers");
        raw.query("INSERT INTO customers VALUES (1, 'ana', 'right'), (2, 'bo', 'wrong'), (3, 'cy', 'after')");
        shop.server.sql(&format!(
            "UPDATE {0}.customers SET phone = concat(left(phone, length(phone) - 1), x'00', x'01') WHERE id = 2",
            shop.database
        ));
        let packets = raw.query("SELECT phone FROM customers ORDER BY id");
        sequence_is_whole(&packets);
        assert_eq!(error_code(&packets), 1105);
        assert_eq!(rows(&raw.query("SELECT phone FROM customers WHERE id = 1"), form), [[text("right")]]);
    }
}

fn field_lists_are_restored(kind: Kind) {
    let shop = Shop::open(kind, Access::Plain);
    let mut raw = shop.client(FORMS[1]);
    raw.query("INSERT INTO customers VALUES (1, 'ana', 'secret')");
    let packets = raw.command(b"\x04customers\0%");
    let definition = ColumnDefinition::parse(&packets[2].1).unwrap();
    assert_eq!((definition.org_name, definition.attributes.column_type), (&b"phone"[..], 253));
    assert_eq!(error_code(&raw.query("SELECT 1")), 0);
}

/// What a change does to statements that were prepared before it: the code of their next execution.
struct Expected {
    all: u16,
    search: u16,
    /// As `search`, for a value in the statement itself.
    literal: u16,
    unprotected: u16,
}

fn a_change_under_prepared_statements(kind: Kind) {
    let shop = Shop::open(kind, Access::Plain);
    let database = &shop.database;
    shop.client(FORMS[1]).query("INSERT INTO customers VALUES (1, 'ana', 'secret')");
    let before = || snapshot(kind, database, policy(database, Access::Plain, 1));
    let with_policy = |policy: Policy| snapshot(kind, database, policy);
    let same = Expected { all: 0, search: 0, literal: 0, unprotected: 0 };

    under(&shop, before(), || with_policy(policy(database, Access::Plain, 2)), &same);
    // What the server holds of a literal is of the old index: it is prepared again, which the client does not see.
    let keys = Snapshot { ring: Some(Arc::new(ring(&before().policy, 2, 9))), ..before() };
    under(&shop, before(), || keys, &same);
    let nothing = with_policy(policy_of(vec![], Access::Plain, 3));
    under(&shop, before(), || nothing, &same);
    // A right that is gone is gone, prepared or not.
    let denied = with_policy(policy(database, Access::Deny, 4));
    under(&shop, before(), || denied, &Expected { all: 1143, search: 1143, literal: 1143, ..same });
    // Another number of columns is the client's to prepare.
    let wider = || {
        shop.server.sql(&format!("ALTER TABLE {database}.customers ADD COLUMN more INT"));
        Snapshot { catalog: Arc::new(catalog(kind, database, 2)), ..before() }
    };
    under(&shop, before(), wider, &Expected { all: 1615, ..same });
}

/// Prepares under one snapshot and executes under another. What has to be prepared again works when it is.
fn under(shop: &Shop, before: Snapshot, after: impl FnOnce() -> Snapshot, expected: &Expected) {
    const NO_PARAMETERS: &[u8] = b"\0\x01\0\0\0";
    const ONE: &[u8] = b"\0\x01\0\0\0\0\x01\xfd\0\x06secret";
    shop.proxy.snapshot.store(Arc::new(before));
    let mut raw = shop.client(FORMS[1]);
    let statements = [
        ("SELECT * FROM customers", NO_PARAMETERS, expected.all),
        ("SELECT id FROM customers WHERE phone = ?", ONE, expected.search),
        ("SELECT id FROM customers WHERE phone = 'secret'", NO_PARAMETERS, expected.literal),
        ("SELECT name FROM customers", NO_PARAMETERS, expected.unprotected),
    ];
    let ids = statements.map(|(sql, ..)| raw.prepare(sql).0);
    shop.proxy.snapshot.store(Arc::new(after()));
    for ((sql, rest, code), id) in statements.into_iter().zip(ids) {
        let answer = raw.statement(0x17, id, rest);
        assert_eq!(error_code(&answer), code, "{sql}: {answer:?}");
        if code == 1615 {
            assert_eq!(&answer[0].1[3..9], b"#HY000");
            // It stays so until it is prepared again.
            assert_eq!(error_code(&raw.statement(0x17, id, rest)), 1615, "{sql}");
            raw.statement(0x19, id, b"");
            let (id, _) = raw.prepare(sql);
            assert_eq!(error_code(&raw.statement(0x17, id, rest)), 0, "{sql}");
        }
    }
}

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod mysql {
            $(#[test] fn $test() { super::$test(crate::support::server::Kind::MySql); })+
        }
        mod mariadb {
            $(#[test] fn $test() { super::$test(crate::support::server::Kind::MariaDb); })+
        }
    };
}
on_both!(
    text_protocol,
    prepared_statements,
    a_role_without_access,
    values_that_were_changed,
    field_lists_are_restored,
    a_change_under_prepared_statements,
);
