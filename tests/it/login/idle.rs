//! What a server says, or does not say, to a client that it finds idle for too long.

use super::{Front, Kind, Login, Raw, Tls, error_code};

/// All that comes without being asked for.
fn unasked(port: u16, front: &Front, client: Tls) -> Vec<(u8, Vec<u8>)> {
    let login = Login { transport: front.transport(client), ..Login::default() };
    let mut raw = Raw::open(port, &login);
    assert_eq!(error_code(&raw.query("SET SESSION wait_timeout = 1, SESSION interactive_timeout = 1")), 0);
    std::iter::from_fn(|| raw.read()).collect()
}

#[test]
fn the_server_s_last_word_to_an_idle_client_is_passed_on() {
    for kind in [Kind::MySql, Kind::MariaDb] {
        let front = Front::of(kind);
        std::thread::scope(|scope| {
            let direct = scope.spawn(|| unasked(front.server.port, front, Tls::Off));
            let through = [(Tls::Off, Tls::Off), (Tls::On, Tls::On)]
                .map(|(client, server)| scope.spawn(move || unasked(front.port(server), front, client)));
            let direct = direct.join().unwrap();
            match kind {
                Kind::MySql => assert_eq!(error_code(&direct), 4031),
                // It closes without a word.
                Kind::MariaDb => assert_eq!(direct, []),
            }
            for through in through {
                assert_eq!(through.join().unwrap(), direct, "{kind:?}");
            }
        });
    }
}
