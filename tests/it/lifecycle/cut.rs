//! How long after an order the last replica obeys: what OPERATIONS.md promises, by the clock and with the settings that
//! are the default. It takes six minutes, because that is the promise, and asserts no durations: it prints them.
//!
//! `cargo test --test it -- --ignored --nocapture lifecycle::cut`

use std::time::{Duration, Instant};

use mysql_async::Conn;
use tokio::task::{JoinSet, block_in_place};

use crate::fakekms::{FakeKms, Role, State};
use crate::support::proxy::{Deployment, Provider, Proxy, Tls};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, bounded, options, policy, text};

#[test]
#[ignore = "takes six minutes, and measures"]
fn mysql() {
    crate::support::block_on(seconds_until_replicas_refuse(Kind::MySql));
}

#[test]
#[ignore = "takes six minutes, and measures"]
fn mariadb() {
    crate::support::block_on(seconds_until_replicas_refuse(Kind::MariaDb));
}

/// Longer than any promise.
const GIVEN_UP: Duration = Duration::from_secs(600);

/// Reads a sealed cell over and over until it is refused, or no longer refused; returns when.
async fn until(mut conn: Conn, refused: bool) -> (Conn, Instant) {
    let started = Instant::now();
    loop {
        let answer = text(&mut conn, "SELECT note FROM customers WHERE id = 1").await;
        if matches!(answer, Answer::Refused { code: 3185, .. }) == refused {
            return (conn, Instant::now());
        }
        assert!(started.elapsed() < GIVEN_UP, "waited in vain: {answer:?}");
    }
}

async fn all_until(conns: Vec<Conn>, refused: bool, order: impl FnOnce()) -> (Vec<Conn>, Vec<f64>) {
    let mut readers = JoinSet::new();
    for conn in conns {
        readers.spawn(until(conn, refused));
    }
    block_in_place(order);
    let given = Instant::now();
    let (conns, moments): (Vec<_>, Vec<_>) = readers.join_all().await.into_iter().unzip();
    let seconds = |moment: Instant| moment.saturating_duration_since(given).as_secs_f64();
    (conns, moments.into_iter().map(seconds).collect())
}

async fn seconds_until_replicas_refuse(kind: Kind) {
    let fake = FakeKms::start();
    fake.allow_role("AKIAPROXY", Role::Proxy);
    fake.allow_role("AKIASECURITY", Role::Security);
    let kek = fake.create_key();
    let deployment = Deployment::own(kind, &[], Provider::AwsKms { endpoint: fake.endpoint(), arn: kek.clone() });
    let shop = Shop::open_on(&deployment, Tls::Off);
    let policy = policy(&shop.database);
    let others = [Proxy::start(&deployment, &policy, Tls::Off), Proxy::start(&deployment, &policy, Tls::Off)];
    let team = deployment.security_team(&policy);
    let mut conns = vec![shop.connect(Who::Application).await];
    for proxy in &others {
        let account = options("127.0.0.1", proxy.port, &shop.database).user(Some(shop.account(Who::Application)));
        conns.push(bounded(Conn::new(account.pass(Some(SECRET)))).await.unwrap());
    }
    text(&mut conns[0], "INSERT INTO customers (id, note) VALUES (1, 'secret')").await;
    let keys = team.done(&["list"]);
    let data = keys["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "data").unwrap();
    let kid = data["key_id"].to_string();
    for turn in 1..=10 {
        let (refused, seconds) = all_until(conns, true, || drop(team.done(&["suspend", &kid]))).await;
        println!("{kind:?}: suspension {turn}: refused after {seconds:.2?} s");
        let (reading, seconds) = all_until(refused, false, || drop(team.done(&["resume", &kid]))).await;
        println!("{kind:?}: resumption {turn}: read after {seconds:.2?} s");
        conns = reading;
    }
    let (_, seconds) = all_until(conns, true, || fake.set_state(&kek, State::Disabled)).await;
    println!("{kind:?}: key-encryption key disabled: refused after {seconds:.0?} s");
}
