//! Windows, limits and shares, with a clock and a database of the test's own.

use std::time::Instant;

use super::*;
use crate::policy::Budget;
use crate::schema::ColumnRef;

const BUDGET: Budget = Budget { statement: None, minute: Some(10), day: Some(25), rows: Some(5), warn_percent: 80 };
const DAY_ALONE: Budget = Budget { statement: None, minute: None, day: Some(320), rows: None, warn_percent: 100 };

fn account(user: &str) -> Account {
    Account { user: user.into(), host: "%".into() }
}

/// The database's row of one account's day.
#[derive(Default)]
struct Row {
    taken: u64,
}

impl Row {
    /// What the control plane does, without a clock: the window stays the same.
    fn settle(&mut self, ledger: &Ledger, settling: Settling, now: Instant) {
        for due in ledger.due(settling, now) {
            for claim in due.claims.iter().filter(|claim| claim.span == Span::Day) {
                let settled = (self.taken + claim.owed).saturating_sub(claim.returned);
                let granted = claim.owed + claim.granted_of(claim.limit.saturating_sub(settled));
                self.taken = settled + granted - claim.owed;
                let answer = Answer { window: "day".into(), ends_in: Span::Day.length(), taken: self.taken, granted };
                due.spending.answered(claim, &answer, now);
            }
            due.spending.settled();
        }
    }
}

#[test]
fn a_minute_and_a_day_are_counted_side_by_side() {
    let ledger = Ledger::default();
    ledger.alone("a test");
    let (spending, start) = (ledger.of(&account("ana")), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let affords = |cells, seconds| spending.affords(cells, &BUDGET, at(seconds)) == Verdict::Fits;
    assert!(affords(10, 0) && !affords(11, 0));
    assert_eq!(spending.charge(7, &BUDGET, at(0)), None);
    assert_eq!(spending.charge(1, &BUDGET, at(1)), Some(10), "8 of 10");
    assert_eq!(spending.charge(1, &BUDGET, at(2)), None, "told once");
    assert!(affords(1, 59) && !affords(2, 59));
    assert!(affords(10, 60), "another minute");
    assert_eq!(spending.charge(10, &BUDGET, at(60)), Some(10));
    assert!(affords(6, 120) && !affords(7, 120), "19 of 25 in the day");
    assert!(affords(10, 86_400), "another day");
}

#[test]
fn accounts_are_counted_apart() {
    let ledger = Ledger::default();
    ledger.alone("a test");
    let now = Instant::now();
    ledger.of(&account("ana")).charge(10, &BUDGET, now);
    assert_eq!(ledger.of(&account("ana")).affords(1, &BUDGET, now), Verdict::Spent);
    assert_eq!(ledger.of(&account("ben")).affords(10, &BUDGET, now), Verdict::Fits);
}

#[test]
fn proxies_together_overshoot_by_an_advance_each_at_most() {
    let now = Instant::now();
    let proxies = [Ledger::default(), Ledger::default(), Ledger::default()];
    let mut row = Row::default();
    let mut shown = [0_u64; 3];
    let limit = 320;
    // Rows of three cells, by turns; the database is asked only when somebody has to.
    for turn in 0..2_000 {
        let proxy = turn % 3;
        let spending = proxies[proxy].of(&account("ana"));
        if spending.affords(3, &DAY_ALONE, now) == Verdict::Unasked {
            row.settle(&proxies[proxy], Settling::WhatIsWanted, now);
        }
        if spending.affords(3, &DAY_ALONE, now) == Verdict::Fits {
            spending.charge(3, &DAY_ALONE, now);
            shown[proxy] += 3;
        }
        if turn % 500 == 499 {
            proxies.iter().for_each(|ledger| row.settle(ledger, Settling::WhatRests, now));
        }
    }
    let all: u64 = shown.iter().sum();
    assert!(all <= limit + 3 * advance(limit), "{shown:?}");
    assert!(all + 3 >= limit, "what some did not use, others had: {shown:?}");
}

#[test]
fn an_advance_is_taken_once_and_nothing_is_left_then() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    let mut row = Row { taken: 320 };
    assert_eq!(spending.affords(advance(320), &DAY_ALONE, now), Verdict::Fits, "nobody has asked yet");
    spending.charge(advance(320), &DAY_ALONE, now);
    assert_eq!(spending.affords(1, &DAY_ALONE, now), Verdict::Unasked);
    row.settle(&ledger, Settling::WhatIsWanted, now);
    assert_eq!(row.taken, 320 + advance(320));
    assert_eq!(spending.affords(1, &DAY_ALONE, now), Verdict::Spent);
    // Another proxy gives back: what was refused is asked for again.
    row.taken = 300;
    row.settle(&ledger, Settling::WhatRests, now);
    assert_eq!(spending.affords(1, &DAY_ALONE, now), Verdict::Fits);
}

#[test]
fn what_rests_goes_back_and_what_is_used_stays() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    let mut row = Row::default();
    assert_eq!(spending.affords(5, &DAY_ALONE, now), Verdict::Unasked);
    row.settle(&ledger, Settling::WhatIsWanted, now);
    assert_eq!(row.taken, share(320));
    spending.charge(5, &DAY_ALONE, now);
    row.settle(&ledger, Settling::WhatRests, now);
    assert_eq!(row.taken, share(320), "it was used since");
    row.settle(&ledger, Settling::WhatRests, now);
    assert_eq!(row.taken, 5);
    assert!(ledger.due(Settling::Everything, now).is_empty());
}

#[test]
fn an_answer_about_another_window_begins_anew() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    let answer =
        |window: &str, granted| Answer { window: window.into(), ends_in: Span::Day.length(), taken: granted, granted };
    assert_eq!(spending.affords(5, &DAY_ALONE, now), Verdict::Unasked);
    let due = ledger.due(Settling::WhatIsWanted, now);
    spending.answered(&due[0].claims[0], &answer("monday", 20), now);
    spending.charge(20, &DAY_ALONE, now);
    assert_eq!(spending.affords(5, &DAY_ALONE, now), Verdict::Unasked);
    let due = ledger.due(Settling::WhatIsWanted, now);
    assert_eq!(due[0].claims[0].window.as_deref(), Some("monday"));
    spending.answered(&due[0].claims[0], &answer("tuesday", 7), now);
    assert_eq!(spending.affords(7, &DAY_ALONE, now), Verdict::Fits);
    assert_eq!(spending.affords(7 + advance(320) + 1, &DAY_ALONE, now), Verdict::Unasked);
}

#[test]
fn a_row_that_is_seen_again_costs_nothing() {
    let ledger = Ledger::default();
    let (spending, start) = (ledger.of(&account("ana")), Instant::now());
    let column = |name: &str| ColumnRef { database: "shop".into(), table: "customers".into(), column: name.into() };
    let (phone, email) = (column("phone"), column("email"));
    let row = |number: u32| vec![spending.seen(&phone, &number.to_le_bytes())];
    for number in (0..5).chain(0..5) {
        assert!(spending.affords_row(&row(number), &BUDGET, start));
        assert_eq!(spending.charge_row(row(number), &BUDGET, start).is_some(), number == 3, "warned once, of 4 in 5");
        if number == 3 {
            break;
        }
    }
    for number in [4, 0, 1, 4] {
        assert!(spending.affords_row(&row(number), &BUDGET, start));
        assert_eq!(spending.charge_row(row(number), &BUDGET, start), None);
    }
    assert!(!spending.affords_row(&row(5), &BUDGET, start), "a sixth");
    assert!(spending.affords_row(&[spending.seen(&email, b"x")], &BUDGET, start), "columns are counted apart");
    let pair: Vec<Seen> = (0..6_u32).map(|number| spending.seen(&email, &number.to_le_bytes())).collect();
    assert!(!spending.affords_row(&pair, &BUDGET, start), "six cells of one column in one row");
    assert!(spending.affords_row(&pair[..5], &BUDGET, start));
    let elevated = Elevated { request: 1, account: "ana@%".into(), factor: 2, until: start + Duration::from_secs(60) };
    ledger.elevate(vec![elevated]);
    assert!(spending.affords_row(&row(5), &BUDGET, start));
    assert!(!spending.affords_row(&row(5), &BUDGET, start + Duration::from_secs(60)), "it is over");
    assert!(spending.affords_row(&row(5), &BUDGET, start + Span::Day.length()), "another day");
}
