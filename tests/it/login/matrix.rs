//! Plugins by security of either side. A wrong password is refused in every cell.

use super::{Capabilities, Front, Kind, Login, Raw, Step, Tls, assert_refused, assert_user, verified_passwords};

const SECRET: &str = "a password of some length, not a short one";
/// Security of the client's side and of the server's.
pub(super) const CELLS: [(Tls, Tls); 4] =
    [(Tls::Off, Tls::Off), (Tls::On, Tls::On), (Tls::On, Tls::Off), (Tls::Off, Tls::On)];

/// One login through the proxy, and the same straight at the server: the client must not see a difference, but for the
/// key that it encrypts for.
fn twin(front: &Front, (client, server): (Tls, Tls), login: &Login<'_>, before: impl Fn()) -> Raw {
    let login = Login { transport: front.transport(client), ..login.clone() };
    before();
    let direct = Raw::open(front.server.port, &login);
    before();
    let through = Raw::open(front.port(server), &login);
    let masked = |raw: &Raw| -> Vec<_> {
        let mask = |step: &Step| match step {
            Step::Key(_) => Step::Key(vec![]),
            Step::Switch(_) | Step::Fast | Step::Full => step.clone(),
        };
        raw.steps.iter().map(|(sequence, step)| (*sequence, mask(step))).collect()
    };
    assert_eq!(masked(&through), masked(&direct), "client {client:?}, server {server:?}, {}", login.plugin);
    assert_eq!(through.welcome, direct.welcome, "client {client:?}, server {server:?}, {}", login.plugin);
    through
}

fn has(raw: &Raw, wanted: &Step) -> bool {
    raw.steps.iter().any(|(_, step)| step == wanted)
}

fn key(raw: &Raw) -> Option<&[u8]> {
    raw.steps.iter().find_map(|(_, step)| match step {
        Step::Key(pem) => Some(pem.as_slice()),
        Step::Switch(_) | Step::Fast | Step::Full => None,
    })
}

#[test]
fn caching_sha2_password_in_every_cell() {
    let _alone = verified_passwords();
    let front = Front::of(Kind::MySql);
    let user = front.account("sha2", &format!("IDENTIFIED BY '{SECRET}'"));
    let own_key = front.server.sql("SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'");
    let own_key = own_key.split_once('\t').unwrap().1.replace("\\n", "\n");
    // The server forgets what it has verified once: it wants the password itself again.
    let forget = || drop(front.server.sql("FLUSH PRIVILEGES"));
    for cell in CELLS {
        for plugin in ["caching_sha2_password", "mysql_native_password"] {
            let right = Login { user: &user, password: SECRET, plugin, ..Login::default() };
            let wrong = Login { password: "a password of some length, not a short two", ..right.clone() };

            let mut full = twin(front, cell, &right, forget);
            assert!(has(&full, &Step::Full), "{:?}", full.steps);
            assert_user(&mut full, &user);
            match cell {
                (Tls::On, _) => assert_eq!(key(&full), None, "inside TLS no key is asked for"),
                (Tls::Off, Tls::Off) => assert_eq!(key(&full).unwrap().trim_ascii(), own_key.trim().as_bytes()),
                (Tls::Off, Tls::On) => assert_ne!(key(&full).unwrap().trim_ascii(), own_key.trim().as_bytes()),
            }

            let mut fast = twin(front, cell, &right, || {});
            assert!(has(&fast, &Step::Fast) && !has(&fast, &Step::Full), "{:?}", fast.steps);
            assert_user(&mut fast, &user);

            let mut refused = twin(front, cell, &wrong, || {});
            assert_refused(&mut refused, 1045, "28000");
            let mut refused = twin(front, cell, &wrong, forget);
            assert!(has(&refused, &Step::Full), "{:?}", refused.steps);
            assert_refused(&mut refused, 1045, "28000");
        }
    }
}

#[test]
fn an_account_without_a_password_in_every_cell() {
    for (kind, plugin) in [(Kind::MySql, "caching_sha2_password"), (Kind::MariaDb, "mysql_native_password")] {
        let front = Front::of(kind);
        let user = front.account("none", "");
        for cell in CELLS {
            let right = Login { user: &user, plugin, ..Login::default() };
            assert_user(&mut twin(front, cell, &right, || {}), &user);
            let mut refused = twin(front, cell, &Login { password: "x", ..right }, || {});
            assert_refused(&mut refused, 1045, "28000");
        }
    }
}

#[test]
fn mysql_native_password_in_every_cell() {
    let front = Front::of(Kind::MariaDb);
    let user = front.account("native", &format!("IDENTIFIED BY '{SECRET}'"));
    for cell in CELLS {
        for plugin in ["mysql_native_password", "caching_sha2_password"] {
            let right = Login { user: &user, password: SECRET, plugin, ..Login::default() };
            let mut raw = twin(front, cell, &right, || {});
            assert_user(&mut raw, &user);
            let switched = has(&raw, &Step::Switch("mysql_native_password".to_owned()));
            assert_eq!(switched, plugin != "mysql_native_password", "{:?}", raw.steps);
            let mut refused = twin(front, cell, &Login { password: "wrong", ..right }, || {});
            assert_refused(&mut refused, 1045, "28000");
        }
    }
}

/// Where the two sides are alike, its packets pass as they are. Where they differ, it is refused before a password is
/// sent: what it sends depends on the security that the client sees.
#[test]
fn sha256_password_between_equal_sides_only() {
    let front = Front::of(Kind::MySql);
    let user = front.account("sha256", &format!("IDENTIFIED WITH sha256_password BY '{SECRET}'"));
    for (client, server) in CELLS {
        for plugin in ["sha256_password", "caching_sha2_password"] {
            let right = Login { user: &user, password: SECRET, plugin, ..Login::default() };
            if client == server {
                assert_user(&mut twin(front, (client, server), &right, || {}), &user);
                let mut refused = twin(front, (client, server), &Login { password: "wrong", ..right }, || {});
                assert_refused(&mut refused, 1045, "28000");
            } else {
                let login = Login { transport: front.transport(client), ..right };
                let mut refused = Raw::open(front.port(server), &login);
                assert_eq!(refused.steps, [], "the client was asked for a password");
                assert_refused(&mut refused, 1251, "08004");
            }
        }
    }
}

#[test]
fn capabilities_do_not_change_the_login() {
    let _alone = verified_passwords();
    let front = Front::of(Kind::MySql);
    let user = front.account("caps", &format!("IDENTIFIED BY '{SECRET}'"));
    // The first login takes the password itself, the others do not.
    let first = Login { user: &user, password: SECRET, plugin: "caching_sha2_password", ..Login::default() };
    Raw::open(front.server.port, &first);
    for capabilities in [Capabilities::empty(), Capabilities::SESSION_TRACK, Capabilities::DEPRECATE_EOF] {
        for cell in CELLS {
            let login = Login { capabilities, ..first.clone() };
            assert_user(&mut twin(front, cell, &login, || {}), &user);
        }
    }
}
