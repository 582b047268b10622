//! Prepared statements live through rotations of both keys: the client's id, types and cursors stay, what the server holds
//! is exchanged behind them. Error 1615 is left for what a client would notice.

use candado::crypto::{KeyId, KeyPurpose};
use candado::wire::Capabilities;

use crate::statements::{CLOSE, EXECUTE, FETCH, LONG_DATA, Parameter, RESET, Types, VAR_STRING, contains, execution};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, KEYSET, Provider, Tls, wait_until};
use crate::support::raw::{Packet, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::Shop;

on_each_server!(
    statements_live_through_rotations_of_both_keys,
    long_data_that_went_to_the_old_statement_is_asked_for_again,
    an_open_cursor_ends_before_its_statement_is_exchanged,
    what_a_client_would_notice_is_its_own_to_prepare,
);

/// A shop whose keys are its own, with a client that speaks the protocol by hand.
struct Scene<'a> {
    shop: &'a Shop<'a>,
    raw: Raw,
}

impl<'a> Scene<'a> {
    fn new(shop: &'a Shop<'a>, capabilities: Capabilities) -> Self {
        let mut raw = Raw::login(shop.proxy.port, capabilities | Capabilities::PLUGIN_AUTH_LENENC);
        assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
        Self { shop, raw }
    }

    fn prepare(&mut self, sql: &str) -> u32 {
        let (id, packets) = self.raw.prepare(sql);
        assert_eq!(error_code(&packets), 0, "{sql}");
        id
    }

    fn execute(&mut self, id: u32, types: Types, values: &[Parameter<'_>]) -> Vec<Packet> {
        let packets = self.raw.statement(EXECUTE, id, &execution(0, types, values));
        assert_eq!(error_code(&packets), 0, "{packets:?}");
        packets
    }

    async fn rotate(&self, purpose: KeyPurpose) -> KeyId {
        let key_file = self.shop.deployment.key_maker();
        self.shop.deployment.rotation(&key_file).rotate(KEYSET, purpose).await
    }

    /// Key id and index version of a stored value.
    fn keys(&self, id: u32) -> (u32, u16) {
        let stored = self.shop.stored("code", id);
        (u32::from_str_radix(&stored[48..56], 16).unwrap(), u16::from_str_radix(&stored[10..14], 16).unwrap())
    }
}

fn text(text: &'static str) -> Parameter<'static> {
    Parameter::Text(VAR_STRING, text.as_bytes())
}

async fn statements_live_through_rotations_of_both_keys(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    for capabilities in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
        let mut scene = Scene::new(&shop, capabilities);
        scene.raw.query("DELETE FROM customers");
        let insert = scene.prepare("INSERT INTO customers (id, code, note) VALUES (?, ?, ?)");
        let insert_fixed = scene.prepare("INSERT INTO customers (id, code) VALUES (?, 'fixed')");
        let find = scene.prepare("SELECT note, id FROM customers WHERE code = ? ORDER BY id");
        let find_fixed =
            scene.prepare("SELECT CONCAT('#', id) FROM customers WHERE code = 'fixed' AND id < ? ORDER BY id");
        let by_id = scene.prepare("SELECT code FROM customers WHERE id = ?");
        let other = scene.prepare("SELECT ?");
        let mut before = (0, 0);
        let mut types = Types::Sent;
        for round in 0..4 {
            let (first, second) = (round * 2 + 1, round * 2 + 2);
            scene.execute(insert, types, &[Parameter::Int(first), text("same"), text("a note")]);
            scene.execute(insert_fixed, types, &[Parameter::Int(second)]);
            let found = scene.execute(find, types, &[text("same")]);
            let notes = found.iter().filter(|(_, payload)| contains(&[(0, payload.clone())], b"\x06a note")).count();
            assert_eq!(i32::try_from(notes).unwrap(), round + 1, "rows of every index version are found");
            let found = scene.execute(find_fixed, types, &[Parameter::Int(second + 1)]);
            for id in (0..=round).map(|round| round * 2 + 2) {
                assert!(contains(&found, format!("#{id}").as_bytes()), "row {id} in round {round}");
            }
            assert!(contains(&scene.execute(by_id, types, &[Parameter::Int(first)]), b"\x04same"));
            scene.execute(other, types, &[Parameter::Int(1)]);
            // What was prepared first writes under the newest keys.
            let now = scene.keys(u32::try_from(second).unwrap());
            assert_eq!(now, scene.keys(u32::try_from(first).unwrap()));
            assert_ne!(now, before, "round {round}");
            before = now;
            // From now on the server that gets a new statement has to be told the types by the proxy.
            types = Types::AsBefore;
            let purpose = if round % 2 == 0 { KeyPurpose::Index } else { KeyPurpose::Data };
            scene.rotate(purpose).await;
        }
        assert!(scene.shop.proxy.metric("repreparations_total") >= 6.0);
        scene.shop.assert_sealed();
        for id in [insert, insert_fixed, find, find_fixed, by_id, other] {
            scene.raw.statement(CLOSE, id, &[]);
            assert_eq!(error_code(&scene.raw.statement(EXECUTE, id, &execution(0, Types::Sent, &[]))), 1243);
        }
        if kind == Kind::MySql {
            let left = scene.raw.query(
                "SELECT CONCAT('left: ', COUNT(*)) FROM performance_schema.prepared_statements_instances \
                 WHERE owner_thread_id = PS_CURRENT_THREAD_ID()",
            );
            assert!(contains(&left, b"left: 0"), "old statements are closed at the server: {left:?}");
        }
    }
}

async fn long_data_that_went_to_the_old_statement_is_asked_for_again(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut scene = Scene::new(&shop, Capabilities::DEPRECATE_EOF);
    // The name goes to the server as it comes, the note is held until it can be sealed.
    let named = scene.prepare("INSERT INTO customers (id, name, code) VALUES (?, ?, 'fixed')");
    let noted = scene.prepare("INSERT INTO customers (id, note, code) VALUES (?, ?, 'fixed')");
    let piece = |text: &str| [&1_u16.to_le_bytes()[..], text.as_bytes()].concat();
    let values = |id| [Parameter::Int(id), Parameter::Long(VAR_STRING)];
    scene.raw.statement(LONG_DATA, named, &piece("first"));
    scene.execute(named, Types::Sent, &values(1));
    scene.raw.statement(LONG_DATA, named, &piece("lost"));
    scene.raw.statement(LONG_DATA, noted, &piece("kept "));
    scene.rotate(KeyPurpose::Data).await;
    scene.raw.statement(LONG_DATA, noted, &piece("together"));
    scene.execute(noted, Types::Sent, &values(2));
    let refused = scene.raw.statement(EXECUTE, named, &execution(0, Types::Sent, &values(3)));
    assert_eq!(error_code(&refused), 1615, "half of the value is elsewhere");
    // Sent again, it arrives: the statement is the new one by now.
    scene.raw.statement(LONG_DATA, named, &piece("second"));
    scene.execute(named, Types::AsBefore, &values(3));
    let rows = scene.raw.query("SELECT id, name, note FROM customers ORDER BY id");
    for expected in [&b"\x05first"[..], b"\x0dkept together", b"\x06second"] {
        assert!(contains(&rows, expected), "{rows:?}");
    }
    assert!(!contains(&rows, b"lost"));
    assert_ne!(scene.keys(1), scene.keys(3));
}

async fn an_open_cursor_ends_before_its_statement_is_exchanged(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut scene = Scene::new(&shop, Capabilities::DEPRECATE_EOF);
    let rows: Vec<String> = (1..=6).map(|id| format!("({id}, 'same', 'note {id}')")).collect();
    scene.raw.query(&format!("INSERT INTO customers (id, code, note) VALUES {}", rows.join(",")));
    let find = scene.prepare("SELECT id, note FROM customers WHERE code = ? ORDER BY id");
    for round in 0..2 {
        let opened = scene.raw.statement(EXECUTE, find, &execution(1, Types::Sent, &[text("same")]));
        assert_eq!(error_code(&opened), 0, "round {round}");
        assert!(contains(&scene.raw.statement(FETCH, find, &2_u32.to_le_bytes()), b"note 2"));
        scene.rotate(KeyPurpose::Index).await;
        assert!(contains(&scene.raw.statement(FETCH, find, &4_u32.to_le_bytes()), b"note 6"), "round {round}");
    }
    // Executed again while its cursor is open, reset, and fetched from.
    scene.raw.statement(EXECUTE, find, &execution(1, Types::Sent, &[text("same")]));
    scene.rotate(KeyPurpose::Index).await;
    assert_eq!(error_code(&scene.raw.statement(EXECUTE, find, &execution(1, Types::Sent, &[text("same")]))), 0);
    assert!(contains(&scene.raw.statement(FETCH, find, &1_u32.to_le_bytes()), b"note 1"));
    assert_eq!(error_code(&scene.raw.statement(RESET, find, &[])), 0);
    assert_ne!(error_code(&scene.raw.statement(FETCH, find, &1_u32.to_le_bytes())), 0, "the cursor is gone");
}

async fn what_a_client_would_notice_is_its_own_to_prepare(kind: Kind) {
    let deployment = Deployment::own(kind, &[], Provider::File);
    let shop = Shop::open_on(&deployment, Tls::Off);
    let mut scene = Scene::new(&shop, Capabilities::DEPRECATE_EOF);
    let all = "SELECT * FROM customers WHERE code = 'x'";
    let statement = scene.prepare(all);
    scene.execute(statement, Types::Sent, &[]);
    // Another number of columns.
    assert_eq!(error_code(&scene.raw.query("ALTER TABLE customers ADD COLUMN extra INT")), 0);
    for _ in 0..2 {
        assert_eq!(error_code(&scene.raw.statement(EXECUTE, statement, &execution(0, Types::Sent, &[]))), 1615);
    }
    scene.raw.statement(CLOSE, statement, &[]);
    let statement = scene.prepare(all);
    scene.execute(statement, Types::Sent, &[]);
    // Another default database: the text would name other tables.
    assert_eq!(error_code(&scene.raw.query("USE mysql")), 0);
    scene.execute(statement, Types::Sent, &[]);
    scene.rotate(KeyPurpose::Index).await;
    assert_eq!(error_code(&scene.raw.statement(EXECUTE, statement, &execution(0, Types::Sent, &[]))), 1615);
    assert_eq!(error_code(&scene.raw.query(&format!("USE {}", scene.shop.database))), 0);
    scene.execute(statement, Types::Sent, &[]);
    // What the server says is passed on: the table is gone.
    let root = format!("RENAME TABLE `{0}`.customers TO `{0}`.gone", scene.shop.database);
    deployment.server.sql(&root);
    scene.rotate(KeyPurpose::Index).await;
    tokio::task::block_in_place(|| {
        wait_until("the proxy has the newest keys", || {
            let code = error_code(&scene.raw.statement(EXECUTE, statement, &execution(0, Types::Sent, &[])));
            assert_ne!(code, 0);
            code == 1146 || code == 1615
        });
    });
}
