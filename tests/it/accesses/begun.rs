//! Mode strict: of a result that does not come in one go, no row goes out before the record says that it begins. Here the
//! record's daemon starts again, so that the first record after that is not taken and the next one is.

use std::fs;
use std::os::unix::net::UnixDatagram;

use super::{Archive, utf8};
use crate::searches::granting;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, PATIENCE, Tls};
use crate::support::raw::{Login, Packet, Raw, error_code};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, text};

on_each_server!(
    a_result_that_is_not_recorded_to_begin_shows_no_row,
    a_search_whose_answer_is_not_recorded_to_begin_is_recorded_as_refused,
);

/// Rows that are found, and bytes of each: more than is gathered before anything goes out.
const ROWS: usize = 60;
const WIDTH: usize = 20_000;
const NOT_RECORDED: u16 = 1105;

/// The daemon that takes the record, and what all before it have taken.
struct Daemon {
    socket: UnixDatagram,
    path: String,
    lines: Vec<String>,
}

impl Daemon {
    fn start(archive: &Archive) -> Self {
        let path = archive.path("daemon");
        Self { socket: bind(&path), path, lines: Vec::new() }
    }

    /// `[audit]` for a proxy.
    fn section(&self, archive: &Archive) -> String {
        let (key, address) = (archive.path("access.key"), &self.path);
        format!("[audit]\nmode = \"strict\"\nkey_file = \"{key}\"\nsyslog = {{ address = \"unix:{address}\" }}\n")
    }

    /// Ends it, and starts it again with a socket of the same name.
    fn restart(&mut self) {
        fs::remove_file(&self.path).unwrap();
        self.socket = bind(&self.path);
    }

    /// The fields of the next record.
    fn next(&mut self) -> Vec<String> {
        let mut bytes = vec![0; 1 << 16];
        let length = self.socket.recv(&mut bytes).expect("a record");
        bytes.truncate(length);
        let message = utf8(&bytes);
        let (_, line) = message.split_once(" - ").expect("a message without structured data");
        self.lines.push(line.to_owned());
        line.split('\t').map(str::to_owned).collect()
    }

    /// Outcome, rows, cells opened and masked, and columns of the next access. A record that nothing was lost may stand
    /// before it.
    fn next_access(&mut self) -> [String; 5] {
        let mut fields = self.next();
        if fields[0] == "g" {
            assert_eq!(fields[3], "0", "nothing is lost");
            fields = self.next();
        }
        assert_eq!(fields[0], "a", "{fields:?}");
        fields[10..15].to_vec().try_into().unwrap()
    }

    /// Checks that all of the record is there, in its order, that so many accesses ended in it, and that none was lost.
    fn verify(&self, archive: &Archive, accesses: u64) {
        fs::write(archive.file(), self.lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let (code, verdict) = archive.verify();
        assert_eq!((code, &verdict["accesses"], &verdict["lost"]), (0, &accesses.into(), &0.into()), "{verdict}");
    }
}

fn bind(path: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

async fn fill(shop: &Shop<'_>) {
    let rows: Vec<String> = (0..ROWS).map(|_| "('090-1111-4444')".to_owned()).collect();
    let sql = format!("INSERT INTO customers (phone) VALUES {}", rows.join(", "));
    assert!(matches!(text(&mut shop.connect(Who::Application).await, sql).await, Answer::Done { .. }));
}

fn by_hand(shop: &Shop<'_>, who: Who) -> Raw {
    let mut raw = Raw::open(shop.proxy.port, &Login { user: &shop.account(who), password: SECRET, ..Login::default() });
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    raw
}

/// How many rows of these came.
fn rows(packets: &[Packet]) -> usize {
    packets.iter().filter(|(_, payload)| payload.len() > WIDTH).count()
}

/// How rows are asked for.
#[derive(Clone, Copy, Debug)]
enum Way {
    Text,
    Prepared,
    Cursor,
}

impl Way {
    fn ask(self, raw: &mut Raw, sql: &str) -> Vec<Packet> {
        if let Self::Text = self {
            return raw.query(sql);
        }
        let (id, _) = raw.prepare(sql);
        let cursor = u8::from(matches!(self, Self::Cursor));
        let answer = raw.statement(0x17, id, &[cursor, 1, 0, 0, 0]);
        if let Self::Cursor = self {
            assert!(error_code(&answer) == 0 && rows(&answer) == 0, "a cursor is open");
            return raw.statement(0x1c, id, &u32::try_from(ROWS).unwrap().to_le_bytes());
        }
        answer
    }
}

async fn a_result_that_is_not_recorded_to_begin_shows_no_row(kind: Kind) {
    let archive = Archive::open(kind);
    let mut daemon = Daemon::start(&archive);
    let shop = Shop::open_with_limits(Deployment::shared(kind), &daemon.section(&archive));
    fill(&shop).await;
    assert_eq!([&daemon.next()[0], &daemon.next()[0]], ["h", "s"]);
    let sql = format!("SELECT phone, REPEAT('x', {WIDTH}) FROM customers");
    let mut raw = by_hand(&shop, Who::Application);
    let column = format!("{}.customers.phone", shop.database);
    let begun = ["begun", "0", "0", "0", &format!("{column}=0/0")];
    let complete = ["complete", "60", "60", "0", &format!("{column}=60/0")];
    for way in [Way::Text, Way::Prepared, Way::Cursor] {
        daemon.restart();
        let refused = way.ask(&mut raw, &sql);
        assert_eq!((error_code(&refused), rows(&refused)), (NOT_RECORDED, 0), "{way:?}");
        // In step, and recorded again. Nothing was shown, so there is nothing else to tell.
        let shown = way.ask(&mut raw, &sql);
        assert_eq!((error_code(&shown), rows(&shown)), (0, ROWS), "{way:?}");
        assert_eq!(daemon.next()[0], "g", "what asks whether records are taken");
        assert_eq!(daemon.next_access(), begun, "{way:?}");
        assert_eq!(daemon.next_access(), complete, "{way:?}");
    }
    daemon.verify(&archive, 3);
}

async fn a_search_whose_answer_is_not_recorded_to_begin_is_recorded_as_refused(kind: Kind) {
    let archive = Archive::open(kind);
    let mut daemon = Daemon::start(&archive);
    let section = daemon.section(&archive);
    let shop = Shop::open_with(Deployment::shared(kind), |database| granting(database, 100), Tls::Off, &section);
    fill(&shop).await;
    assert_eq!([&daemon.next()[0], &daemon.next()[0]], ["h", "s"]);
    let mut raw = by_hand(&shop, Who::Engineer);
    let column = format!("{}.customers.phone", shop.database);
    let mut accesses = 0;
    // One whose rows show masks, and one whose rows show nothing protected.
    for (shown, cells) in [("phone", "60"), ("id", "0")] {
        let sql = format!("SELECT {shown}, REPEAT('x', {WIDTH}) FROM customers WHERE phone = '090-1111-4444'");
        let searched = |masked: &str| format!("{column}=0/{masked}/0/1");
        for way in [Way::Text, Way::Prepared] {
            daemon.restart();
            let refused = way.ask(&mut raw, &sql);
            assert_eq!((error_code(&refused), rows(&refused)), (NOT_RECORDED, 0), "{sql} {way:?}");
            // It was made, whatever became of its answer.
            assert_eq!(daemon.next_access(), ["refused", "0", "0", "0", &searched("0")], "{sql} {way:?}");
            let found = way.ask(&mut raw, &sql);
            assert_eq!((error_code(&found), rows(&found)), (0, ROWS), "{sql} {way:?}");
            assert_eq!(daemon.next_access(), ["begun", "0", "0", "0", &searched("0")], "{sql} {way:?}");
            assert_eq!(daemon.next_access(), ["complete", "60", "0", cells, &searched(cells)], "{sql} {way:?}");
            accesses += 2;
        }
    }
    daemon.verify(&archive, accesses);
}
