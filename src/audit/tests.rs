//! Known forms, chains that were tampered with, and what is found in files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use expect_test::expect;

use super::chain::Mark;
use super::*;
use crate::crypto::{AUDIT_MAC_LENGTH, AccessKey};
use crate::events::rfc3339;
use crate::policy::{Account, ColumnId};
use crate::schema::ColumnRef;

mod files;
mod times;

const DEPLOYMENT: &str = "11111111-2222-4333-8444-555555555555";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn key() -> AccessKey {
    AccessKey::read(KEY).unwrap()
}

fn proxy_key(kid: u32, name: &str) -> ProxyKey {
    ProxyKey { deployment: DEPLOYMENT.to_owned(), kid, name: name.to_owned(), key: key() }
}

/// The key that the tests' segments name, whatever else they name.
fn any_key(deployment: &str, kid: u32, name: &str) -> Option<AccessKey> {
    (deployment == DEPLOYMENT && kid < 10 && name != "stranger").then(key)
}

fn disclosure(user: &str, opened: u64) -> Disclosure {
    let column = |name: &str| ColumnRef::new("shop", "customers", name);
    Disclosure {
        account: Account { user: user.into(), host: "%".into() },
        client: "[::ffff:192.0.2.7]:4711".parse().unwrap(),
        role: "support".into(),
        application: Some("desk".into()),
        asked: Arc::new(Asked { digest: [0xab; 32], ..Asked::default() }),
        connection: 18,
        statement: 42,
        outcome: Outcome::Complete,
        rows: opened,
        columns: BTreeMap::from([
            (column("phone"), Share { opened, ..Share::default() }),
            (column("a,b=c"), Share { masked: 1, ..Share::default() }),
        ]),
    }
}

fn head(name: &str, chain: u8, segment: u64, before: [u8; AUDIT_MAC_LENGTH]) -> Line {
    let (deployment, name) = (DEPLOYMENT.to_owned(), name.to_owned());
    Line::Head { kid: 1, deployment, name, chain: ChainId([chain; 8]), segment, before }
}

/// Two segments of one chain: 1 to 6, and 7 to 9.
fn segments(name: &str, chain: u8) -> [String; 2] {
    let mut place = Chain::new(key());
    let mut files = [Vec::new(), Vec::new()];
    let access = |user: &str| Line::Access(Box::new(disclosure(user, 3)));
    let first = [
        head(name, chain, 1, [0; AUDIT_MAC_LENGTH]),
        Line::Start { version: "1.2.3".to_owned() },
        access("ana"),
        access("ben"),
        Line::Gap { lost: 7 },
        access("ana"),
    ];
    for line in &first {
        place.put(line, "2026-03-04T05:06:07.000000Z", &mut files[0]);
    }
    let Mark { mac, .. } = place.mark();
    for line in &[head(name, chain, 2, mac), access("eve"), access("ana")] {
        place.put(line, "2026-03-05T05:06:07.000000Z", &mut files[1]);
    }
    files.map(|file| String::from_utf8(file).unwrap())
}

fn anchor(file: &str, at: usize, name: &str, chain: u8) -> ChainEnd {
    let line = file.lines().nth(at).unwrap();
    let parsed = Parsed::read(line.as_bytes()).unwrap();
    ChainEnd { name: name.to_owned(), chain: ChainId([chain; 8]), seq: parsed.seq, mac: parsed.code().unwrap() }
}

/// Anchors as a database holds them that gives two at once.
struct Pages {
    held: Vec<(AnchorPlace, ChainEnd)>,
    read: usize,
}

impl Pages {
    fn of(anchors: &[ChainEnd]) -> Self {
        let numbered =
            anchors.iter().zip(1..).map(|(anchor, number)| (AnchorPlace { seq: anchor.seq, number }, anchor.clone()));
        let mut held: Vec<_> = numbered.collect();
        held.sort_by_key(|(place, _)| *place);
        Self { held, read: 0 }
    }
}

impl AnchorStore for Pages {
    fn page(&mut self, chain: ChainId, behind: AnchorPlace) -> io::Result<Vec<(AnchorPlace, [u8; AUDIT_MAC_LENGTH])>> {
        let next = self.held.iter().filter(|(place, anchor)| anchor.chain == chain && *place > behind);
        let page: Vec<_> = next.take(2).map(|(place, anchor)| (*place, anchor.mac)).collect();
        self.read += page.len();
        Ok(page)
    }

    fn chains(&mut self, name: &str) -> io::Result<Vec<(ChainId, u64)>> {
        let of_name = self.held.iter().filter(|(_, anchor)| anchor.name == name);
        let newest: BTreeMap<ChainId, u64> = of_name.map(|(place, anchor)| (anchor.chain, place.seq)).collect();
        Ok(newest.into_iter().collect())
    }
}

fn verdict(files: &[&str], anchors: &[ChainEnd]) -> Verdict {
    let names = ["one", "two", "three"];
    let files = files.iter().zip(names).map(|(text, name)| (name.to_owned(), Ok(Cursor::new(text.as_bytes()))));
    verify(files, any_key, &mut Pages::of(anchors), &PutAway::default()).unwrap()
}

/// What is wrong, one on each line.
fn found(files: &[&str], anchors: &[ChainEnd]) -> String {
    verdict(files, anchors).found.iter().map(|found| format!("{} {}\n", found.place, found.breach.kind())).collect()
}

/// A file with its lines changed.
fn changed(file: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    change(&mut lines);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn lines_have_the_documented_form() {
    let [file, _] = segments("proxy-1", 7);
    expect![[r#"
        h	1	2026-03-04T05:06:07.000000Z	1	11111111-2222-4333-8444-555555555555	1	proxy-1	0707070707070707	1	0000000000000000000000000000000000000000000000000000000000000000	b1638a6c09b22015cc2ad2fe1865a850d84646e2e0f27042bfc0fe3e4a733f46
    "#]]
    .assert_eq(&changed(&file, |lines| lines.truncate(1)));
}

#[test]
fn what_is_intact_verifies() {
    let [one, two] = segments("proxy-1", 7);
    let anchors = [anchor(&one, 5, "proxy-1", 7), anchor(&two, 2, "proxy-1", 7), anchor(&two, 2, "proxy-2", 9)];
    let verdict = verdict(&[&one, &two], &anchors);
    assert_eq!(verdict.found, []);
    assert_eq!((verdict.records, verdict.accesses, verdict.lost, verdict.anchors), (9, 5, 7, 2));
    assert_eq!(verdict.chains, BTreeMap::from([(ChainId([7; 8]), (1, 9))]));
}

#[test]
fn what_was_done_to_a_file_is_found_with_its_line() {
    let [one, two] = segments("proxy-1", 7);
    let (other, _) = (segments("proxy-1", 9), ());
    let check = |file: &str, expected: &str| assert_eq!(found(&[file, &two], &[]), expected);
    for (from, to) in
        [("ana@%", "bob@%"), ("=3/0", "=2/0"), ("support", "plain"), ("complete", "broken"), ("03-04", "03-03")]
    {
        let altered = changed(&one, |lines| lines[2] = lines[2].replace(from, to));
        check(&altered, "one:3 altered\n");
    }
    // Every digit of a code counts; the record behind it does not fit any more either.
    let mac = changed(&one, |lines| {
        let last = if lines[2].ends_with('0') { '1' } else { '0' };
        lines[2].pop();
        lines[2].push(last);
    });
    check(&mac, "one:3 altered\none:4 altered\n");
    check(&changed(&one, |lines| drop(lines.remove(3))), "one:4 missing\n");
    check(&changed(&one, |lines| lines.swap(2, 3)), "one:3 missing\none:4 misplaced\n");
    check(&changed(&one, |lines| lines.insert(3, lines[2].clone())), "one:4 misplaced\n");
    check(&changed(&one, |lines| drop(lines.remove(0))), "one:1 headless\ntwo:1 beginning_missing\n");
    check(&changed(&one, |lines| lines[3] = "nonsense".to_owned()), "one:4 unreadable\none:5 missing\n");
    check(one.strip_suffix('\n').unwrap(), "one:6 torn\ntwo:1 missing\n");
    check(&changed(&one, |lines| drop(lines.pop())), "two:1 missing\n");
    // A record of another chain under the same key, and one that is put in with the number that is due.
    check(
        &changed(&one, |lines| lines[3] = other[0].lines().nth(3).unwrap().to_owned()),
        "one:4 altered\none:5 altered\n",
    );
    assert_eq!(found(&[&two, &one], &[]), "one:1 beginning_missing\ntwo:1 other_segment\n");
    let spliced =
        format!("{}{}", changed(&one, |lines| lines.truncate(3)), changed(&other[0], |lines| drop(lines.drain(..3))));
    check(&spliced, "one:4 altered\ntwo:1 other_segment\n");
    assert_eq!(found(&[&segments("stranger", 7)[0]], &[]), "one:1 no_key\n");
    assert_eq!(found(&[""], &[]), "one:1 headless\n");
}

#[test]
fn anchors_show_an_end_that_was_cut_off() {
    let [one, two] = segments("proxy-1", 7);
    let anchors = [anchor(&one, 3, "proxy-1", 7), anchor(&two, 2, "proxy-1", 7)];
    assert_eq!(found(&[&one, &changed(&two, |lines| lines.truncate(2))], &anchors), "two:2 cut_off\n");
    assert_eq!(found(&[&one], &anchors), "one:6 cut_off\n");
    let other = segments("proxy-1", 9);
    assert_eq!(found(&[&other[0]], &anchors), "proxy-1:0 chain_missing\n");
    let mut forged = anchors.to_vec();
    forged[0].mac[0] ^= 1;
    assert_eq!(found(&[&one, &two], &forged), "one:4 not_as_anchored\n");
}

/// The kinds of what is wrong, where segments were put away.
fn kinds_without(files: &[&str], anchors: &[ChainEnd], put_away: &PutAway) -> Vec<&'static str> {
    let names = ["one", "two", "three"];
    let files = files.iter().zip(names).map(|(text, name)| (name.to_owned(), Ok(Cursor::new(text.as_bytes()))));
    verify(files, any_key, &mut Pages::of(anchors), put_away)
        .unwrap()
        .found
        .iter()
        .map(|found| found.breach.kind())
        .collect()
}

#[test]
fn earlier_segments_are_missed_unless_they_were_put_away() {
    let ([one, two], other) = (segments("proxy-1", 7), segments("proxy-1", 9));
    let anchors = [anchor(&one, 5, "proxy-1", 7), anchor(&two, 2, "proxy-1", 7)];
    let from = |chain: Option<u8>, segment| {
        let mut put_away = PutAway::default();
        put_away.before(chain.map(|chain| ChainId([chain; 8])), segment);
        put_away
    };
    assert_eq!(found(&[&two], &anchors), "one:1 beginning_missing\n");
    assert_eq!(found(&[&two], &[]), "one:1 beginning_missing\n", "the segment itself says so");
    for put_away in [from(None, 2), from(Some(7), 2), from(None, 3)] {
        assert_eq!(kinds_without(&[&two], &anchors, &put_away), [""; 0]);
        assert_eq!(kinds_without(&[&one, &two], &anchors, &put_away), [""; 0], "those that are there are no matter");
    }
    for put_away in [from(None, 1), from(Some(9), 2)] {
        assert_eq!(kinds_without(&[&two], &anchors, &put_away), ["beginning_missing"]);
    }
    // What the segment stands behind is anchored as well: no other history is begun with it.
    let mut forged = anchors.to_vec();
    forged[0].mac[0] ^= 1;
    assert_eq!(kinds_without(&[&two], &forged, &from(None, 2)), ["not_as_anchored"]);
    // A chain that is gone as a whole.
    let mut gone = PutAway::default();
    assert_eq!(kinds_without(&[&other[0], &other[1]], &anchors, &gone), ["chain_missing"]);
    gone.all_of(ChainId([7; 8]));
    assert_eq!(kinds_without(&[&other[0], &other[1]], &anchors, &gone), [""; 0]);
    assert_eq!(kinds_without(&[&two], &anchors, &gone), ["beginning_missing"], "it is not gone");
}

#[test]
fn anchors_are_read_in_pages_and_each_once() {
    let ([one, two], other) = (segments("proxy-1", 7), segments("proxy-1", 9));
    let of =
        |file: &str, chain| (0..file.lines().count()).map(|at| anchor(file, at, "proxy-1", chain)).collect::<Vec<_>>();
    let anchors = [of(&two, 7), of(&one, 7), of(&other[0], 9)].concat();
    let read = |files: &[&str], anchors: &[ChainEnd]| {
        let mut pages = Pages::of(anchors);
        let files = files.iter().map(|text| (String::new(), Ok(Cursor::new(text.as_bytes()))));
        let verdict = verify(files, any_key, &mut pages, &PutAway::default()).unwrap();
        let kinds: Vec<_> = verdict.found.iter().map(|found| found.breach.kind()).collect();
        (kinds, verdict.anchors, pages.read)
    };
    assert_eq!(read(&[&one, &other[0], &two], &anchors), (vec![], 15, 15));
    assert_eq!(read(&[&one, &two], &anchors), (vec!["chain_missing"], 9, 9), "no more of the other chain than its end");
    // Wherever the one stands that does not fit.
    for at in 0..9 {
        let mut forged = anchors.clone();
        forged[at].mac[0] ^= 1;
        assert_eq!(read(&[&one, &other[0], &two], &forged).0, ["not_as_anchored"], "{at}");
    }
}

#[test]
fn a_later_anchor_does_not_replace_an_earlier_one() {
    let [one, two] = segments("proxy-1", 7);
    let first = anchor(&two, 1, "proxy-1", 7);
    let again = first.clone();
    assert_eq!(found(&[&one, &two], &[first.clone(), again]), "", "the same one twice");
    let mut other = first.clone();
    other.mac[0] ^= 1;
    for anchors in [[first.clone(), other.clone()], [other, first]] {
        assert_eq!(found(&[&one, &two], &anchors), "two:2 not_as_anchored\n");
        // The record that they contradict each other about is in no file.
        assert_eq!(found(&[&one], &anchors), "proxy-1:0 not_as_anchored\none:6 cut_off\n");
    }
}

#[test]
fn accesses_are_read_as_they_were_written() {
    let [one, _] = segments("proxy-1", 7);
    let line = one.lines().nth(2).unwrap();
    let access = Parsed::read(line.as_bytes()).unwrap().access().unwrap();
    assert_eq!((access.account, access.client, access.role), ("ana@%", "192.0.2.7:4711", "support"));
    assert_eq!((access.application, access.traceparent, access.reference), ("desk", "-", "18:42"));
    assert_eq!((access.rows, access.opened, access.masked, access.outcome), (3, 3, 1, "complete"));
    let shares: Vec<_> = access.shares().map(|(column, share)| (Accessed::text(column), share)).collect();
    assert_eq!(
        shares,
        [
            ("shop.customers.a,b=c".to_owned(), Share { masked: 1, ..Share::default() }),
            ("shop.customers.phone".to_owned(), Share { opened: 3, ..Share::default() }),
        ]
    );
    let odd = Disclosure { role: "a\tb\n\\c".into(), application: Some("-".into()), ..disclosure("x\ty", 1) };
    let mut out = Vec::new();
    Chain::new(key()).put(&Line::Access(Box::new(odd)), "t", &mut out);
    let odd = Parsed::read(out.strip_suffix(b"\n").unwrap()).unwrap().access().unwrap();
    assert_eq!([odd.account, odd.role, odd.application].map(Accessed::text), ["x\ty@%", "a\tb\n\\c", "-"]);
}

#[test]
fn a_tally_counts_rows_that_go_out() {
    let (one, two) = (ColumnId(1), ColumnId(2));
    let mut tally = Tally::default();
    tally.add(one, Shown::Opened);
    tally.add(two, Shown::Masked);
    tally.add(two, Shown::Nothing);
    for cells in [&[0, 1, 2][..], &[0, 2]] {
        cells.iter().for_each(|place| tally.cell(*place));
        tally.row();
    }
    tally.cell(1);
    tally.no_row();
    tally.row();
    assert_eq!((tally.rows(), tally.cells(), tally.width()), (3, 3, 2));
    assert_eq!(tally.columns().collect::<Vec<_>>(), [(one, Shown::Opened, 2), (two, Shown::Masked, 1)]);
}

#[test]
fn bait_is_counted_with_the_row_that_goes_out_and_stands_behind_the_counts() {
    let column = ColumnId(1);
    let mut tally = Tally::default();
    tally.add(column, Shown::Masked);
    for goes_out in [true, false, true] {
        tally.cell(0);
        tally.bait(0);
        if goes_out { tally.row() } else { tally.no_row() }
    }
    tally.cell(0);
    tally.row();
    assert_eq!((tally.baited().collect::<Vec<_>>(), tally.cells()), (vec![(column, 2)], 3));
    let baited = Share { opened: 3, bait: 2, ..Share::default() };
    let columns = BTreeMap::from([(ColumnRef::new("shop", "customers", "phone"), baited)]);
    let mut out = Vec::new();
    let access = Line::Access(Box::new(Disclosure { columns, ..disclosure("ana", 3) }));
    Chain::new(key()).put(&access, "t", &mut out);
    let parsed = Parsed::read(out.strip_suffix(b"\n").unwrap()).unwrap().access().unwrap();
    assert_eq!(parsed.columns, "shop.customers.phone=3/0/2");
    assert_eq!(parsed.shares().collect::<Vec<_>>(), [("shop.customers.phone", baited)]);
}

#[test]
fn comments_are_believed_only_in_their_form() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let said = |comment: &str| {
        let sql = format!("SELECT 1 {comment}");
        let said = caller::said(sql.as_bytes(), 0, 8);
        (said.application.map(|text| text.to_string()), said.traceparent.map(|text| text.to_string()))
    };
    let app = |name: &str| (Some(name.to_owned()), None);
    assert_eq!(
        said(&format!("/*application='desk',traceparent='{TRACE}'*/")),
        (Some("desk".into()), Some(TRACE.into()))
    );
    assert_eq!(said("/* app_name='a.b-c_d/e:f' , route='%2Fpolls' */;"), app("a.b-c_d/e:f"));
    for nothing in [
        "",
        "/*desk*/",
        "/*application=desk*/",
        "/*application='+46701234567'*/",
        "/*application='0701234567'*/",
        "/*application='ana@example.com'*/",
        "/*application='two words'*/",
        "/*application='O''Brien'*/",
        "/*!application='desk'*/",
        "/*+application='desk'*/",
        "/*application='desk',free text*/",
        "/*application='desk'",
        "/*traceparent='01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/",
        "/*traceparent='00-00000000000000000000000000000000-00f067aa0ba902b7-01'*/",
        "/*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'*/",
        "/*traceparent='00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01'*/",
        "/*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x'*/",
    ] {
        assert_eq!(said(nothing), (None, None), "{nothing}");
    }
    assert_eq!(caller::application("a".repeat(64).as_bytes()).unwrap().len(), 64);
    assert_eq!(caller::application("a".repeat(65).as_bytes()), None);
}

#[test]
fn search_and_report_find_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = segments("proxy-1", 7)
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let path = folder.path().join(number.to_string());
            fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let numbers = |filter: Filter| {
        let mut numbers = Vec::new();
        for path in &files {
            search(path, &filter, |access| numbers.push(access.seq)).unwrap();
        }
        numbers
    };
    let some = |text: &str| Some(text.to_owned());
    let any = Filter::default;
    assert_eq!(numbers(any()), [3, 4, 6, 8, 9]);
    assert_eq!(numbers(Filter { account: some("ana@%"), ..any() }), [3, 6, 9]);
    assert_eq!(numbers(Filter { account: some("ana"), ..any() }), [3, 6, 9]);
    assert_eq!(numbers(Filter { account: some("an"), ..any() }), Vec::<u64>::new());
    assert_eq!(numbers(Filter { column: some("shop.customers.phone"), from: some("2026-03-05"), ..any() }), [8, 9]);
    assert_eq!(numbers(Filter { column: some("shop.customers.a,b=c"), until: some("2026-03-05"), ..any() }), [3, 4, 6]);
    assert_eq!(numbers(Filter { column: some("shop.customers.phon"), ..any() }), Vec::<u64>::new());
    assert_eq!(numbers(Filter { client: some("192.0.2.7"), account: some("eve"), ..any() }), [8]);
    assert_eq!(numbers(Filter { client: some("192.0.2.7:4711"), ..any() }).len(), 5);
    assert_eq!(numbers(Filter { client: some("192.0.2.70"), ..any() }), Vec::<u64>::new());
    assert_eq!(numbers(Filter { digest: some("abab"), ..any() }).len(), 5);
    assert_eq!(numbers(Filter { digest: some("abac"), ..any() }), Vec::<u64>::new());
    assert_eq!(numbers(Filter { client: some("::ffff:192.0.2.7"), ..any() }).len(), 5);
    assert_eq!(numbers(Filter { trace: some(""), ..any() }), [3, 4, 6, 8, 9], "everything, and it ends");
    assert_eq!(numbers(Filter { trace: some("\n"), ..any() }), Vec::<u64>::new(), "nothing, and it ends");

    let mut report = Report::default();
    for path in &files {
        search(path, &any(), |access| report.add(access)).unwrap();
    }
    let phone: Vec<_> = report.totals().filter(|([_, _, _, column], _)| column == "shop.customers.phone").collect();
    let names = |day: &str, account: &str| [day, account, "support", "shop.customers.phone"].map(str::to_owned);
    let total = |count: u64| Total { statements: count, rows: 3 * count, opened: 3 * count, ..Total::default() };
    assert_eq!(
        phone,
        [
            (names("2026-03-04", "ana@%"), total(2)),
            (names("2026-03-04", "ben@%"), total(1)),
            (names("2026-03-05", "ana@%"), total(1)),
            (names("2026-03-05", "eve@%"), total(1)),
        ]
    );
}

#[test]
fn clients_are_found_by_their_ipv6_address() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut chain = Chain::new(key());
    let mut lines = Vec::new();
    for client in ["[2001:db8::7]:4711", "[2001:db8::7]:4712", "[2001:db8::70]:4711", "192.0.2.7:4711"] {
        let access = Disclosure { client: client.parse().unwrap(), ..disclosure("ana", 1) };
        chain.put(&Line::Access(Box::new(access)), "2026-03-04T05:06:07.000000Z", &mut lines);
    }
    fs::write(file.path(), &lines).unwrap();
    let numbers = |client: &str| {
        let mut numbers = Vec::new();
        let filter = Filter { client: Some(client.to_owned()), ..Filter::default() };
        search(file.path(), &filter, |access| numbers.push(access.seq)).unwrap();
        numbers
    };
    assert_eq!(numbers("2001:db8::7"), [1, 2]);
    assert_eq!(numbers("[2001:db8::7]"), [1, 2]);
    assert_eq!(numbers("2001:0DB8:0:0::7"), [1, 2]);
    assert_eq!(numbers("[2001:db8::7]:4712"), [2]);
    assert_eq!(numbers("192.0.2.7"), [4]);
    assert_eq!(numbers("nobody"), Vec::<u64>::new());
}

/// `CANDADO_ACCESSES` records in one file: how long writing, searching and verifying take.
#[test]
fn a_long_record_is_searched() {
    let count: u64 = std::env::var("CANDADO_ACCESSES").map_or(2_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accesses.log");
    let mut began = Instant::now();
    written(&path, count, 0);
    let mut times = format!("{count} records");
    let mut time = |what: &str| {
        times.push_str(&format!(", {what} {:?}", began.elapsed()));
        began = Instant::now();
    };
    time("written");
    let found = |filter: Filter| {
        let mut found = 0;
        search(&path, &filter, |_| found += 1).unwrap();
        found
    };
    let by_account = found(Filter { account: Some("eve".to_owned()), ..Filter::default() });
    time("searched by account");
    let (from, until) = (Some(at(count / 2)), Some(at(count / 2 + 100)));
    let by_time = found(Filter { from, until, ..Filter::default() });
    time("by time");
    let all = found(Filter { from: Some(at(0)), ..Filter::default() });
    time("all by time");
    let mut report = Report::default();
    search(&path, &Filter::default(), |access| report.add(access)).unwrap();
    time("reported");
    let reader = io::BufReader::with_capacity(1 << 20, fs::File::open(&path).unwrap());
    let verdict = verify([("one".to_owned(), Ok(reader))], any_key, &mut NoAnchors, &PutAway::default()).unwrap();
    time("verified");
    println!("{times}");
    assert_eq!((by_account, by_time, all), (count.div_ceil(1_000), 100, count));
    assert_eq!((verdict.found, verdict.accesses), (vec![], count));
    assert_eq!(report.totals().map(|(_, total)| total.statements).sum::<u64>(), 2 * count);
}

/// The time of a record: one in a second.
fn at(number: u64) -> String {
    rfc3339(Duration::from_secs(1_772_600_767 + number))
}

/// Writes a file of so many accesses. In its second half the clock is that many records behind.
fn written(path: &Path, count: u64, set_back: u64) {
    let mut chain = Chain::new(key());
    let mut file = io::BufWriter::new(fs::File::create(path).unwrap());
    let mut line = Vec::new();
    chain.put(&head("proxy-1", 7, 1, [0; AUDIT_MAC_LENGTH]), &at(0), &mut line);
    for number in 0..count {
        let user = if number % 1_000 == 0 { "eve".to_owned() } else { format!("user{}", number % 50) };
        let access = Line::Access(Box::new(disclosure(&user, 3)));
        let behind = if number < count / 2 { 0 } else { set_back };
        chain.put(&access, &at(number - behind), &mut line);
        io::Write::write_all(&mut file, &line).unwrap();
        line.clear();
    }
}
