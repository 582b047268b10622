//! COM_CHANGE_USER and COM_RESET_CONNECTION: nothing of the session before survives in the session after, neither rights
//! nor prepared statements nor what was known of its variables.

use super::{Kind, Login, Raw, Step, assert_refused, assert_user, error_code};
use crate::support::shop::{SECRET, Shop, Who};

/// Makes one test per server kind, without a runtime: the raw client blocks.
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => {
        mod mysql { $(#[test] fn $test() { super::$test(super::Kind::MySql); })+ }
        mod mariadb { $(#[test] fn $test() { super::$test(super::Kind::MariaDb); })+ }
    };
}

on_each_server!(
    rights_are_those_of_the_new_account,
    a_failed_change_ends_the_connection,
    a_command_inside_the_exchange_is_not_run,
    a_reset_forgets_statements_and_variables,
);

/// What is read as a string or as a name, by the session's SQL mode: the column in ANSI_QUOTES.
const QUOTED: &str = "SELECT \"phone\" FROM customers";

fn login(user: &str) -> Login<'_> {
    Login { user, password: SECRET, plugin: "caching_sha2_password", ..Login::default() }
}

/// A connection of that account with the shop's database.
fn open(shop: &Shop<'_>, who: Who) -> Raw {
    let user = shop.account(who);
    let mut raw = Raw::open(shop.proxy.port, &login(&user));
    assert_user(&mut raw, &user);
    assert_eq!(error_code(&raw.query(&format!("USE {}", shop.database))), 0);
    raw
}

fn change(raw: &mut Raw, shop: &Shop<'_>, who: Who) {
    let user = shop.account(who);
    raw.change_user(&login(&user), &shop.database);
    assert_user(raw, &user);
}

/// A shop with one customer.
fn shop(kind: Kind) -> Shop<'static> {
    let shop = Shop::open(kind);
    let mut raw = open(&shop, Who::Application);
    let sql = "INSERT INTO customers (id, name, phone) VALUES (1, 'ana', '090-1234-5678')";
    assert_eq!(error_code(&raw.query(sql)), 0);
    shop
}

/// The only cell of the only row; the error's code if there is one.
fn cell(raw: &mut Raw, sql: &str) -> Result<String, u16> {
    let packets = raw.query(sql);
    match error_code(&packets) {
        0 => Ok(String::from_utf8(packets[packets.len() - 2].1[1..].to_vec()).unwrap()),
        code => Err(code),
    }
}

fn rights_are_those_of_the_new_account(kind: Kind) {
    let shop = shop(kind);
    let phone = Ok("090-1234-5678".to_owned());
    let mut raw = open(&shop, Who::Application);
    let (statement, packets) = raw.prepare("SELECT phone FROM customers");
    assert_eq!(error_code(&packets), 0);
    assert_eq!(error_code(&raw.query("SET sql_mode = 'ANSI_QUOTES'")), 0);
    assert_eq!(cell(&mut raw, QUOTED), phone);

    change(&mut raw, &shop, Who::Engineer);
    assert_eq!(cell(&mut raw, "SELECT phone FROM customers"), Err(1143));
    assert_eq!(cell(&mut raw, "SELECT name FROM customers"), Ok("ana".to_owned()));
    assert_eq!(error_code(&raw.statement(0x17, statement, b"\0\x01\0\0\0")), 1243, "statements are gone");
    assert_eq!(error_code(&raw.prepare("SELECT phone FROM customers").1), 1143);
    // The server's own SQL mode again.
    assert_eq!(cell(&mut raw, QUOTED), Ok("phone".to_owned()));
    assert_eq!(error_code(&raw.query("SET sql_mode = 'ANSI_QUOTES'")), 0);
    assert_eq!(cell(&mut raw, QUOTED), Err(1143));

    change(&mut raw, &shop, Who::Application);
    assert_eq!(cell(&mut raw, "SELECT phone FROM customers"), phone);
    assert_eq!(cell(&mut raw, QUOTED), Ok("phone".to_owned()));
    // The mode is followed after the change as it was before it.
    assert_eq!(error_code(&raw.query("SET sql_mode = 'ANSI_QUOTES'")), 0);
    assert_eq!(cell(&mut raw, QUOTED), phone);

    change(&mut raw, &shop, Who::Nobody);
    assert_eq!(cell(&mut raw, "SELECT phone FROM customers"), Err(1143));
}

fn a_failed_change_ends_the_connection(kind: Kind) {
    let shop = shop(kind);
    let user = shop.account(Who::Engineer);
    for (name, password) in [(user.as_str(), "wrong"), ("it_nobody_of_that_name", SECRET)] {
        let mut raw = open(&shop, Who::Application);
        raw.change_user(&Login { user: name, password, ..login(name) }, &shop.database);
        assert_refused(&mut raw, 1045, "28000");
    }
    // The database may not be used: the account was let in, and the connection ends all the same.
    let mut raw = open(&shop, Who::Application);
    raw.change_user(&login(&user), "it_no_database_of_that_name");
    assert!([1044, 1049].contains(&error_code(&[raw.welcome.clone()])), "{:?}", raw.welcome);
    // Whoever is left in, if anybody, has no rights of the account before.
    raw.send(b"\x03SELECT phone FROM customers", 0);
    if let Some(packet) = raw.read() {
        assert_ne!(error_code(&[packet]), 0);
    }
}

fn a_command_inside_the_exchange_is_not_run(kind: Kind) {
    let shop = shop(kind);
    let before = shop.stored("phone", 1);
    let user = shop.account(Who::Engineer);
    let command = b"\x03UPDATE customers SET phone = NULL";
    for sequence in [0, 1, 2, 3, 4, 5] {
        let mut raw = open(&shop, Who::Application);
        let mut bytes = Vec::new();
        let payload = raw.change_user_payload(&login(&user), &shop.database);
        candado::wire::packet::put(&payload, 0, &mut bytes);
        for _ in 0..3 {
            candado::wire::packet::put(command, sequence, &mut bytes);
        }
        raw.send_bytes(&bytes);
        while raw.read().is_some() {}
        assert_eq!(shop.stored("phone", 1), before, "sequence id {sequence}");
    }
}

fn a_reset_forgets_statements_and_variables(kind: Kind) {
    let shop = shop(kind);
    let phone = Ok("090-1234-5678".to_owned());
    let mut raw = open(&shop, Who::Application);
    let (statement, _) = raw.prepare("SELECT phone FROM customers");
    assert_eq!(error_code(&raw.statement(0x17, statement, b"\0\x01\0\0\0")), 0);
    for _ in 0..2 {
        assert_eq!(error_code(&raw.query("SET sql_mode = 'ANSI_QUOTES'")), 0);
        assert_eq!(cell(&mut raw, QUOTED), phone);
        assert_eq!(error_code(&raw.command(b"\x1f")), 0);
        assert_eq!(error_code(&raw.statement(0x17, statement, b"\0\x01\0\0\0")), 1243);
        assert_eq!(cell(&mut raw, QUOTED), Ok("phone".to_owned()), "a string again");
        assert_eq!(cell(&mut raw, "SELECT phone FROM customers"), phone, "the account is the same");
    }
    // Reports come after the reset as well: the text does not say what the mode becomes.
    let mut raw = open(&shop, Who::Engineer);
    assert_eq!(error_code(&raw.command(b"\x1f")), 0);
    assert_eq!(cell(&mut raw, QUOTED), Ok("phone".to_owned()));
    assert_eq!(error_code(&raw.query("SET sql_mode = CONCAT('ANSI', '_', 'QUOTES')")), 0);
    assert_eq!(cell(&mut raw, QUOTED), Err(1143));
}

/// The server has to ask for the password itself: it has never seen the account.
#[test]
fn a_change_takes_the_full_exchange_where_the_server_wants_it() {
    let _alone = super::verified_passwords();
    for (client, server) in super::matrix::CELLS {
        let front = super::Front::of(Kind::MySql);
        let user = front.account("change", &format!("IDENTIFIED BY '{SECRET}'"));
        let transport = front.transport(client);
        let mut raw = Raw::open(front.port(server), &Login { transport, ..Login::default() });
        assert_user(&mut raw, "root");
        raw.change_user(&login(&user), &user);
        assert!(raw.steps.iter().any(|(_, step)| *step == Step::Full), "{:?}", raw.steps);
        assert_user(&mut raw, &user);
        // Back and forth, now by the challenge alone.
        raw.change_user(&Login::default(), "");
        assert_user(&mut raw, "root");
        raw.change_user(&login(&user), &user);
        assert!(raw.steps.iter().any(|(_, step)| *step == Step::Fast), "{:?}", raw.steps);
        assert_user(&mut raw, &user);
        raw.change_user(&Login { password: "wrong", ..login(&user) }, &user);
        assert_refused(&mut raw, 1045, "28000");
    }
}
