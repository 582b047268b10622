//! COM_STMT_EXECUTE and its relatives by hand: what drivers leave out, send in pieces or ask for row by row. Each answer
//! is compared with that of the same commands on a plain table straight at the server.

use candado::wire::Capabilities;

use crate::support::raw::{Packet, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Shop, policy};

/// Makes one test per server kind, without a runtime: the raw client blocks.
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => {
        mod mysql { $(#[test] fn $test() { super::$test(super::Kind::MySql); })+ }
        mod mariadb { $(#[test] fn $test() { super::$test(super::Kind::MariaDb); })+ }
    };
}

on_each_server!(
    types_are_sent_once_and_hold,
    parameters_of_every_type_for_a_string,
    long_data_arrives_in_pieces,
    a_cursor_is_fetched_row_by_row,
    a_refused_statement_leaves_the_others_alone,
    a_pipeline_keeps_its_order,
);

pub(crate) const PREPARE: u8 = 0x16;
pub(crate) const EXECUTE: u8 = 0x17;
pub(crate) const LONG_DATA: u8 = 0x18;
pub(crate) const CLOSE: u8 = 0x19;
pub(crate) const RESET: u8 = 0x1a;
pub(crate) const FETCH: u8 = 0x1c;
pub(crate) const QUERY: u8 = 0x03;

pub(crate) const LONG: u8 = 0x03;
pub(crate) const VARCHAR: u8 = 0x0f;
pub(crate) const VAR_STRING: u8 = 0xfd;
pub(crate) const STRING: u8 = 0xfe;
pub(crate) const BLOB: u8 = 0xfc;

/// A value of a parameter with the type that is announced for it.
#[derive(Clone, Copy)]
pub(crate) enum Parameter<'a> {
    Int(i32),
    Text(u8, &'a [u8]),
    Null(u8),
    /// Sent before, with COM_STMT_SEND_LONG_DATA.
    Long(u8),
}

/// Whether the types of the parameters are sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    Sent,
    AsBefore,
}

/// The end of a COM_STMT_EXECUTE payload, from the flags on.
pub(crate) fn execution(cursor: u8, types: Types, parameters: &[Parameter<'_>]) -> Vec<u8> {
    let mut payload = vec![cursor, 1, 0, 0, 0];
    let mut nulls = vec![0; parameters.len().div_ceil(8)];
    for (number, parameter) in parameters.iter().enumerate() {
        if matches!(parameter, Parameter::Null(_)) {
            nulls[number / 8] |= 1 << (number % 8);
        }
    }
    payload.extend(nulls);
    payload.push(u8::from(types == Types::Sent));
    if types == Types::Sent {
        for parameter in parameters {
            let kind = match parameter {
                Parameter::Int(_) => LONG,
                Parameter::Text(kind, _) | Parameter::Null(kind) | Parameter::Long(kind) => *kind,
            };
            payload.extend([kind, 0]);
        }
    }
    for parameter in parameters {
        match parameter {
            Parameter::Int(number) => payload.extend(number.to_le_bytes()),
            Parameter::Text(_, text) => {
                // Shorter than 251 bytes, or with a length of three bytes.
                match u8::try_from(text.len()) {
                    Ok(length) if length < 251 => payload.push(length),
                    _ => {
                        payload.push(0xfd);
                        payload.extend(&u32::try_from(text.len()).unwrap().to_le_bytes()[..3]);
                    }
                }
                payload.extend_from_slice(text);
            }
            Parameter::Null(_) | Parameter::Long(_) => {}
        }
    }
    payload
}

/// Two connections: to `customers` through the proxy, and to `people` straight at the server.
struct Pair {
    shop: Shop<'static>,
    sides: [(Raw, &'static str); 2],
}

/// A statement that was prepared on both.
#[derive(Clone, Copy)]
struct Both([u32; 2]);

impl Pair {
    fn new(kind: Kind, capabilities: Capabilities) -> Self {
        let shop = Shop::open(kind);
        let sides = [(shop.proxy.port, "customers"), (shop.deployment.server.port, "people")].map(|(port, table)| {
            let mut raw = Raw::login(port, capabilities | Capabilities::PLUGIN_AUTH_LENENC);
            assert_eq!(raw.welcome.1[0], 0, "the login fails");
            assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
            (raw, table)
        });
        Self { shop, sides }
    }

    fn prepare(&mut self, sql: &str) -> Both {
        let mut ids = [0; 2];
        let mut counts = Vec::new();
        for ((raw, table), id) in self.sides.iter_mut().zip(&mut ids) {
            let (statement, packets) = raw.prepare(&sql.replace("{t}", table));
            assert_eq!(error_code(&packets), 0, "{sql}");
            *id = statement;
            counts.push((packets.len(), packets[0].1[5..9].to_vec()));
        }
        assert_eq!(counts[0], counts[1], "columns and parameters of {sql}");
        Both(ids)
    }

    /// Sends a command about a statement; the rows and everything else but column definitions is equal.
    fn same(&mut self, statement: Both, command: u8, rest: &[u8]) -> Vec<Packet> {
        let mut answers = Vec::new();
        for ((raw, _), id) in self.sides.iter_mut().zip(statement.0) {
            answers.push(without_definitions(raw.statement(command, id, rest)));
        }
        assert_eq!(answers[0], answers[1], "command {command:#x}");
        answers.swap_remove(0)
    }

    fn same_query(&mut self, sql: &str) -> Vec<Packet> {
        let answers =
            self.sides.each_mut().map(|(raw, table)| without_definitions(raw.query(&sql.replace("{t}", table))));
        assert_eq!(answers[0], answers[1], "{sql}");
        answers.into_iter().next().unwrap()
    }

    fn same_contents(&mut self) {
        self.same_query("SELECT * FROM {t} ORDER BY id");
        self.shop.assert_sealed();
    }
}

/// Column definitions name the table: they differ, and are compared elsewhere.
fn without_definitions(packets: Vec<Packet>) -> Vec<Packet> {
    packets.into_iter().filter(|(_, payload)| !payload.starts_with(b"\x03def")).collect()
}

pub(crate) fn contains(packets: &[Packet], text: &[u8]) -> bool {
    packets.iter().any(|(_, payload)| payload.windows(text.len()).any(|window| window == text))
}

fn types_are_sent_once_and_hold(kind: Kind) {
    for capabilities in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
        let mut pair = Pair::new(kind, capabilities);
        let insert = pair.prepare("INSERT INTO {t} (id, phone, code, address) VALUES (?, ?, ?, ?)");
        let first = [
            Parameter::Int(1),
            Parameter::Text(VAR_STRING, b"090-1234-5678"),
            Parameter::Text(STRING, b"A"),
            Parameter::Null(VAR_STRING),
        ];
        pair.same(insert, EXECUTE, &execution(0, Types::Sent, &first));
        let second = [
            Parameter::Int(2),
            Parameter::Text(VAR_STRING, b"+34 600 000 001"),
            Parameter::Null(STRING),
            Parameter::Text(VAR_STRING, "東京 😀".as_bytes()),
        ];
        pair.same(insert, EXECUTE, &execution(0, Types::AsBefore, &second));
        let third = [Parameter::Int(3), Parameter::Null(0), Parameter::Text(0, b""), Parameter::Text(0, &[b'a'; 255])];
        pair.same(insert, EXECUTE, &execution(0, Types::AsBefore, &third));
        // Other types, once more announced, and kept.
        let fourth = [
            Parameter::Int(4),
            Parameter::Text(BLOB, b"1"),
            Parameter::Text(VARCHAR, b"B"),
            Parameter::Text(BLOB, b"x"),
        ];
        pair.same(insert, EXECUTE, &execution(0, Types::Sent, &fourth));
        let fifth = [Parameter::Int(5), Parameter::Text(0, b"2"), Parameter::Text(0, b"C"), Parameter::Null(0)];
        pair.same(insert, EXECUTE, &execution(0, Types::AsBefore, &fifth));

        // A search parameter is repeated towards the server; its type must be, too.
        let select = pair.prepare("SELECT id, phone, address FROM {t} WHERE code = ? OR phone IN (?, ?) ORDER BY id");
        let text = |text: &'static [u8]| Parameter::Text(VAR_STRING, text);
        for (types, values) in [
            (Types::Sent, [text(b"A"), text(b"none"), Parameter::Null(VAR_STRING)]),
            (Types::AsBefore, [text(b"none"), text(b"+34 600 000 001"), text(b"2")]),
            (Types::AsBefore, [Parameter::Null(0), Parameter::Null(0), Parameter::Null(0)]),
            (Types::AsBefore, [text(b""), text(b"1"), text(b"1")]),
        ] {
            pair.same(select, EXECUTE, &execution(0, types, &values));
        }
        pair.same_contents();
    }
}

fn parameters_of_every_type_for_a_string(kind: Kind) {
    let mut pair = Pair::new(kind, Capabilities::DEPRECATE_EOF);
    let insert = pair.prepare("INSERT INTO {t} (id, code, note) VALUES (?, ?, ?)");
    let select = pair.prepare("SELECT id, code, note FROM {t} WHERE code = ?");
    // VARCHAR, VAR_STRING, STRING, TINY, MEDIUM, LONG and plain BLOB.
    for (id, kind) in (1..).zip([VARCHAR, VAR_STRING, STRING, 0xf9, 0xfa, 0xfb, BLOB]) {
        let code = format!("code {id}");
        let note = "é".repeat(usize::try_from(id).unwrap() * 100);
        let values =
            [Parameter::Int(id), Parameter::Text(kind, code.as_bytes()), Parameter::Text(kind, note.as_bytes())];
        pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
        let found = pair.same(select, EXECUTE, &execution(0, Types::Sent, &[Parameter::Text(kind, code.as_bytes())]));
        assert!(contains(&found, code.as_bytes()) && contains(&found, note.as_bytes()), "type {kind:#x}");
    }
    // A number becomes the text that a plain column would hold.
    let values = [Parameter::Int(90), Parameter::Int(-7), Parameter::Null(VAR_STRING)];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    let found = pair.same(select, EXECUTE, &execution(0, Types::Sent, &[Parameter::Text(VAR_STRING, b"-7")]));
    assert!(contains(&found, b"\x02-7"));
    // Beside it: the server compares a number as a number, which no index can.
    let (raw, _) = &mut pair.sides[0];
    let refused = raw.statement(EXECUTE, select.0[0], &execution(0, Types::Sent, &[Parameter::Int(-7)]));
    assert_eq!(error_code(&refused), 1235);
    pair.same_contents();
}

fn long_data_arrives_in_pieces(kind: Kind) {
    let mut pair = Pair::new(kind, Capabilities::DEPRECATE_EOF);
    let insert = pair.prepare("INSERT INTO {t} (id, address, note) VALUES (?, ?, ?)");
    let piece = |parameter: u16, bytes: &[u8]| [&parameter.to_le_bytes()[..], bytes].concat();
    let big = vec![b'x'; 20_000];
    // A character in two pieces; an empty piece; a parameter that is not protected.
    for (parameter, bytes) in
        [(1, &"東".as_bytes()[..1]), (2, &b""[..]), (1, &"東".as_bytes()[1..]), (2, &big), (2, &big)]
    {
        pair.same(insert, LONG_DATA, &piece(parameter, bytes));
    }
    let values = [Parameter::Int(1), Parameter::Long(VAR_STRING), Parameter::Long(BLOB)];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    // Executing has used the pieces up.
    let values = [Parameter::Int(2), Parameter::Text(VAR_STRING, b"short"), Parameter::Null(BLOB)];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    // Resetting forgets them.
    pair.same(insert, LONG_DATA, &piece(1, b"forgotten"));
    pair.same(insert, RESET, &[]);
    let values = [Parameter::Int(3), Parameter::Text(VAR_STRING, b"after reset"), Parameter::Null(BLOB)];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    // Beside it: too long for the column, found when it is executed; the next execution is not touched by it.
    let (raw, _) = &mut pair.sides[0];
    raw.statement(LONG_DATA, insert.0[0], &piece(1, &[b'y'; 300]));
    let values = [Parameter::Int(4), Parameter::Long(VAR_STRING), Parameter::Null(BLOB)];
    assert_eq!(error_code(&raw.statement(EXECUTE, insert.0[0], &execution(0, Types::Sent, &values))), 1406);
    let values = [Parameter::Int(5), Parameter::Text(VAR_STRING, b"next"), Parameter::Null(BLOB)];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    pair.same_contents();
}

fn a_cursor_is_fetched_row_by_row(kind: Kind) {
    for capabilities in [Capabilities::empty(), Capabilities::DEPRECATE_EOF] {
        let mut pair = Pair::new(kind, capabilities);
        let rows: Vec<String> = (1..=7).map(|id| format!("({id}, 'name {id}', 'c{id}', 'note of {id}')")).collect();
        pair.same_query(&format!("INSERT INTO {{t}} (id, name, code, note) VALUES {}", rows.join(",")));
        let select = pair.prepare("SELECT id, code, note, name FROM {t} WHERE code <> ? ORDER BY id");
        let values = [Parameter::Text(VAR_STRING, b"c3")];
        pair.same(select, EXECUTE, &execution(1, Types::Sent, &values));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.extend(pair.same(select, FETCH, &2_u32.to_le_bytes()));
        }
        for id in [1, 2, 4, 5, 6, 7] {
            assert!(contains(&seen, format!("note of {id}").as_bytes()), "row {id}");
        }
        // Another statement while a cursor is open.
        pair.same(select, EXECUTE, &execution(1, Types::Sent, &values));
        pair.same(select, FETCH, &1_u32.to_le_bytes());
        pair.same_query("SELECT 'between'");
        pair.same(select, FETCH, &3_u32.to_le_bytes());
        pair.same(select, RESET, &[]);
        pair.same(select, CLOSE, &[]);
        pair.same_contents();
    }
}

fn a_refused_statement_leaves_the_others_alone(kind: Kind) {
    let mut pair = Pair::new(kind, Capabilities::DEPRECATE_EOF);
    let insert = pair.prepare("INSERT INTO {t} (id, code) VALUES (?, ?)");
    let (raw, _) = &mut pair.sides[0];
    for (sql, code) in [
        ("SELECT MAX(code) FROM customers WHERE id = ?", 1235),
        ("SELECT id FROM customers WHERE code < ?", 1235),
        ("SELECT id FROM orders WHERE id = ? AND SLEEP(5)", 6444),
        ("SELECT nothing FROM orders", 1054),
    ] {
        let (_, packets) = raw.prepare(sql);
        assert_eq!((packets.len(), error_code(&packets)), (1, code), "{sql}");
    }
    // An id that was never given.
    assert_eq!(error_code(&raw.statement(EXECUTE, 4_000_000, &execution(0, Types::Sent, &[]))), 1243);
    let values = [Parameter::Int(1), Parameter::Text(VAR_STRING, b"kept")];
    pair.same(insert, EXECUTE, &execution(0, Types::Sent, &values));
    pair.same(insert, CLOSE, &[]);
    let (raw, _) = &mut pair.sides[0];
    assert_eq!(error_code(&raw.statement(EXECUTE, insert.0[0], &execution(0, Types::Sent, &values))), 1243);
    pair.same_contents();
}

fn a_pipeline_keeps_its_order(kind: Kind) {
    let mut pair = Pair::new(kind, Capabilities::DEPRECATE_EOF);
    let query = |sql: &str| [&[QUERY], sql.as_bytes()].concat();
    let refused = [query("SELECT MAX(code) FROM customers"), query("SELECT LOAD_FILE('x')"), vec![PREPARE, b'?']];
    let commands = [
        query("INSERT INTO customers (id, code) VALUES (1, 'a')"),
        refused[0].clone(),
        query("SELECT code FROM customers"),
        refused[1].clone(),
        refused[2].clone(),
        query("SELECT 'last'"),
    ];
    let commands: Vec<&[u8]> = commands.iter().map(Vec::as_slice).collect();
    let answers = pair.sides[0].0.pipeline(&commands);
    let codes: Vec<u16> = answers.iter().map(|packets| error_code(packets)).collect();
    assert_eq!(codes[..4], [0, 1235, 0, 6444]);
    assert_ne!(codes[4], 0);
    assert_eq!(codes[5], 0);
    assert!(contains(&answers[2], b"\x01a") && contains(&answers[5], b"last"), "{answers:?}");
    // The policy that all this ran under protects the column.
    assert!(policy(&pair.shop.database).contains("customers.code"));
}
