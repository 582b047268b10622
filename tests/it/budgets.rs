//! Budgets, by the real program: who pages through all customers is stopped, and nobody else is.

use crate::support::on_each_server;
use crate::support::proxy::Deployment;
use crate::support::server::Kind;
use crate::support::shop::{Answer, Shop, Who, policy, prepared, refused, text};

on_each_server!(a_budget_ends_results_and_leaves_others_alone);

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
