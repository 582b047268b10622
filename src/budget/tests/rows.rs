//! Different rows: counted by one proxy, and by several that tell each other by way of a table.

use super::*;

/// Two hundred different rows, of which a proxy may show two in advance.
const ROWS: Budget = Budget { statement: None, minute: None, day: None, rows: Some(200), warn_percent: 100 };

fn column(name: &str) -> ColumnRef {
    ColumnRef::new("shop", "customers", name)
}

fn cell(spending: &Spending, column_name: &str, number: u64) -> Seen {
    spending.seen(&column(column_name), &number.to_le_bytes(), Stored::Envelope)
}

/// After so long what nobody waits for is told.
const GATHERED: Duration = Duration::from_secs(5);

/// The database's table of one account, read a few rows at a time.
#[derive(Default)]
struct Table {
    day: u32,
    told: Vec<(ColumnRef, Vec<u64>)>,
    settlings: u64,
}

/// Rows that are read at once.
const READ_MAX: usize = 3;

impl Table {
    /// What the control plane does, without a clock.
    fn settle(&mut self, ledger: &Ledger, settling: Settling, now: Instant) {
        for due in ledger.due(settling, now) {
            let mut rows = due.rows.clone();
            while let Some(mut claim) = rows {
                let answer = self.answer(&due.spending, &mut claim);
                rows = due.spending.rows_answered(&claim, &answer, now);
            }
            due.spending.settled();
        }
    }

    fn answer(&mut self, spending: &Spending, claim: &mut RowClaim) -> RowAnswer {
        self.settlings += 1;
        let day = self.day.to_string();
        let same = claim.day.as_ref().is_none_or(|name| **name == day);
        let since = if same { usize::try_from(claim.since).unwrap() } else { 0 };
        let read: Vec<_> = self.told[since..].iter().take(READ_MAX).cloned().collect();
        let reading = if read.len() < READ_MAX { Reading::All } else { Reading::Some };
        let since = u64::try_from(since + read.len()).unwrap();
        if same && reading == Reading::All {
            spending.admit_rows(claim, &read);
            self.told.extend(claim.untold(&read));
        }
        RowAnswer { day: day.into(), ends_in: Span::Rows.length(), read, since, reading }
    }

    fn next_day(&mut self) {
        *self = Self { day: self.day + 1, settlings: self.settlings, ..Self::default() };
    }

    /// How many cells proxies have told of.
    fn taken(&self) -> usize {
        self.told.iter().map(|(_, digests)| digests.len()).sum()
    }
}

/// Shows a row through a proxy, if it has room for it; asks the table if that is necessary.
fn shows(ledger: &Ledger, table: &mut Table, row: &[(&str, u64)], now: Instant) -> bool {
    let spending = ledger.of(&account("ana"));
    let row: Vec<_> = row.iter().map(|(column, number)| cell(&spending, column, *number)).collect();
    let mut verdict = spending.affords_row(&row, &ROWS, now);
    if verdict == Verdict::Unasked {
        table.settle(ledger, Settling::WhatIsWanted, now);
        verdict = spending.affords_row(&row, &ROWS, now);
        assert_ne!(verdict, Verdict::Unasked, "it was asked");
    }
    if verdict == Verdict::Fits {
        spending.charge_row(row, &ROWS, now);
    }
    verdict == Verdict::Fits
}

/// Settles whenever somebody asks.
async fn serve(ledger: &Ledger, table: &mut Table) {
    loop {
        ledger.wanted().await;
        table.settle(ledger, Settling::WhatIsWanted, Instant::now());
    }
}

#[test]
fn a_row_that_is_seen_again_costs_nothing() {
    let ledger = Ledger::default();
    ledger.alone("a test");
    let (spending, start) = (ledger.of(&account("ana")), Instant::now());
    let row = |number| vec![cell(&spending, "phone", number)];
    let affords = |row: &[Seen], now| spending.affords_row(row, &BUDGET, now) == Verdict::Fits;
    for number in 0..5 {
        assert!(affords(&row(number), start));
        assert_eq!(spending.charge_row(row(number), &BUDGET, start).is_some(), number == 3, "warned once, of 4 in 5");
    }
    for number in [4, 0, 1, 4] {
        assert!(affords(&row(number), start));
        assert_eq!(spending.charge_row(row(number), &BUDGET, start), None);
    }
    assert!(!affords(&row(5), start), "a sixth");
    assert!(affords(&[cell(&spending, "email", 0)], start), "columns are counted apart");
    let six: Vec<Seen> = (0..6).map(|number| cell(&spending, "email", number)).collect();
    assert!(!affords(&six, start), "six cells of one column in one row");
    assert!(affords(&six[..5], start));
    let elevated = Elevated { request: 1, account: "ana@%".into(), factor: 2, until: start + Duration::from_secs(60) };
    ledger.elevate(vec![elevated], start);
    assert!(affords(&row(5), start));
    assert!(!affords(&row(5), start + Duration::from_secs(60)), "it is over");
    assert!(affords(&row(5), start + Span::Rows.length()), "another day");
}

#[test]
fn proxies_together_show_an_advance_each_beyond_the_limit_at_most() {
    let now = Instant::now();
    let proxies = [Ledger::default(), Ledger::default(), Ledger::default()];
    let (mut table, mut shown) = (Table::default(), std::collections::HashSet::new());
    // By turns in bursts, each through its own customers and through those of all; some rows are seen through all three.
    for turn in 0..900_u64 {
        let proxy = usize::try_from(turn / 7 % 3).unwrap();
        let number = if turn % 2 == 0 { turn } else { turn / 2 };
        if shows(&proxies[proxy], &mut table, &[("phone", number)], now) {
            shown.insert(number);
        }
    }
    let most = 200 + 3 * usize::try_from(advance(200)).unwrap();
    assert!((200..=most).contains(&shown.len()), "{}", shown.len());
    proxies.iter().for_each(|ledger| table.settle(ledger, Settling::Everything, now));
    assert_eq!(table.taken(), shown.len(), "each was told once");
}

#[test]
fn what_was_seen_through_one_proxy_costs_nothing_at_another() {
    let now = Instant::now();
    let (here, there) = (Ledger::default(), Ledger::default());
    let mut table = Table::default();
    assert!((0..200).all(|number| shows(&here, &mut table, &[("phone", number), ("email", number)], now)));
    table.settle(&here, Settling::WhatRests, now + GATHERED);
    assert_eq!(table.taken(), 400);
    assert!(!shows(&here, &mut table, &[("phone", 200)], now), "another one");
    // The other knows nothing of them yet, and learns it before it shows more than an advance.
    assert!((0..200).rev().all(|number| shows(&there, &mut table, &[("phone", number)], now)));
    assert!(!shows(&there, &mut table, &[("phone", 200)], now));
    let settlings = table.settlings;
    assert!((0..200).all(|number| shows(&there, &mut table, &[("email", number)], now)));
    assert_eq!(table.settlings, settlings, "nobody asks about rows that were seen");
    table.settle(&there, Settling::Everything, now);
    assert_eq!(table.taken(), 400, "and nothing is told twice");
}

#[test]
fn a_proxy_that_begins_learns_what_was_shown_before() {
    let (mut table, now) = (Table::default(), Instant::now());
    let first = Ledger::default();
    assert!((0..200).all(|number| shows(&first, &mut table, &[("phone", number)], now)));
    table.settle(&first, Settling::Everything, now);
    drop(first);
    let again = Ledger::default();
    let more: Vec<_> = (200..300).filter(|number| shows(&again, &mut table, &[("phone", *number)], now)).collect();
    assert_eq!(more, [200, 201], "the advance");
}

/// Each shows one row when it was asked for, and so does one that shows more cells than may be shown in advance.
#[tokio::test]
async fn who_has_waited_shows_a_row() {
    let (ledger, mut table) = (Ledger::default(), Table::default());
    let spending = ledger.of(&account("ana"));
    let wide: Vec<_> = (1000..1005).map(|number| cell(&spending, "phone", number)).collect();
    let rows = (0..100).map(|number| vec![cell(&spending, "phone", number)]).chain([wide]);
    let mut waiting = tokio::task::JoinSet::new();
    for row in rows {
        let spending = spending.clone();
        waiting.spawn(async move {
            assert_eq!(spending.ask_for_row(&row, &ROWS).await, Verdict::Fits);
            spending.charge_row(row, &ROWS, Instant::now());
        });
    }
    tokio::select! {
        _ = waiting.join_all() => {}
        () = serve(&ledger, &mut table) => unreachable!("a loop"),
    }
    let last: Vec<_> = (200..296).map(|number| cell(&spending, "phone", number)).collect();
    assert_eq!(spending.affords_row(&last, &ROWS, Instant::now()), Verdict::Spent, "105 are counted");
    assert!(table.settlings < 20, "{} for 101 that wait at the same time", table.settlings);
}

/// A row is told of before it is shown, however many cells it has: of two that do not fit together one is shown.
#[tokio::test]
async fn rows_that_wait_at_two_proxies_are_counted_together() {
    let (here, there, mut table) = (Ledger::default(), Ledger::default(), Table::default());
    let ask = |ledger: &Ledger, first: u64| {
        let spending = ledger.of(&account("ana"));
        async move {
            // Twice the same cell is one.
            let row: Vec<_> =
                (first..first + 150).chain([first]).map(|number| cell(&spending, "phone", number)).collect();
            spending.ask_for_row(&row, &ROWS).await
        }
    };
    let settle = async {
        loop {
            tokio::task::yield_now().await;
            table.settle(&here, Settling::WhatIsWanted, Instant::now());
            table.settle(&there, Settling::WhatIsWanted, Instant::now());
        }
    };
    tokio::select! {
        verdicts = async { tokio::join!(ask(&here, 0), ask(&there, 1000)) } => {
            assert_eq!(verdicts, (Verdict::Fits, Verdict::Spent));
        }
        () = settle => unreachable!("a loop"),
    }
    assert_eq!(table.taken(), 150, "the other one is not counted");
    let at = |ledger: &Ledger, numbers: std::ops::Range<u64>| {
        let spending = ledger.of(&account("ana"));
        let row: Vec<_> = numbers.map(|number| cell(&spending, "phone", number)).collect();
        spending.affords_row(&row, &ROWS, Instant::now())
    };
    assert_eq!((at(&here, 0..150), at(&there, 0..150)), (Verdict::Fits, Verdict::Fits), "it was counted already");
    assert_eq!(at(&there, 1000..1051), Verdict::Spent);
}

#[test]
fn a_day_that_began_elsewhere_begins_here() {
    let (ledger, mut table, now) = (Ledger::default(), Table::default(), Instant::now());
    assert!((0..200).all(|number| shows(&ledger, &mut table, &[("phone", number)], now)));
    assert!(!shows(&ledger, &mut table, &[("phone", 200)], now));
    table.settle(&ledger, Settling::WhatRests, now);
    // Another proxy was the first to show something on the next day.
    table.next_day();
    table.told.push((column("phone"), vec![7]));
    let spending = ledger.of(&account("ana"));
    let due = ledger.due(Settling::WhatRests, now);
    assert!(due.is_empty(), "there is nothing to tell");
    spending.charge_row(vec![cell(&spending, "email", 1)], &ROWS, now);
    table.settle(&ledger, Settling::WhatRests, now + GATHERED);
    assert_eq!(table.taken(), 1, "what was shown on the day before is over with it");
    assert!((300..499).all(|number| shows(&ledger, &mut table, &[("phone", number)], now)));
    assert!(!shows(&ledger, &mut table, &[("phone", 600)], now), "199 and that of the other proxy");
}

#[test]
fn an_answer_about_a_day_that_is_over_counts_for_nothing() {
    let (ledger, mut table, start) = (Ledger::default(), Table::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    spending.charge_row(vec![cell(&spending, "phone", 1)], &ROWS, start);
    let due = ledger.due(Settling::WhatRests, start);
    let mut claim = due[0].rows.clone().unwrap();
    table.told.push((column("phone"), (10..210).collect()));
    let answer = table.answer(&spending, &mut claim);
    let tomorrow = start + Span::Rows.length();
    assert_eq!(spending.affords_row(&[cell(&spending, "phone", 2)], &ROWS, tomorrow), Verdict::Fits);
    assert_eq!(spending.rows_answered(&claim, &answer, start), None);
    assert_eq!(spending.affords_row(&[cell(&spending, "phone", 2)], &ROWS, tomorrow), Verdict::Fits);
}

#[test]
fn values_that_are_not_sealed_are_told_to_nobody_and_counted_here() {
    let (ledger, other, now) = (Ledger::default(), Ledger::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    let value = |number: u64| spending.seen(&column("phone"), &number.to_le_bytes(), Stored::Value);
    for number in 0..200 {
        assert_eq!(spending.affords_row(&[value(number)], &ROWS, now), Verdict::Fits, "nobody waits");
        spending.charge_row(vec![value(number)], &ROWS, now);
    }
    assert_eq!(spending.affords_row(&[value(200)], &ROWS, now), Verdict::Spent);
    assert!(ledger.due(Settling::Everything, now).is_empty());
    let elsewhere = other.of(&account("ana"));
    let there = elsewhere.seen(&column("phone"), &0_u64.to_le_bytes(), Stored::Value);
    assert_ne!(there.digest, value(0).digest, "nobody else makes its digest");
    assert_eq!(cell(&elsewhere, "phone", 0), cell(&spending, "phone", 0), "all make that of an envelope");
    assert_eq!(cell(&spending, "phone", 0).digest, 0xaf55_70f5_a181_0b7a, "SHA-256 of eight zeros");
}

#[test]
fn a_proxy_that_cannot_tell_counts_rows_alone_and_tells_later() {
    let (ledger, mut table, now) = (Ledger::default(), Table::default(), Instant::now());
    let spending = ledger.of(&account("ana"));
    spending.unknown(Span::Rows, "a test");
    assert_eq!(ledger.totals().alone, 1);
    for number in 0..200 {
        let row = vec![cell(&spending, "phone", number)];
        assert_eq!(spending.affords_row(&row, &ROWS, now), Verdict::Fits, "its own count");
        spending.charge_row(row, &ROWS, now);
    }
    assert_eq!(spending.affords_row(&[cell(&spending, "phone", 200)], &ROWS, now), Verdict::Spent);
    assert!(ledger.due(Settling::WhatIsWanted, now).is_empty(), "it is left for the poll");
    table.settle(&ledger, Settling::WhatRests, now);
    assert_eq!((table.taken(), ledger.totals().alone), (200, 0));
}

#[test]
fn what_was_counted_alone_is_told_in_pieces() {
    let (ledger, mut table, now) = (Ledger::default(), Table::default(), Instant::now());
    ledger.alone("a test");
    let many = Budget { rows: Some(10_000), ..ROWS };
    let spending = ledger.of(&account("ana"));
    for number in 0..5000 {
        spending.charge_row(vec![cell(&spending, "phone", number), cell(&spending, "email", number)], &many, now);
    }
    ledger.shared();
    table.settle(&ledger, Settling::WhatRests, now);
    assert_eq!((table.taken(), table.settlings), (10_000, 3), "4096 at a time");
    assert!(table.told.iter().all(|(_, digests)| digests.len() <= 4096));
}
