//! Windows and limits, with a clock of the test's own.

use super::*;

const BUDGET: Budget = Budget { statement: None, minute: Some(10), day: Some(25), warn_percent: 80 };

#[test]
fn a_minute_and_a_day_are_counted_side_by_side() {
    let (spending, start) = (Spending::default(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    assert!(spending.affords(10, &BUDGET, at(0)) && !spending.affords(11, &BUDGET, at(0)));
    assert_eq!(spending.charge(7, &BUDGET, at(0)), None);
    assert_eq!(spending.charge(1, &BUDGET, at(1)), Some(10), "8 of 10");
    assert_eq!(spending.charge(1, &BUDGET, at(2)), None, "told once");
    assert!(spending.affords(1, &BUDGET, at(59)) && !spending.affords(2, &BUDGET, at(59)));
    assert!(spending.affords(10, &BUDGET, at(60)), "another minute");
    assert_eq!(spending.charge(10, &BUDGET, at(60)), Some(10));
    assert!(spending.affords(6, &BUDGET, at(120)) && !spending.affords(7, &BUDGET, at(120)), "19 of 25 in the day");
    assert!(!spending.is_over(at(86_399)) && spending.is_over(at(86_400 + 120)));
    assert!(spending.affords(10, &BUDGET, at(86_400)), "another day");
}

#[test]
fn accounts_are_counted_apart() {
    let budgets = Budgets::default();
    let account = |user: &str| Account { user: user.into(), host: "%".into() };
    let now = Instant::now();
    budgets.of(&account("ana")).charge(10, &BUDGET, now);
    assert!(!budgets.of(&account("ana")).affords(1, &BUDGET, now));
    assert!(budgets.of(&account("ben")).affords(10, &BUDGET, now));
}
