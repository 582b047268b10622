//! An account whose password has expired: it gets in if the client says that it can cope, sets another password, and is
//! an ordinary one from then on. Until then nothing else is answered, whatever its role.

use super::{Capabilities, Kind, Login, Raw, Tls, assert_refused, assert_user, error_code};
use crate::support::shop::{SECRET, Shop, Who};

/// `CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS`.
const CAN_COPE: Capabilities = Capabilities::from_bits_retain(1 << 22);

/// A shop, and one of its accounts that has to set another password.
fn expired(kind: Kind, who: Who) -> (Shop<'static>, String) {
    let shop = Shop::open(kind);
    let user = shop.account(who);
    shop.deployment.server.sql(&format!("ALTER USER {user} PASSWORD EXPIRE"));
    (shop, user)
}

fn login<'a>(user: &'a str, password: &'a str) -> Login<'a> {
    let capabilities = Login::default().capabilities | Capabilities::SESSION_TRACK | CAN_COPE;
    Login { user, password, plugin: "caching_sha2_password", capabilities, ..Login::default() }
}

/// Everything but what sets a password is refused as the server itself does it.
fn assert_nothing_else(raw: &mut Raw, shop: &Shop<'_>) {
    for sql in [
        "SELECT 1",
        "SELECT phone FROM customers",
        "SET @a = 1",
        "SET SESSION session_track_system_variables = ''",
        "SET PASSWORD = (SELECT phone FROM customers)",
        "BEGIN",
        "DO 1",
        "no statement",
        "ALTER USER 'open",
        "",
    ] {
        assert_eq!(error_code(&raw.query(sql)), 1820, "{sql}");
    }
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 1820);
    assert_eq!(error_code(&raw.command(format!("\x02{}", shop.database).as_bytes())), 1820);
    assert_eq!(error_code(&raw.prepare("ALTER USER USER() IDENTIFIED BY 'another'").1), 1820);
    assert_eq!(error_code(&raw.command(b"\x04customers\0%")), 1820);
    raw.statement(0x19, 1, b"");
    assert_eq!(error_code(&raw.command(b"\x0e")), 0, "ping");
}

fn sets_another_password_first(kind: Kind) {
    for (who, phone) in [(Who::Application, 0), (Who::Engineer, 1143)] {
        let (shop, user) = expired(kind, who);
        let mut raw = Raw::open(shop.proxy.port, &login(&user, SECRET));
        assert_eq!(raw.welcome.1.first(), Some(&0), "{}", raw.welcome.1.escape_ascii());
        assert_nothing_else(&mut raw, &shop);
        // A statement of the right kind that fails changes nothing.
        assert_ne!(error_code(&raw.query("SET PASSWORD = 7")), 0);
        assert_nothing_else(&mut raw, &shop);
        // A reset is no way out.
        raw.command(b"\x1f");
        assert_nothing_else(&mut raw, &shop);

        let set = match kind {
            Kind::MySql => "/* by policy */ ALTER USER USER() IDENTIFIED BY 'another-password'",
            Kind::MariaDb => "SET PASSWORD = PASSWORD('another-password')",
        };
        assert_eq!(error_code(&raw.query(set)), 0);
        assert_user(&mut raw, &user);
        assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
        assert_eq!(error_code(&raw.query("SELECT phone FROM customers")), phone, "{who:?}");
        assert_eq!(error_code(&raw.query("SELECT name FROM customers")), 0);
        // SQL modes are followed, and the client hears of no variable that it did not ask for.
        let packets = raw.query("SET sql_mode = 'ANSI_QUOTES'");
        let reported = packets[0].1.windows(8).any(|window| window == b"sql_mode");
        assert!(!reported, "{}", packets[0].1.escape_ascii());
        assert_eq!(error_code(&raw.query("SELECT \"phone\" FROM customers")), phone, "{who:?}");

        let mut old = Raw::open(shop.proxy.port, &login(&user, SECRET));
        assert_refused(&mut old, 1045, "28000");
        assert_user(&mut Raw::open(shop.proxy.port, &login(&user, "another-password")), &user);
    }
}

#[test]
fn sets_another_password_first_on_mysql() {
    sets_another_password_first(Kind::MySql);
}

#[test]
fn sets_another_password_first_on_mariadb() {
    sets_another_password_first(Kind::MariaDb);
}

#[test]
fn a_client_that_cannot_cope_is_refused_by_the_server() {
    let (shop, user) = expired(Kind::MySql, Who::Application);
    let capabilities = Login::default().capabilities;
    let mut raw = Raw::open(shop.proxy.port, &Login { capabilities, ..login(&user, SECRET) });
    assert_refused(&mut raw, 1862, "HY000");
}

#[test]
fn the_refusal_is_the_server_s_own() {
    let front = super::Front::of(Kind::MySql);
    let user = front.account("expired", &format!("IDENTIFIED BY '{SECRET}' PASSWORD EXPIRE"));
    let [direct, through] = [front.server.port, front.port(Tls::Off)].map(|port| {
        let mut raw = Raw::open(port, &login(&user, SECRET));
        [raw.welcome.1.clone(), raw.query("SELECT 1").remove(0).1, raw.command(b"\x0e").remove(0).1]
    });
    assert_eq!(through, direct);
}

#[test]
fn a_change_of_user_leads_in_and_not_out() {
    let (shop, user) = expired(Kind::MySql, Who::Application);
    let engineer = shop.account(Who::Engineer);
    let mut raw = Raw::open(shop.proxy.port, &login(&engineer, SECRET));
    assert_user(&mut raw, &engineer);
    raw.change_user(&login(&user, SECRET), "");
    assert_eq!(raw.welcome.1.first(), Some(&0), "{}", raw.welcome.1.escape_ascii());
    assert_nothing_else(&mut raw, &shop);
    // The server does not let it out again either, and who fails to change is not kept.
    raw.change_user(&login(&engineer, SECRET), &shop.database);
    assert_refused(&mut raw, 1820, "HY000");
}

/// Whoever may change other accounts may not do it in this state either, in which nobody knows his role.
fn changes_no_other_account(kind: Kind) {
    let (shop, user) = expired(kind, Who::Engineer);
    let application = shop.account(Who::Application);
    shop.deployment.server.sql(&format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION"));
    let mut raw = Raw::open(shop.proxy.port, &login(&user, SECRET));
    assert_eq!(raw.welcome.1.first(), Some(&0), "{}", raw.welcome.1.escape_ascii());
    for sql in [
        format!("ALTER USER {application} IDENTIFIED BY 'taken'"),
        format!("ALTER USER {application} IDENTIFIED BY 'taken', CURRENT_USER() IDENTIFIED BY 'own'"),
        format!("ALTER USER CURRENT_USER() IDENTIFIED BY 'own', {application} IDENTIFIED BY 'taken'"),
        format!("SET PASSWORD FOR {application} = 'taken'"),
        format!("SET PASSWORD FOR {application} = PASSWORD('taken')"),
        format!("SET PASSWORD = PASSWORD('own'), PASSWORD FOR {application} = PASSWORD('taken')"),
    ] {
        let code = error_code(&raw.query(&sql));
        let taken = Raw::open(shop.proxy.port, &login(&application, SECRET));
        assert!(code != 0 && taken.welcome.1.first() == Some(&0), "{sql}: {code}");
    }
}

#[test]
fn changes_no_other_account_on_mysql() {
    changes_no_other_account(Kind::MySql);
}

#[test]
fn changes_no_other_account_on_mariadb() {
    changes_no_other_account(Kind::MariaDb);
}
