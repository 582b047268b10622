//! Logins and what resembles them: every authentication plugin that the servers at hand load, over each combination of
//! TLS on the two sides; the same login straight at the server is what a client must see.
//!
//! Not here, because no server at hand loads them: `client_ed25519`, `parsec`, and the plugins that take a password in
//! clear. MySQL 9.7 has no `mysql_native_password` any more; MariaDB's is used.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use candado::wire::Capabilities;

use crate::support::data_plane::{DataPlane, settings};
use crate::support::proxy::Tls;
use crate::support::raw::{Login, Raw, Step, Transport, error_code};
use crate::support::server::{Kind, Server};
use crate::support::tls;

mod change_user;
mod expired;
mod idle;
mod matrix;
mod tls_request;

/// A server with two data planes in front, one for each security towards it; both offer TLS to clients.
struct Front {
    server: &'static Server,
    plain: DataPlane,
    tls: DataPlane,
}

impl Front {
    fn of(kind: Kind) -> &'static Self {
        static FRONTS: [OnceLock<Front>; 2] = [const { OnceLock::new() }; 2];
        FRONTS[kind as usize].get_or_init(|| {
            let server = Server::start(kind);
            let mut settings = settings(server);
            settings.client_tls = tls::offered(server);
            let plain = DataPlane::start(settings.clone());
            settings.server.tls = tls::required(server);
            Self { server, plain, tls: DataPlane::start(settings) }
        })
    }

    fn port(&self, to_server: Tls) -> u16 {
        match to_server {
            Tls::Off => self.plain.port,
            Tls::On => self.tls.port,
        }
    }

    fn transport(&self, of_client: Tls) -> Transport {
        match of_client {
            Tls::Off => Transport::Plain,
            Tls::On => Transport::Tls(tls::trust(self.server)),
        }
    }

    /// Creates an account of the caller's own, with what follows its name in CREATE USER; returns the name.
    fn account(&self, purpose: &str, identified: &str) -> String {
        let name = self.server.database(purpose);
        self.server.sql(&format!("CREATE USER `{name}` {identified}; GRANT ALL ON `{name}`.* TO `{name}`"));
        name
    }
}

/// Held by whoever expects the server to know, or not to know, that a password was right: it forgets all at once.
fn verified_passwords() -> MutexGuard<'static, ()> {
    static VERIFIED: Mutex<()> = Mutex::new(());
    // A test that failed has left nothing behind.
    VERIFIED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session works, and belongs to that user.
fn assert_user(raw: &mut Raw, user: &str) {
    assert_eq!(raw.welcome.1.first(), Some(&0), "no OK: {}", raw.welcome.1.escape_ascii());
    let packets = raw.query("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)");
    assert_eq!(error_code(&packets), 0, "{packets:?}");
    let row = &packets[packets.len() - 2].1;
    assert_eq!(&row[1..], user.as_bytes());
}

/// The login ended with that error, and the connection with it.
fn assert_refused(raw: &mut Raw, code: u16, state: &str) {
    let (_, payload) = raw.welcome.clone();
    assert_eq!(error_code(&[(0, payload.clone())]), code, "{}", payload.escape_ascii());
    assert_eq!(&payload[3..9], format!("#{state}").as_bytes());
    assert!(raw.read().is_none(), "the connection stays open");
}
