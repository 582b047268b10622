use std::collections::BTreeSet;

use super::*;

/// The names as somebody reads them, without the prefix.
fn exposed() -> BTreeSet<String> {
    let (_, readiness) = watch::channel(Readiness::Ready);
    let (_, state) = watch::channel(KeysState::Ready);
    let mut registry = crate::telemetry::registry();
    registry.register_collector(Box::new(DataPlane { registry: Arc::default(), readiness }));
    let vitals = Arc::new(Vitals::of_a_running_task());
    registry.register_collector(Box::new(Keys { vitals, lease: WriteLease::new(), state }));
    registry.register_collector(Box::new(Shadow { table: Some(Arc::new(ShadowTable::new(1))) }));
    registry.register_collector(Box::new(Firewall { counters: Arc::default() }));
    registry.register_collector(Box::new(Accesses { counters: Arc::default() }));
    registry.register_collector(Box::new(Budgets { ledger: Arc::default() }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE candado_"));
    types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

#[test]
fn operations_names_every_metric_and_no_other() {
    let (_, table) = include_str!("../../../OPERATIONS.md").split_once("\n| metric | meaning |").unwrap();
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let documented: BTreeSet<String> = names.map(|name| name.split('{').next().unwrap().to_owned()).collect();
    assert_eq!(documented, exposed());
}
