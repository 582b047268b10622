//! Windows, limits and shares, with a clock and a database of the test's own.

use std::time::Instant;

use super::*;
use crate::policy::Budget;
use crate::schema::ColumnRef;

mod rows;

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
    assert_eq!(spending.charge(1, &BUDGET, at(1)), Some((Span::Minute, 10)), "8 of 10");
    assert_eq!(spending.charge(1, &BUDGET, at(2)), None, "told once");
    assert!(affords(1, 59) && !affords(2, 59));
    assert!(affords(10, 60), "another minute");
    assert_eq!(spending.charge(10, &BUDGET, at(60)), Some((Span::Minute, 10)));
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
fn roles_of_an_account_ask_under_their_own_limits_and_share_one_count() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    let wide = Budget { day: Some(1600), ..DAY_ALONE };
    let by_minutes = Budget { day: None, minute: Some(1000), ..DAY_ALONE };
    let mut row = Row::default();
    // Under the wide one, the proxy is given more than the narrow one allows.
    assert_eq!(spending.affords(300, &wide, now), Verdict::Unasked);
    row.settle(&ledger, Settling::WhatIsWanted, now);
    assert_eq!(row.taken, 300);
    assert_eq!(spending.affords(300, &wide, now), Verdict::Fits);
    spending.charge(300, &wide, now);
    assert_eq!(spending.affords(20, &DAY_ALONE, now), Verdict::Unasked, "300 of 320");
    assert_eq!(spending.affords(100, &wide, now), Verdict::Unasked, "both wait");
    assert_eq!(spending.affords(20, &DAY_ALONE, now), Verdict::Unasked);
    row.settle(&ledger, Settling::WhatIsWanted, now);
    assert_eq!(row.taken, 400, "by the greater limit");
    assert_eq!(spending.affords(20, &DAY_ALONE, now), Verdict::Fits);
    spending.charge(20, &DAY_ALONE, now);
    assert_eq!(spending.affords(1, &DAY_ALONE, now), Verdict::Spent, "cells that are there are another role's");
    assert_eq!(spending.affords(80, &wide, now), Verdict::Fits);
    // A role without a limit for the day hides nothing from the count of the day.
    assert_eq!(spending.affords(7, &by_minutes, now), Verdict::Unasked, "nobody was told of the minute so far");
    spending.charge(87, &by_minutes, now);
    for _ in 0..2 {
        row.settle(&ledger, Settling::WhatRests, now);
    }
    assert_eq!(row.taken, 407, "and what rests is back");
    assert_eq!(spending.affords(1, &DAY_ALONE, now), Verdict::Spent);
}

#[test]
fn an_account_for_which_there_is_no_room_is_shown_nothing() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    for number in 0..ledger::ACCOUNTS_MAX {
        ledger.of(&account(&number.to_string())).charge(1, &BUDGET, start);
    }
    let late = ledger.of(&account("late"));
    assert_eq!(late.affords(1, &BUDGET, start), Verdict::Spent);
    assert_eq!(late.affords(0, &BUDGET, start), Verdict::Fits);
    assert!(ledger.due(Settling::WhatRests, start + Span::Day.length()).is_empty());
    assert_eq!(ledger.of(&account("late")).affords(1, &BUDGET, start), Verdict::Fits);
}

#[test]
fn what_is_over_is_given_back_though_nobody_reads() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    let column = ColumnRef { database: "shop".into(), table: "customers".into(), column: "phone".into() };
    let (here, gone) = (ledger.of(&account("ana")), ledger.of(&account("ben")));
    for spending in [&here, &gone] {
        spending.charge_row(vec![spending.seen(&column, b"x", Stored::Envelope)], &BUDGET, start);
    }
    drop(gone);
    let is_counted = |user: &str| ledger.is_counted(&account(user));
    ledger.due(Settling::WhatRests, start + Span::Minute.length());
    assert!(here.remembers_rows() && is_counted("ben"));
    ledger.due(Settling::WhatRests, start + Span::Day.length());
    assert!(!here.remembers_rows() && is_counted("ana") && !is_counted("ben"));
}

#[test]
fn an_elevation_that_is_begun_again_ends_no_later() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    ledger.alone("a test");
    let spending = ledger.of(&account("ana"));
    let at = |seconds| start + Duration::from_secs(seconds);
    let elevated = |request, ends| Elevated { request, account: "ana@%".into(), factor: 2, until: at(ends) };
    let happenings = |elevated: Vec<Elevated>, now| {
        let notices = ledger.elevate(elevated, now);
        notices.iter().map(|notice| (notice.happening, notice.request)).collect::<Vec<_>>()
    };
    let affords = |seconds| spending.affords_row(&rows(&spending, 8), &BUDGET, at(seconds)) == Verdict::Fits;
    assert_eq!(happenings(vec![elevated(7, 60)], at(0)), [(Happening::Begun, 7)]);
    assert_eq!(happenings(vec![elevated(7, 600)], at(30)), []);
    assert!(affords(59) && !affords(60), "the end that was known first");
    assert_eq!(happenings(Vec::new(), at(40)), [(Happening::Over, 7)]);
    assert!(!affords(41), "it may end early");
    assert_eq!(happenings(vec![elevated(7, 640)], at(41)), [(Happening::Begun, 7)]);
    assert!(affords(42) && !affords(60));
    assert_eq!(happenings(vec![elevated(7, 660)], at(61)), [(Happening::Over, 7)]);
    assert_eq!(happenings(vec![elevated(7, 700)], at(62)), [], "begun again when it was over");
    assert!(!affords(63));
    assert_eq!(
        happenings(vec![elevated(7, 700), elevated(8, 700)], at(64)),
        [(Happening::Begun, 8)],
        "another request"
    );
    assert!(affords(65));
}

/// So many different cells.
fn rows(spending: &Spending, count: u32) -> Vec<Seen> {
    let column = ColumnRef::new("shop", "customers", "phone");
    (0..count).map(|number| spending.seen(&column, &number.to_le_bytes(), Stored::Envelope)).collect()
}

#[test]
fn an_account_whose_row_is_held_is_counted_alone_and_asks_last() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let (held, free) = (ledger.of(&account("ana")), ledger.of(&account("ben")));
    let mut row = Row::default();
    assert_eq!(held.affords(5, &DAY_ALONE, now), Verdict::Unasked);
    row.settle(&ledger, Settling::WhatIsWanted, now);
    held.charge(5, &DAY_ALONE, now);
    // Fifteen of its share are left, and go back; nobody takes them.
    ledger.due(Settling::WhatRests, now);
    let due = ledger.due(Settling::WhatRests, now);
    assert_eq!((due.len(), due[0].claims[0].returned), (1, 15));
    due[0].spending.not_taken(&due[0].claims[0]);
    due[0].spending.alone("a test");
    assert_eq!(held.affords(15, &DAY_ALONE, now), Verdict::Fits, "they are still there");
    assert_eq!(held.affords(315, &DAY_ALONE, now), Verdict::Fits, "its own count");
    assert_eq!(held.affords(316, &DAY_ALONE, now), Verdict::Spent);
    assert_eq!(free.affords(5, &DAY_ALONE, now), Verdict::Unasked, "all proxies' count");
    assert_eq!(ledger.totals(), Totals { shared: true, alone: 1, elevated: 0 });
    let asked = |settling| ledger.due(settling, now).iter().map(|due| due.account.user.to_string()).collect::<Vec<_>>();
    assert_eq!(asked(Settling::WhatIsWanted), ["ben"]);
    assert_eq!(free.affords(5, &DAY_ALONE, now), Verdict::Unasked);
    assert_eq!(asked(Settling::WhatRests), ["ben", "ana"]);
    assert_eq!(asked(Settling::WhatRests), ["ana"], "though it has nothing to tell");
    held.shared();
    assert_eq!(held.affords(315, &DAY_ALONE, now), Verdict::Unasked);
}

#[tokio::test]
async fn who_is_given_too_little_again_and_again_was_not_answered() {
    let ledger = std::sync::Arc::new(Ledger::default());
    let spending = ledger.of(&account("ana"));
    let database = {
        let ledger = ledger.clone();
        async move {
            loop {
                ledger.wanted().await;
                let now = Instant::now();
                for due in ledger.due(Settling::WhatIsWanted, now) {
                    for claim in &due.claims {
                        let ends_in = Span::Day.length();
                        let answer = Answer { window: "day".into(), ends_in, taken: 0, granted: 0 };
                        due.spending.answered(claim, &answer, now);
                    }
                    due.spending.settled();
                }
            }
        }
    };
    let asking = spending.ask(5, &DAY_ALONE);
    let verdict = tokio::select! {
        verdict = asking => verdict,
        () = database => unreachable!("a loop"),
    };
    assert_eq!(verdict, Verdict::Unasked);
    assert_eq!(ledger.totals().alone, 0, "it did answer");
}

#[test]
fn an_account_searches_so_often_in_a_minute_and_others_for_themselves() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    ledger.alone("a test");
    let search = |user: &str, values, seconds| {
        ledger.of(&account(user)).search(values, 10, start + Duration::from_secs(seconds))
    };
    assert_eq!(search("ana", 7, 0), Verdict::Fits);
    assert_eq!(search("ana", 4, 1), Verdict::Spent, "eleven");
    assert_eq!(search("ana", 3, 2), Verdict::Fits, "what was refused is not counted");
    assert_eq!(search("ana", 1, 59), Verdict::Spent);
    assert_eq!(search("ben", 10, 59), Verdict::Fits);
    assert_eq!(search("ana", 10, 60), Verdict::Fits, "another minute");
    assert_eq!(search("cho", 11, 60), Verdict::Spent, "more at once than in a minute");
    assert_eq!(ledger.of(&account("ana")).affords(10, &BUDGET, start), Verdict::Fits, "cells are counted apart");
}

#[test]
fn proxies_count_searches_together() {
    let (proxies, now) = ([Ledger::default(), Ledger::default()], Instant::now());
    let (mut taken, mut found) = (0, 0);
    for _ in 0..40 {
        for ledger in &proxies {
            let spending = ledger.of(&account("ana"));
            let mut verdict = spending.search(1, 20, now);
            if verdict == Verdict::Unasked {
                for due in ledger.due(Settling::WhatIsWanted, now) {
                    let [claim] = &due.claims[..] else { panic!("{due:?}") };
                    assert_eq!(claim.span, Span::Searches);
                    let settled = taken + claim.owed - claim.returned;
                    taken = settled + claim.granted_of(claim.limit.saturating_sub(settled));
                    let granted = claim.owed + taken - settled;
                    let answer = Answer { window: "now".into(), ends_in: Span::Searches.length(), taken, granted };
                    spending.answered(claim, &answer, now);
                }
                verdict = spending.search(1, 20, now);
            }
            found += u64::from(verdict == Verdict::Fits);
        }
    }
    assert!((19..=20 + 2 * advance(20)).contains(&found), "{found}");
}

#[test]
fn what_can_never_fit_takes_nothing_from_other_proxies() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    assert_eq!(spending.search(40, 30, now), Verdict::Spent);
    assert_eq!(spending.affords(321, &DAY_ALONE, now), Verdict::Spent);
    assert!(ledger.due(Settling::WhatRests, now).is_empty(), "nothing is asked for");
    assert_eq!(spending.search(30, 30, now), Verdict::Unasked);
    assert_eq!(spending.affords(320, &DAY_ALONE, now), Verdict::Unasked);
    let due = ledger.due(Settling::WhatRests, now);
    let wanted: Vec<_> = due[0].claims.iter().map(|claim| (claim.span, claim.wanted)).collect();
    assert_eq!(wanted, [(Span::Day, 320), (Span::Searches, 30)]);
}

#[test]
fn searches_that_the_table_does_not_know_leave_cells_together() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    assert_eq!(spending.search(30, 30, now), Verdict::Unasked);
    let due = ledger.due(Settling::WhatIsWanted, now);
    spending.not_taken(&due[0].claims[0]);
    spending.unknown(Span::Searches, "a test");
    assert_eq!(spending.search(30, 30, now), Verdict::Fits, "this proxy's own count");
    assert_eq!(spending.search(1, 30, now), Verdict::Spent);
    assert_eq!(spending.affords(320, &DAY_ALONE, now), Verdict::Unasked, "all proxies' count");
    assert_eq!(ledger.totals(), Totals { shared: true, alone: 1, elevated: 0 });
    let asked = |settling| {
        let claims = ledger.due(settling, now).into_iter().flat_map(|due| due.claims);
        claims.map(|claim| claim.span).collect::<Vec<_>>()
    };
    assert_eq!(asked(Settling::WhatIsWanted), [Span::Day]);
    let due = ledger.due(Settling::WhatRests, now);
    let [claim] = &due[0].claims[..] else { panic!("{due:?}") };
    assert_eq!((claim.span, claim.owed), (Span::Searches, 30));
    let answer = Answer { window: "now".into(), ends_in: Span::Searches.length(), taken: 30, granted: 30 };
    spending.answered(claim, &answer, now);
    assert_eq!(ledger.totals().alone, 0);
}

#[test]
fn who_waits_comes_before_what_rests() {
    let (ledger, now) = (Ledger::default(), Instant::now());
    let of = |users: std::ops::Range<u32>| users.map(|user| ledger.of(&account(&user.to_string()))).collect::<Vec<_>>();
    let (rests, waits) = (of(0..10), of(10..20));
    assert!(rests.iter().all(|one| one.affords(5, &DAY_ALONE, now) == Verdict::Unasked));
    Row::default().settle(&ledger, Settling::WhatIsWanted, now);
    // Their shares go back while others wait for theirs.
    assert!(waits.iter().all(|one| one.affords(5, &DAY_ALONE, now) == Verdict::Unasked));
    let order: Vec<_> = ledger.due(Settling::WhatRests, now).iter().map(Due::is_wanted).collect();
    assert_eq!(order, [[true; 10], [false; 10]].concat());
}

#[test]
fn room_is_looked_for_once_a_second() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    let at = |ms| ledger.is_time_to_sweep(start + Duration::from_millis(ms));
    assert_eq!([at(0), at(1), at(999), at(1000), at(1001)], [true, false, false, true, false]);
}

#[test]
fn a_day_without_a_limit_keeps_no_account() {
    let (ledger, start) = (Ledger::default(), Instant::now());
    let by_minutes = Budget { day: None, rows: None, ..BUDGET };
    ledger.of(&account("ana")).charge(1, &by_minutes, start);
    ledger.due(Settling::WhatRests, start + Span::Minute.length());
    assert!(!ledger.is_counted(&account("ana")), "its minute is over");
}
