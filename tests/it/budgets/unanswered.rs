//! An account whose question the database answers again and again, and never so that it helps: its result ends, and sinks
//! hear that nobody said whether anything was left.

use serde_json::Value;
use tokio::task::block_in_place;

use super::{connect, fill};
use crate::support::on_each_server;
use crate::support::proxy::{Deployment, Provider, Proxy, Tls, wait_until};
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepared, refused, text};

on_each_server!(a_question_that_is_not_answered_ends_its_result_and_is_told_so);

async fn a_question_that_is_not_answered_ends_its_result_and_is_told_so(kind: Kind) {
    // A proxy may show one cell without a share.
    const LIMIT: u64 = 100;
    let deployment = block_in_place(|| Deployment::own(kind, &[], Provider::File));
    let shop = Shop::open_on(&deployment, Tls::Off);
    fill(&shop, 3).await;
    let limited = |role: &str| format!("[budget.{role}]\ncells_per_day = {LIMIT}\n");
    let limited = format!("{}{}{}", policy(&shop.database), limited("support"), limited("application"));
    let sink = "\n[events]\nfile = { path = \"events.jsonl\" }\n";
    let proxy = block_in_place(|| {
        let proxy = Proxy::start_with_limits(&deployment, &limited, Tls::Off, sink);
        proxy.wait_ready();
        proxy
    });
    // For whoever looks at this account's row, the clock stands one microsecond before its window's end. So the window is
    // over when the answer about it comes, and what was given in it is gone.
    let account = format!("{}@%", shop.account(Who::Support));
    let clock = format!(
        "INSERT INTO candado.budget_window VALUES ('{account}', 'day', '2026-01-01 00:00:00', 0); \
         CREATE TRIGGER candado.stopped_clock BEFORE UPDATE ON candado.budget_window FOR EACH ROW \
         SET SESSION timestamp = IF(NEW.account = '{account}', UNIX_TIMESTAMP('2026-01-01 23:59:59.999999'), 0)"
    );
    deployment.server.sql(&clock);
    let mut support = connect(&proxy, &shop, Who::Support).await;
    let two_cells = "SELECT phone, phone FROM customers ORDER BY id";
    let told = text(&mut support, two_cells).await;
    let Answer::Refused { code: 1226, text: told, .. } = told else { panic!("{told:?}") };
    assert!(told.starts_with("The budget for protected cells is spent: nothing more is shown (ref "), "{told}");
    assert_eq!(prepared(&mut support, two_cells, ()).await.error().0, 1226);
    // The connection is in step, and what needs no answer is shown. Another account is answered.
    assert_eq!(text(&mut support, "SELECT phone FROM customers WHERE id = 1").await.cells().len(), 1);
    let mut application = connect(&proxy, &shop, Who::Application).await;
    assert_eq!(text(&mut application, two_cells).await.cells().len(), 3);

    let events = || -> Vec<Value> {
        let lines = std::fs::read_to_string(proxy.folder().join("events.jsonl")).unwrap_or_default();
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    block_in_place(|| wait_until("the sink has both alarms", || events().len() == 2));
    for event in events() {
        assert_eq!(
            [&event["class"], &event["rules"][0], &event["outcome"], &event["account"]],
            ["budget", "budget-spent", "unanswered", &account],
            "{event}"
        );
    }
    let reference = told.split("(ref ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    assert!(events()[0]["id"].as_str().unwrap().ends_with(&format!("-{reference}")), "{reference}");
    let logged = "a result was ended: the database did not give it enough of the budget of its account's role in time";
    assert_eq!(proxy.wait_logged(logged, 2)["alarm"], true);
    assert_eq!((proxy.metric("over_budget_total"), proxy.metric("budget_accounts_alone")), (2.0, 0.0));

    // The clock goes on: the same question is answered, and in the end the budget is spent, which is told as such.
    deployment.server.sql("DROP TRIGGER candado.stopped_clock");
    assert_eq!(text(&mut support, two_cells).await.cells().len(), 3);
    for _ in 0..LIMIT {
        text(&mut support, two_cells).await;
    }
    refused(&mut support, two_cells, 1226, "42000").await;
    block_in_place(|| wait_until("it is told", || events().iter().any(|event| event["outcome"] == "refused")));
}
