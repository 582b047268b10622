//! The twin test: the same raw session on unprotected tables, directly and through the proxy, must give the same packets.
//!
//! Only statement ids and the text of COM_STATISTICS may differ, and what the proxy says of refused commands is tested
//! beside it.

use std::sync::OnceLock;

use candado::wire::Capabilities;
use candado::wire::packet::PAYLOAD_MAX;

use crate::support::data_plane::{DataPlane, settings};
use crate::support::raw::{Packet, Raw, error_code};
use crate::support::server::{Kind, Server};

/// What each step of a script brought.
type Steps = Vec<(String, Vec<Packet>)>;

/// Both forms of results, with and without session tracking.
fn forms() -> [Capabilities; 4] {
    let base = Capabilities::MULTI_RESULTS | Capabilities::PS_MULTI_RESULTS | Capabilities::PLUGIN_AUTH_LENENC;
    [
        base,
        base | Capabilities::DEPRECATE_EOF,
        base | Capabilities::SESSION_TRACK,
        base | Capabilities::DEPRECATE_EOF | Capabilities::SESSION_TRACK,
    ]
}

/// Runs a script on both ways and compares every step.
fn twin(kind: Kind, forms: &[Capabilities], script: fn(&mut Raw, &str, &mut Steps)) {
    static SERVERS: [OnceLock<Server>; 2] = [const { OnceLock::new() }; 2];
    // MariaDB takes no more than 16 MB unless told.
    let server = SERVERS[kind as usize].get_or_init(|| Server::launch(kind, &["--max-allowed-packet=64M"]));
    let proxy = DataPlane::start(settings(server));
    for &form in forms {
        let run = |port| {
            let mut steps = Vec::new();
            let mut raw = Raw::login(port, form);
            steps.push(("login".to_owned(), vec![raw.welcome.clone()]));
            let database = server.database("twin");
            raw.query(&format!("USE {database}"));
            script(&mut raw, &database, &mut steps);
            server.sql(&format!("DROP DATABASE {database}"));
            steps
        };
        let direct = run(server.port);
        let through = run(proxy.port);
        assert_eq!(direct.len(), through.len());
        for ((name, direct), (_, through)) in direct.into_iter().zip(through) {
            assert!(
                mask(&direct) == mask(&through),
                "{kind:?} {form:?} {name}\n direct {}\nthrough {}",
                show(&direct),
                show(&through)
            );
        }
    }
}

/// Blanks the database's number.
fn mask(packets: &[Packet]) -> Vec<Packet> {
    const NAME: &[u8] = b"it_twin_";
    packets
        .iter()
        .map(|(sequence, payload)| {
            if payload.len() > 100_000 {
                return (*sequence, payload.clone());
            }
            let mut out = Vec::with_capacity(payload.len());
            let mut at = 0;
            while at < payload.len() {
                if payload[at..].starts_with(NAME) {
                    out.truncate(out.len().saturating_sub(1));
                    out.extend_from_slice(NAME);
                    at += NAME.len();
                    while payload.get(at).is_some_and(u8::is_ascii_digit) {
                        at += 1;
                    }
                } else {
                    out.push(payload[at]);
                    at += 1;
                }
            }
            (*sequence, out)
        })
        .collect()
}

fn show(packets: &[Packet]) -> String {
    packets
        .iter()
        .take(12)
        .map(|(sequence, payload)| format!("{sequence}:{} ", payload[..payload.len().min(120)].escape_ascii()))
        .collect()
}

fn text_session(raw: &mut Raw, database: &str, steps: &mut Steps) {
    for sql in [
        "CREATE TABLE t (a INT, b VARCHAR(20), c BLOB)",
        "INSERT INTO t VALUES (1, 'x', x'00ff'), (2, NULL, NULL), (3, '', repeat('z', 70000))",
        "UPDATE t SET a = 4 WHERE a = 1",
        "SELECT a, b, length(c) FROM t ORDER BY a",
        "SELECT * FROM t",
        "SELECT 1 FROM t WHERE 0",
        "SELECT nothing FROM nowhere",
        "SELECT 1; SELECT 2",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "SELECT 'a\\'",
        "SET sql_mode = ''",
        "SET NAMES latin1",
        "SELECT b FROM t",
        "SET NAMES utf8mb4",
        "SET @a = 1, autocommit = 0",
        "INSERT INTO t VALUES (9, '9', '9')",
        "ROLLBACK",
        "SET autocommit = 1",
        "SELECT CAST('x' AS SIGNED)",
        "SHOW WARNINGS",
        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT a, b FROM t; SET sql_mode = 'ANSI_QUOTES'; END",
        "CALL p()",
        "SELECT \"a\" FROM t LIMIT 1",
    ] {
        steps.push((sql.to_owned(), raw.query(sql)));
    }
    for command in [&b"\x0e"[..], b"\x04t\0%", b"\x1b\x01\0", b"\x1f", b"\x0e"] {
        steps.push((command.escape_ascii().to_string(), raw.command(command)));
    }
    let mut init = vec![2];
    init.extend_from_slice(database.as_bytes());
    steps.push(("init db".to_owned(), raw.command(&init)));
    assert_eq!(raw.command(b"\x09").len(), 1, "one line of statistics");
    steps.push(("after statistics".to_owned(), raw.query("SELECT 1")));
    // The proxy answers itself, so the server's list of warnings is another one afterwards.
    steps.push(("unknown command".to_owned(), raw.command(b"\xf3")));
    steps.push(("after an unknown command".to_owned(), raw.query("SELECT 1")));
}

fn binary_session(raw: &mut Raw, _: &str, steps: &mut Steps) {
    raw.query("CREATE TABLE t (a INT, b VARCHAR(20))");
    raw.query("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)");
    let mut step = |name: &str, packets| steps.push((name.to_owned(), packets));
    let (id, packets) = raw.prepare("SELECT ?, a, b FROM t WHERE a <> ? ORDER BY a");
    step("prepare", packets);
    let first = b"\0\x01\0\0\0\0\x01\xfd\0\x03\0\x02hi\x02\0\0\0";
    step("execute", raw.statement(0x17, id, first));
    step("execute again without types", raw.statement(0x17, id, b"\0\x01\0\0\0\0\0\x02yo\x01\0\0\0"));
    step("execute with cursor", raw.statement(0x17, id, b"\x01\x01\0\0\0\0\0\x02yo\x09\0\0\0"));
    step("fetch two", raw.statement(0x1c, id, &2_u32.to_le_bytes()));
    step("fetch the rest", raw.statement(0x1c, id, &9_u32.to_le_bytes()));
    // MariaDB's text names the statement's id.
    let nothing = raw.statement(0x1c, id, &9_u32.to_le_bytes());
    step("fetch nothing", nothing.into_iter().map(|(sequence, payload)| (sequence, payload[..9].to_vec())).collect());
    raw.statement(0x18, id, b"\0\0long ");
    raw.statement(0x18, id, b"\0\0data");
    step("execute long data", raw.statement(0x17, id, b"\0\x01\0\0\0\0\x01\xfc\0\x03\0\x02\0\0\0"));
    step("reset", raw.statement(0x1a, id, b""));
    step("execute after reset", raw.statement(0x17, id, first));
    raw.statement(0x19, id, b"");
    step("prepare an error", raw.prepare("SELECT nothing FROM nowhere").1);
    let (id, packets) = raw.prepare("INSERT INTO t VALUES (?, ?)");
    step("prepare an insert", packets);
    step("insert", raw.statement(0x17, id, b"\0\x01\0\0\0\x02\x01\x03\0\xfd\0\x07\0\0\0"));
    step("what came", raw.query("SELECT * FROM t"));
    step("reset connection", raw.command(b"\x1f"));
}

fn large_session(raw: &mut Raw, _: &str, steps: &mut Steps) {
    for length in [PAYLOAD_MAX - 1, PAYLOAD_MAX, PAYLOAD_MAX + 1] {
        // The command byte and the text around the literal count as well.
        let around = "SELECT length('')".len() + 1;
        let sql = format!("SELECT length('{}')", "x".repeat(length - around));
        steps.push((format!("command of {length}"), raw.query(&sql)));
        // A text row is the cell and its length in front.
        for column in ["", "'first', "] {
            let sql = format!("SELECT {column}repeat('y', {})", length - 4);
            steps.push((format!("row of {length} {column}"), raw.query(&sql)));
        }
    }
}

fn pipelined_session(raw: &mut Raw, _: &str, steps: &mut Steps) {
    let commands: [&[u8]; 6] =
        [b"\x03SELECT 1", b"\x0e", b"\x03SELECT nothing", b"\x03SET NAMES latin1", b"\x03SELECT 'x'", b"\x0e"];
    for (command, packets) in commands.iter().zip(raw.pipeline(&commands)) {
        steps.push((format!("pipelined {}", command.escape_ascii()), packets));
    }
}

macro_rules! twins {
    ($($session:ident),+) => {
        mod mysql {
            $(#[test] fn $session() {
                super::twin(crate::support::server::Kind::MySql, &super::forms(), super::$session);
            })+
            #[test] fn large_session() {
                super::twin(crate::support::server::Kind::MySql, &super::forms()[1..2], super::large_session);
            }
        }
        mod mariadb {
            $(#[test] fn $session() {
                super::twin(crate::support::server::Kind::MariaDb, &super::forms(), super::$session);
            })+
            #[test] fn large_session() {
                super::twin(crate::support::server::Kind::MariaDb, &super::forms()[..1], super::large_session);
            }
        }
    };
}
twins!(text_session, binary_session, pipelined_session);

#[test]
fn refusals_come_in_order_and_the_connection_stays() {
    let server = Server::start(Kind::MySql);
    let proxy = DataPlane::start(settings(server));
    let mut raw = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    let commands: [&[u8]; 5] = [b"\x03SELECT 1", b"\x12", b"\x0e", b"\x05name", b"\x1b\0\0"];
    let codes: Vec<_> = raw.pipeline(&commands).iter().map(|packets| error_code(packets)).collect();
    assert_eq!(codes, [0, 1227, 0, 1047, 1047]);
    assert_eq!(error_code(&raw.query("SELECT 1")), 0);
    assert_eq!(error_code(&raw.statement(0x17, 99, b"\0\x01\0\0\0")), 1243);
}

#[test]
fn character_sets_that_cannot_be_read_are_refused() {
    let server = Server::start(Kind::MySql);
    let proxy = DataPlane::start(settings(server));
    let gbk = Raw::login_with(proxy.port, Capabilities::DEPRECATE_EOF, 28);
    assert_eq!(error_code(&[gbk.welcome]), 1115);
    let latin1 = Raw::login_with(proxy.port, Capabilities::DEPRECATE_EOF, 8);
    assert_eq!(error_code(&[latin1.welcome]), 0);
}

#[test]
fn a_killed_session_s_client_gets_the_server_s_error_or_its_end() {
    let server = Server::start(Kind::MySql);
    let proxy = DataPlane::start(settings(server));
    let mut raw = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    let packets = raw.query("SELECT CONNECTION_ID()");
    let id = std::str::from_utf8(&packets[2].1[1..]).unwrap().to_owned();
    server.sql(&format!("KILL {id}"));
    while let Some((_, payload)) = raw.read() {
        assert_eq!(payload[0], 0xff);
    }
}

#[test]
fn an_idle_client_hears_of_the_shutdown_and_the_data_plane_ends() {
    let server = Server::start(Kind::MySql);
    let mut proxy = DataPlane::start(settings(server));
    let mut raw = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    assert_eq!(proxy.registry.totals().connections, 1);
    proxy.shut_down();
    let (_, payload) = raw.read().unwrap();
    assert_eq!(u16::from_le_bytes([payload[1], payload[2]]), 4031);
    assert!(raw.read().is_none());
    proxy.wait();
    assert_eq!(proxy.registry.totals().connections, 0);
}

#[test]
fn a_server_that_is_down_is_an_error_at_login() {
    let mut settings = settings(Server::start(Kind::MySql));
    // A port that nobody listens on: it was free a moment ago.
    settings.server.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = DataPlane::start(settings);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    assert_eq!(&answer[3..7], [0, 0xff, 0x95, 0x05], "sequence 0, ERR 1429");
}

#[test]
fn the_connection_limit_is_kept() {
    let server = Server::start(Kind::MySql);
    let mut settings = settings(server);
    settings.limits.connections_max = 1;
    let proxy = DataPlane::start(settings);
    let _first = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    assert_eq!(&answer[4..7], [0xff, 0x10, 0x04], "ERR 1040");
}

#[test]
fn clients_that_are_too_many_to_be_told_are_closed() {
    let server = Server::start(Kind::MySql);
    let mut settings = settings(server);
    settings.limits.connections_max = 1;
    settings.limits.turned_away_max = 0;
    let proxy = DataPlane::start(settings);
    let mut first = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    assert!(answer.is_empty(), "{answer:?}");
    assert_eq!(error_code(&first.query("SELECT 1")), 0, "who has a place keeps it");
}

#[test]
fn a_command_above_the_limit_is_an_error_and_the_end() {
    let server = Server::start(Kind::MySql);
    let mut settings = settings(server);
    settings.limits.command_bytes_max = 1000;
    let proxy = DataPlane::start(settings);
    let mut raw = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    let fits = format!("SELECT '{}'", "x".repeat(900));
    assert_eq!(error_code(&raw.query(&fits)), 0);
    // The header alone says it.
    raw.send_bytes(&[0xe9, 3, 0, 0]);
    let (_, payload) = raw.read().unwrap();
    assert_eq!(u16::from_le_bytes([payload[1], payload[2]]), 1153);
    assert!(raw.read().is_none());
}

#[test]
fn packets_out_of_order_are_an_error_and_the_end() {
    let server = Server::start(Kind::MySql);
    let proxy = DataPlane::start(settings(server));
    let mut raw = Raw::login(proxy.port, Capabilities::DEPRECATE_EOF);
    raw.send(b"\x0e", 5);
    let (_, payload) = raw.read().unwrap();
    assert_eq!(u16::from_le_bytes([payload[1], payload[2]]), 1156);
    assert!(raw.read().is_none());
}
