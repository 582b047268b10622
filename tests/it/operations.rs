//! Running the program: what its signals, limits, commands and messages do, as an operator meets them. Each thing that
//! works stands beside the one that is refused.

mod check;
mod commands;
mod drain;
mod explain;
mod explain_connection;
mod firewall_test;
mod limits;
mod readiness;
mod reload;

use std::net::TcpStream;

use mysql_async::Conn;

use crate::support::proxy::{PATIENCE, wait_until};
use crate::support::server::Server;
use crate::support::shop::{Answer, Shop, text};

/// A lock that one connection holds, so that statements which ask for it run until it is given back.
struct HeldLock {
    holder: Conn,
    name: String,
}

impl HeldLock {
    async fn take(shop: &Shop<'_>) -> Self {
        let (mut holder, name) = (shop.direct().await, format!("lock {}", shop.database));
        let taken = text(&mut holder, format!("SELECT GET_LOCK('{name}', 0)")).await;
        assert_eq!(taken.cells(), [[Some("1".to_owned())]]);
        Self { holder, name }
    }

    /// A statement that runs until the lock is given back.
    fn statement(&self) -> String {
        format!("SELECT GET_LOCK('{}', 50)", self.name)
    }

    async fn give_back(mut self) {
        text(&mut self.holder, "DO RELEASE_ALL_LOCKS()").await;
    }
}

/// Waits until the server works on a statement with these words.
fn wait_running(server: &Server, words: &str) {
    tokio::task::block_in_place(|| wait_until("the statement runs", || is_running(server, words)));
}

fn is_running(server: &Server, words: &str) -> bool {
    server.sql("SHOW FULL PROCESSLIST").contains(words)
}

/// The code of an ERR packet's payload.
fn code(payload: &[u8]) -> u16 {
    assert_eq!(payload.first(), Some(&0xff), "no error: {payload:?}");
    u16::from_le_bytes([payload[1], payload[2]])
}

/// The connection was ended by the other side, which may have said why to a client that does not speak.
fn is_over(answer: &Answer) -> bool {
    matches!(answer, Answer::Lost | Answer::Refused { code: 4031, .. })
}

/// A TCP connection to a proxy that says nothing.
fn silent(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
