//! Budgets, by the real program: who pages through all customers is stopped, and nobody else is.

mod unanswered;

use candado::budget::advance;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rustix::process::Signal;
use tokio::task::block_in_place;

use crate::support::key_store::script;
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, SECRET, Shop, Who, bounded, options, policy, prepared, refused, text};

on_each_server!(
    a_budget_ends_results_and_leaves_others_alone,
    proxies_count_together,
    a_row_that_another_holds_is_waited_for_in_turn,
    who_cannot_be_told_of_is_counted_alone_and_others_together,
    a_proxy_that_cannot_tell_counts_alone,
    different_rows_are_counted_and_sinks_hear_of_it,
    proxies_count_different_rows_together,
    values_that_are_not_sealed_are_told_to_nobody,
);

async fn a_budget_ends_results_and_leaves_others_alone(kind: Kind) {
    let shop = Shop::open_as(Deployment::shared(kind), |database| {
        format!("{}[budget.support]\ncells_per_statement = 8\ncells_per_day = 20\n", policy(database))
    });
    let mut application = shop.connect(Who::Application).await;
    let rows: Vec<String> = (1..=40).map(|id| format!("({id}, '090-1111-{id:04}', 'c{id}')")).collect();
    let filled =
        text(&mut application, format!("INSERT INTO customers (id, phone, code) VALUES {}", rows.join(", "))).await;
    assert!(matches!(filled, Answer::Done { .. }), "{filled:?}");
    text(&mut application, "INSERT INTO customers (id) VALUES (41), (42), (43)").await;

    let mut support = shop.connect(Who::Support).await;
    // Too much at once, over both protocols; what fits goes on, on the same connection.
    let told = text(&mut support, "SELECT phone, code FROM customers WHERE id BETWEEN 1 AND 5").await;
    let Answer::Refused { code, text: told, .. } = told else { panic!("{told:?}") };
    assert_eq!(code, 1226);
    assert!(told.starts_with("The budget for protected cells is spent: nothing more is shown (ref "), "{told}");
    assert_eq!(text(&mut support, "SELECT name FROM customers").await.cells().len(), 43);
    assert_eq!(text(&mut support, "SELECT phone, code FROM customers WHERE id = 1").await.cells().len(), 1);
    // NULL costs nothing. Eight cells were opened before the first result ended.
    assert_eq!(text(&mut support, "SELECT phone FROM customers WHERE id > 40").await.cells().len(), 3);
    // Page by page, and from another connection: ten are left.
    let mut other = shop.connect(Who::Support).await;
    let page = "SELECT phone FROM customers WHERE id BETWEEN ? AND ?";
    assert_eq!(prepared(&mut other, page, (1, 5)).await.cells().len(), 5);
    assert_eq!(prepared(&mut support, page, (6, 10)).await.cells().len(), 5);
    for conn in [&mut support, &mut other] {
        refused(conn, "SELECT phone FROM customers WHERE id = 11", 1226, "42000").await;
    }
    // The application has no budget.
    assert_eq!(text(&mut application, "SELECT phone, code FROM customers").await.cells().len(), 43);
    let metrics = shop.proxy.probe("/metrics").1;
    assert!(metrics.contains("candado_over_budget_total 3"), "{metrics}");
    assert!(metrics.contains("candado_near_budget_total 1"), "{metrics}");
}

/// Fills the shop with so many customers.
async fn fill(shop: &Shop<'_>, customers: u32) {
    let rows: Vec<String> = (1..=customers).map(|id| format!("({id}, '090-1111-{id:04}')")).collect();
    let mut application = shop.connect(Who::Application).await;
    let filled = text(&mut application, format!("INSERT INTO customers (id, phone) VALUES {}", rows.join(", "))).await;
    assert!(matches!(filled, Answer::Done { .. }), "{filled:?}");
}

/// Pages through all customers, one by one, and counts what is shown before somebody refuses, and after.
async fn page(conn: &mut Conn, customers: u32) -> u64 {
    page_through(conn, 1..=customers).await
}

async fn page_through(conn: &mut Conn, customers: std::ops::RangeInclusive<u32>) -> u64 {
    let mut shown = 0;
    for id in customers {
        match text(conn, format!("SELECT phone FROM customers WHERE id = {id}")).await {
            Answer::Refused { code, .. } => assert_eq!(code, 1226),
            answer => shown += u64::try_from(answer.cells().len()).unwrap(),
        }
    }
    shown
}

async fn connect(proxy: &Proxy, shop: &Shop<'_>, who: Who) -> Conn {
    let options = options("127.0.0.1", proxy.port, &shop.database).user(Some(shop.account(who))).pass(Some(SECRET));
    bounded(Conn::new(options)).await.unwrap()
}

/// What the database says that an account has been shown today.
fn taken(shop: &Shop<'_>, who: Who) -> u64 {
    let account = format!("{}@%", shop.account(who));
    let sql = format!("SELECT taken FROM candado.budget_window WHERE account = '{account}' AND span = 'day'");
    shop.deployment.server.sql(&sql).trim().parse().unwrap_or_default()
}

/// With a limit of 160 cells a proxy may show 2 without having asked: `candado::budget::advance`.
async fn proxies_count_together(kind: Kind) {
    const LIMIT: u64 = 160;
    const CUSTOMERS: u32 = 150;
    let limited = |database: &str| {
        let application = "[budget.application]\ncells_per_minute = 100000\ncells_per_day = 1000000\n";
        format!("{}[budget.support]\ncells_per_day = {LIMIT}\n{application}", policy(database))
    };
    let shop = Shop::open_as(Deployment::shared(kind), limited);
    let second = block_in_place(|| Proxy::start(shop.deployment, &limited(&shop.database), Tls::Off));
    fill(&shop, CUSTOMERS).await;
    let (mut here, mut there) = (shop.connect(Who::Support).await, connect(&second, &shop, Who::Support).await);
    let (first, other) = tokio::join!(page(&mut here, CUSTOMERS), page(&mut there, CUSTOMERS));
    let shown = first + other;
    assert!(shown <= LIMIT + 2 * advance(LIMIT), "{first} and {other}");
    // What one does not use the other is given, in time.
    assert!(shown >= LIMIT * 3 / 4, "{first} and {other}");
    // Nothing is forgotten when a proxy ends: another one begins with the same sum.
    drop((here, there));
    second.signal(Signal::TERM);
    block_in_place(|| second.wait_end());
    let third = block_in_place(|| Proxy::start(shop.deployment, &limited(&shop.database), Tls::Off));
    let mut again = connect(&third, &shop, Who::Support).await;
    let more = page(&mut again, CUSTOMERS).await;
    assert!(shown + more <= LIMIT + 3 * advance(LIMIT), "{shown}, then {more}");
    assert!(taken(&shop, Who::Support) <= LIMIT + 3 * advance(LIMIT));
    // The application has its own budget, on each proxy.
    for proxy in [&shop.proxy, &third] {
        let mut application = connect(proxy, &shop, Who::Application).await;
        let all = text(&mut application, "SELECT phone FROM customers").await;
        assert_eq!(all.cells().len(), usize::try_from(CUSTOMERS).unwrap());
        assert_eq!(proxy.metric("budgets_shared"), 1.0);
    }
}

/// Whether somebody waits for the row of an account that another holds. Both servers tell it at once in this text alone:
/// MariaDB's tables of locks stay as they are while they are read again and again.
async fn is_waited_for(conn: &mut Conn, account: &str) -> bool {
    let status = bounded(conn.query_first::<(String, String, String), _>("SHOW ENGINE INNODB STATUS")).await;
    let (_, _, text) = status.unwrap().unwrap();
    let waiting = text.split("FOR THIS LOCK TO BE GRANTED:").skip(1).filter_map(|rest| rest.split("\n---").next());
    waiting.into_iter().any(|lock| lock.contains("budget_window") && lock.contains(&format!("asc {account};")))
}

/// A row is waited for by a second. On a machine that needs longer to see somebody wait, there is another time.
async fn a_row_that_another_holds_is_waited_for_in_turn(kind: Kind) {
    const TIMES: u64 = 5;
    let mut times = 0;
    while !is_waited_for_in_turn(kind).await {
        times += 1;
        assert!(times < TIMES, "it is never waited for");
    }
}

/// Whether who waited for a row was counted with all proxies.
async fn is_waited_for_in_turn(kind: Kind) -> bool {
    const LIMIT: u64 = 20;
    let shop = Shop::open_as(Deployment::shared(kind), |database| {
        format!("{}[budget.support]\ncells_per_day = {LIMIT}\n", policy(database))
    });
    fill(&shop, 2).await;
    let mut support = shop.connect(Who::Support).await;
    let mut holder = shop.direct().await;
    // Its window is from before the database's clock was set back by an hour: nothing of it counts any more.
    let account = format!("{}@%", shop.account(Who::Support));
    let row = format!("VALUES ('{account}', 'day', UTC_TIMESTAMP(6) + INTERVAL 1 HOUR, {LIMIT})");
    holder.query_drop(format!("INSERT INTO candado.budget_window {row}")).await.unwrap();
    holder.query_drop("START TRANSACTION").await.unwrap();
    let held = format!("SELECT * FROM candado.budget_window WHERE account = '{account}' AND span = 'day' FOR UPDATE");
    holder.query_drop(held).await.unwrap();
    let release = async {
        bounded(async { while !is_waited_for(&mut holder, &account).await {} }).await;
        holder.query_drop("COMMIT").await.unwrap();
    };
    let (shown, ()) = tokio::join!(text(&mut support, "SELECT phone FROM customers WHERE id = 1 OR id = 2"), release);
    assert_eq!(shown.cells().len(), 2);
    assert_eq!(shop.proxy.metric("over_budget_total"), 0.0);
    !shop.proxy.log().contains(ALONE)
}

/// Pages on two proxies by turns.
async fn page_by_turns(here: &mut Conn, there: &mut Conn, customers: u32) -> u64 {
    let mut shown = 0;
    for id in 1..=customers {
        for conn in [&mut *here, &mut *there] {
            match text(conn, format!("SELECT phone FROM customers WHERE id = {id}")).await {
                Answer::Refused { code, .. } => assert_eq!(code, 1226),
                answer => shown += u64::try_from(answer.cells().len()).unwrap(),
            }
        }
    }
    shown
}

const ALONE: &str = "an account's budget is counted by this proxy alone: the database does not take what it is shown";

async fn who_cannot_be_told_of_is_counted_alone_and_others_together(kind: Kind) {
    const LIMIT: u64 = 20;
    let limited = |database: &str| {
        let others = format!("[budget.application]\ncells_per_day = {LIMIT}\n");
        format!("{}[budget.support]\ncells_per_day = {LIMIT}\n{others}", policy(database))
    };
    let shop = Shop::open_as(Deployment::shared(kind), limited);
    let second = block_in_place(|| Proxy::start(shop.deployment, &limited(&shop.database), Tls::Off));
    fill(&shop, 40).await;
    // Somebody holds the account's row, so that no count of it is written.
    let mut holder = shop.direct().await;
    let account = format!("{}@%", shop.account(Who::Support));
    let row = format!("INSERT INTO candado.budget_window VALUES ('{account}', 'day', UTC_TIMESTAMP(6), 0)");
    holder.query_drop(row).await.unwrap();
    holder.query_drop("START TRANSACTION").await.unwrap();
    let held = format!("SELECT * FROM candado.budget_window WHERE account = '{account}' AND span = 'day' FOR UPDATE");
    holder.query_drop(held).await.unwrap();
    let proxies = [&shop.proxy, &second];
    for proxy in proxies {
        let mut support = connect(proxy, &shop, Who::Support).await;
        assert_eq!(page(&mut support, 40).await, LIMIT, "the whole limit, and no more");
        assert_eq!(proxy.metric("budget_accounts_alone"), 1.0);
        let told = proxy.wait_logged(ALONE, 1);
        assert_eq!((&told["alarm"], &told["user"]), (&true.into(), &shop.account(Who::Support).into()));
    }
    // Meanwhile another account on the same proxies has one budget over both.
    let mut others = Vec::new();
    for proxy in proxies {
        others.push(connect(proxy, &shop, Who::Application).await);
    }
    let [here, there] = &mut others[..] else { panic!("two") };
    let shown = page_by_turns(here, there, 40).await;
    assert!((LIMIT * 3 / 4..=LIMIT + 2 * advance(LIMIT)).contains(&shown), "{shown}");
    for proxy in proxies {
        assert_eq!((proxy.metric("budgets_shared"), proxy.metric("budget_accounts_alone")), (1.0, 1.0));
        assert_eq!(proxy.events().iter().filter(|event| event["message"] == ALONE).count(), 1, "said once");
    }
    holder.query_drop("ROLLBACK").await.unwrap();
    block_in_place(|| {
        wait_until("both have told what they have shown", || taken(&shop, Who::Support) == 2 * LIMIT);
        wait_until("it is counted with the others", || {
            proxies.iter().all(|proxy| proxy.metric("budget_accounts_alone") == 0.0)
        });
    });
}

async fn a_proxy_that_cannot_tell_counts_alone(kind: Kind) {
    const LIMIT: u64 = 20;
    let limited = |database: &str| {
        let search = format!("search = {{ columns = [\"{database}.customers.phone\"], per_minute = 3 }}\n");
        let policy = policy(database).replacen("access = \"deny\"\n", &format!("access = \"deny\"\n{search}"), 1);
        let rows = format!("[budget.application]\ndistinct_rows_per_day = {LIMIT}\n");
        format!("{policy}[budget.support]\ncells_per_day = {LIMIT}\n{rows}")
    };
    let deployment = block_in_place(|| Deployment::own(kind, &[], Provider::File));
    // Tables from before searches and different rows were counted are the trouble of those whose searches and rows are, and
    // whom each proxy counts alone.
    let columns = "span ENUM('minute', 'day') CHARACTER SET ascii COLLATE ascii_bin NOT NULL";
    deployment
        .server
        .sql(&format!("ALTER TABLE candado.budget_window MODIFY {columns}; DROP TABLE candado.budget_rows"));
    let shop = Shop::open_as(&deployment, limited);
    fill(&shop, 40).await;
    let (mut engineer, search) = (shop.connect(Who::Engineer).await, "SELECT id FROM customers WHERE phone = '1'");
    for _ in 0..3 {
        assert!(text(&mut engineer, search).await.cells().is_empty());
    }
    refused(&mut engineer, search, 1226, "42000").await;
    assert_eq!(shop.proxy.wait_logged(ALONE, 1)["user"], shop.account(Who::Engineer));
    let mut application = shop.connect(Who::Application).await;
    assert_eq!(page(&mut application, 40).await, LIMIT, "the whole limit, and no more");
    assert_eq!(shop.proxy.wait_logged(ALONE, 2)["user"], shop.account(Who::Application));
    assert_eq!((shop.proxy.metric("budgets_shared"), shop.proxy.metric("budget_accounts_alone")), (1.0, 2.0));
    let mut check = deployment.command("AKIAPROXY");
    let checked = block_in_place(|| {
        check.arg("check").arg("--config").arg(shop.proxy.folder().join("candado.toml")).output().unwrap()
    });
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains("are older than what is counted in them (searches, rows)"), "{checked}");
    // What it may not write is nobody's fault but all accounts'.
    let proxy = "'candado_proxy'@'%'";
    deployment.server.sql(&format!("REVOKE UPDATE ON candado.budget_window FROM {proxy}"));
    let mut support = shop.connect(Who::Support).await;
    assert_eq!(page(&mut support, 40).await, LIMIT, "the whole limit, and no more");
    assert_eq!(shop.proxy.metric("budgets_shared"), 0.0);
    let alone = "budgets are counted by this proxy alone: the database cannot be told what accounts are shown";
    assert_eq!(shop.proxy.wait_logged(alone, 1)["alarm"], true);
    deployment.server.sql(&format!("GRANT UPDATE ON candado.budget_window TO {proxy}"));
    block_in_place(|| {
        wait_until("it has told what it has shown", || taken(&shop, Who::Support) == LIMIT);
        wait_until("it counts with the others", || shop.proxy.metric("budgets_shared") == 1.0);
        // An administrator who made the tables and forgot the grant.
        let text = script("candado");
        let grant = "GRANT INSERT, DELETE ON candado.budget_rows TO";
        assert!(text.contains(grant));
        // What was granted on the old table holds for the new one.
        deployment.server.sql(&text.replace(grant, "REVOKE INSERT ON candado.budget_rows FROM"));
        wait_until("searches", || shop.proxy.metric("budget_accounts_alone") == 1.0);
        deployment.server.sql(&text);
        wait_until("rows, too", || shop.proxy.metric("budget_accounts_alone") == 0.0);
    });
    assert_eq!(rows_told(&shop, Who::Application), LIMIT);
    refused(&mut application, "SELECT phone FROM customers WHERE id = 40", 1226, "42000").await;
}

async fn different_rows_are_counted_and_sinks_hear_of_it(kind: Kind) {
    let shop = Shop::open(kind);
    fill(&shop, 8).await;
    let limited = format!("{}[budget.support]\ndistinct_rows_per_day = 5\n", policy(&shop.database));
    let sink = "\n[events]\nfile = { path = \"events.jsonl\" }\n";
    let proxy = block_in_place(|| {
        let proxy = Proxy::start_with_limits(shop.deployment, &limited, Tls::Off, sink);
        proxy.wait_ready();
        proxy
    });
    let mut support = connect(&proxy, &shop, Who::Support).await;
    let page = "SELECT id, phone FROM customers WHERE id BETWEEN ? AND ? ORDER BY id";
    // The same rows again and again, over both protocols, cost nothing.
    for _ in 0..3 {
        assert_eq!(prepared(&mut support, page, (1, 5)).await.cells().len(), 5);
        let sql = "SELECT name, phone FROM customers WHERE id < 6 ORDER BY id";
        assert_eq!(text(&mut support, sql).await.cells().len(), 5);
    }
    let told = text(&mut support, "SELECT phone FROM customers WHERE id = 6").await;
    let Answer::Refused { code: 1226, text: told, .. } = told else { panic!("{told:?}") };
    assert_eq!(text(&mut support, "SELECT id FROM customers").await.cells().len(), 8);
    assert_eq!(prepared(&mut support, page, (3, 3)).await.cells().len(), 1);
    // Once it is written again, a row is another one.
    let mut application = shop.connect(Who::Application).await;
    text(&mut application, "UPDATE customers SET phone = '090-1111-0003' WHERE id = 3").await;
    refused(&mut support, "SELECT phone FROM customers WHERE id = 3", 1226, "42000").await;
    let mut unlimited = connect(&proxy, &shop, Who::Application).await;
    assert_eq!(text(&mut unlimited, "SELECT phone FROM customers").await.cells().len(), 8);

    assert_eq!(proxy.metric("over_budget_total"), 2.0);
    assert_eq!(proxy.metric("near_budget_total"), 1.0);
    let file = proxy.folder().join("events.jsonl");
    let events = || -> Vec<serde_json::Value> {
        let lines = std::fs::read_to_string(&file).unwrap_or_default();
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    block_in_place(|| wait_until("the sink has the alarms", || events().len() == 3));
    // What the client was told finds the event, as it finds one of the firewall.
    let reference = told.split("(ref ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    let mut command = shop.deployment.command("AKIAPROXY");
    let output = command.args(["firewall", "log", "--json", "--id", reference]).arg(&file).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found["events"].as_array().unwrap();
    assert_eq!((found.len(), &found[0]["rules"][0], &found[0]["class"]), (1, &"budget-spent".into(), &"budget".into()));
    let account = format!("{}@%", shop.account(Who::Support));
    for (event, (rule, outcome)) in
        events().iter().zip([("budget-near", "observed"), ("budget-spent", "refused"), ("budget-spent", "refused")])
    {
        assert_eq!((&event["rules"][0], &event["outcome"]), (&rule.into(), &outcome.into()), "{event}");
        assert_eq!(event["account"], account);
    }
}

/// How many different cells proxies have told of, by the digests that are there, if they are as many as are counted.
fn rows_told(shop: &Shop<'_>, who: Who) -> u64 {
    let account = format!("{}@%", shop.account(who));
    let told = "SELECT CAST(SUM(LENGTH(digests)) / 8 AS UNSIGNED) FROM candado.budget_rows";
    let sql = format!(
        "SELECT taken FROM candado.budget_window \
         WHERE account = '{account}' AND span = 'rows' AND taken = ({told} WHERE account = '{account}')"
    );
    shop.deployment.server.sql(&sql).trim().parse().unwrap_or_default()
}

/// With a limit of 100 rows a proxy may show one of which it has not told: `candado::budget::advance`.
async fn proxies_count_different_rows_together(kind: Kind) {
    const LIMIT: u64 = 100;
    const CUSTOMERS: u32 = 140;
    let limited = |database: &str| {
        let application = "[budget.application]\ndistinct_rows_per_day = 1000000\n";
        format!("{}[budget.support]\ndistinct_rows_per_day = {LIMIT}\n{application}", policy(database))
    };
    let shop = Shop::open_as(Deployment::shared(kind), limited);
    fill(&shop, CUSTOMERS).await;
    // Somebody who was here the day before yesterday, and does not come again.
    let gone = format!("gone_{}@%", shop.account(Who::Support));
    let columns = "account, began_at, table_schema, table_name, column_name, digests";
    let old = format!("'{gone}', UTC_TIMESTAMP(6) - INTERVAL 2 DAY, 'shop', 'customers', 'phone', '12345678'");
    shop.deployment.server.sql(&format!("INSERT INTO candado.budget_rows ({columns}) VALUES ({old})"));
    let second = block_in_place(|| Proxy::start(shop.deployment, &limited(&shop.database), Tls::Off));
    let (mut here, mut there) = (shop.connect(Who::Support).await, connect(&second, &shop, Who::Support).await);
    for conn in [&mut here, &mut there] {
        assert_eq!(page(conn, 60).await, 60, "the same rows through each");
    }
    let (first, other) = tokio::join!(page_through(&mut here, 61..=100), page_through(&mut there, 101..=CUSTOMERS));
    let shown = 60 + first + other;
    assert!((LIMIT..=LIMIT + 2 * advance(LIMIT)).contains(&shown), "{first} and {other}");
    assert_eq!((page(&mut here, 60).await, page(&mut there, 60).await), (60, 60), "they were seen before");
    // Nothing is forgotten when a proxy ends: another one learns what was shown.
    drop((here, there));
    second.signal(Signal::TERM);
    block_in_place(|| second.wait_end());
    let third = block_in_place(|| Proxy::start(shop.deployment, &limited(&shop.database), Tls::Off));
    let mut again = connect(&third, &shop, Who::Support).await;
    let all = page(&mut again, CUSTOMERS).await;
    assert!((shown..=shown + advance(LIMIT)).contains(&all), "{all} of {shown}");
    block_in_place(|| {
        wait_until("each row is told once", || rows_told(&shop, Who::Support) == all);
        let left = format!("SELECT COUNT(*) FROM candado.budget_rows WHERE account = '{gone}'");
        wait_until("the day before is forgotten", || shop.deployment.server.sql(&left).trim() == "0");
    });
    // The application has its own budget, on each proxy.
    for proxy in [&shop.proxy, &third] {
        let mut application = connect(proxy, &shop, Who::Application).await;
        let all = text(&mut application, "SELECT phone FROM customers").await;
        assert_eq!(all.cells().len(), usize::try_from(CUSTOMERS).unwrap());
    }
}

/// A digest of a telephone number is as good as the number to whoever reads it and cannot read the table.
async fn values_that_are_not_sealed_are_told_to_nobody(kind: Kind) {
    let limited = |database: &str| format!("{}[budget.support]\ndistinct_rows_per_day = 5\n", policy(database));
    let shop = Shop::open_plain_as(Deployment::shared(kind), limited);
    fill(&shop, 8).await;
    let mut support = shop.connect(Who::Support).await;
    assert_eq!(page(&mut support, 8).await, 5);
    drop(support);
    shop.proxy.signal(Signal::TERM);
    block_in_place(|| shop.proxy.wait_end());
    let account = format!("{}@%", shop.account(Who::Support));
    let told = format!("SELECT COUNT(*) FROM candado.budget_rows WHERE account = '{account}'");
    assert_eq!(shop.deployment.server.sql(&told).trim(), "0");
}
