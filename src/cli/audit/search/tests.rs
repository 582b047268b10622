//! Which accesses are the newest, and what is no client and no trace.

use std::fs;

use super::*;
use crate::audit::Parsed;

fn access(at: &str, seq: u64, columns: &str) -> String {
    format!("a\t{seq}\t{at}\tana@%\t192.0.2.7:4711\tsupport\t-\t-\tab\t1:{seq}\tcomplete\t1\t1\t0\t{columns}\tmac")
}

#[test]
fn the_newest_are_the_latest_whatever_the_order_of_files() {
    let file = |accesses: &[(&str, u64)], limit| {
        let mut hits = Hits::default();
        for (at, seq) in accesses {
            let line = access(at, *seq, "shop.customers.phone=1/0");
            hits.keep(&Parsed::read(line.as_bytes()).unwrap().access().unwrap(), limit);
        }
        hits
    };
    for (limit, expected) in [(0, &[][..]), (1, &[5]), (3, &[8, 1, 5]), (9, &[7, 8, 1, 5])] {
        // The second file is older than the first one, and a clock was set back in it.
        let files = vec![
            file(&[("2026-03-06", 1), ("2026-03-07", 5)], limit),
            file(&[("2026-03-05", 8), ("2026-03-04", 7)], limit),
        ];
        let newest: Vec<_> = Hits::newest(files, limit).iter().map(|access| access["seq"].as_u64().unwrap()).collect();
        assert_eq!(newest, expected, "{limit}");
    }
    let together = vec![file(&[("2026-03-06", 9)], 1), file(&[("2026-03-06", 3)], 1)];
    assert_eq!(Hits::newest(together, 1)[0]["seq"], 9);
}

#[test]
fn of_a_result_that_has_ended_its_beginning_is_not_shown() {
    let mut hits = Hits::default();
    for (seq, statement, outcome) in [
        (1, "1:1", "begun"),
        (2, "1:2", "begun"),
        (3, "1:1", "complete"),
        (4, "1:3", "complete"),
        (5, "1:3", "complete"),
    ] {
        let line = access("2026-03-06", seq, "shop.customers.phone=1/0");
        let line = line.replace(&format!("1:{seq}\tcomplete"), &format!("{statement}\t{outcome}"));
        hits.keep(&Parsed::read(line.as_bytes()).unwrap().access().unwrap(), 9);
    }
    assert_eq!(hits.count, 4);
    let shown = Hits::newest(vec![hits], 9);
    let shown: Vec<_> = shown.iter().map(|access| (&access["ref"], &access["outcome"])).collect();
    assert_eq!(
        shown.iter().map(|(statement, outcome)| format!("{statement} {outcome}")).collect::<Vec<_>>(),
        [r#""1:2" "begun""#, r#""1:1" "complete""#, r#""1:3" "complete""#, r#""1:3" "complete""#]
    );
}

#[test]
fn an_end_stands_for_its_beginning_in_another_file_and_whatever_columns_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let both = "shop.customers.email=0/0,shop.customers.phone=0/0";
    let written = |name: &str, accesses: &[(u64, &str, &str, &str)]| {
        let line = |(seq, statement, outcome, columns): &(u64, &str, &str, &str)| {
            let line = access(&format!("2026-03-06T00:00:{seq:02}"), *seq, columns);
            line.replace(&format!("1:{seq}\tcomplete"), &format!("{statement}\t{outcome}")) + "\n"
        };
        let path = folder.path().join(name);
        fs::write(&path, accesses.iter().map(line).collect::<String>()).unwrap();
        path
    };
    let phone = "shop.customers.phone=1/0";
    let files = vec![
        written("accesses.log.000001", &[(1, "1:1", "complete", phone), (2, "1:2", "begun", both)]),
        // It may last longer than a segment. Of the CALL one result has ended, and the other one has not.
        written("accesses.log.000002", &[(3, "1:3", "complete", phone), (4, "1:3", "begun", both)]),
        written("accesses.log", &[(5, "1:2", "complete", phone), (6, "1:6", "begun", both)]),
    ];
    let shown = |files: &[PathBuf], column: Option<&str>, limit| {
        let wanted = Wanted {
            files: files.to_vec(),
            account: None,
            column: column.map(str::to_owned),
            from: None,
            until: None,
            digest: None,
            client: None,
            trace: None,
            json: false,
        };
        let (count, shown) = found(&SearchArguments { wanted, limit }).unwrap();
        (count, shown.iter().map(|access| access["seq"].as_u64().unwrap()).collect::<Vec<_>>())
    };
    let reversed: Vec<_> = files.iter().rev().cloned().collect();
    for files in [&files, &reversed] {
        assert_eq!(shown(files, None, 9), (5, vec![1, 3, 4, 5, 6]));
        assert_eq!(shown(files, None, 4), (5, vec![3, 4, 5, 6]));
        // The result that has ended showed none.
        assert_eq!(shown(files, Some("shop.customers.email"), 9), (2, vec![4, 6]));
    }
    // What gave way to a beginning is there when that is not shown.
    let files = [
        written("old", &[(1, "1:1", "complete", "shop.customers.email=1/0"), (2, "1:2", "begun", both)]),
        written("new", &[(5, "1:2", "complete", phone)]),
    ];
    assert_eq!(shown(&files, Some("shop.customers.email"), 1), (1, vec![1]));
    assert_eq!(shown(&files[..1], None, 1), (2, vec![2]), "its end is in no file");
}

#[test]
fn honey_is_named_where_it_was_shown() {
    let shown = |columns| {
        let text = access("2026-03-06", 1, columns);
        line(&document(&Parsed::read(text.as_bytes()).unwrap().access().unwrap()))
    };
    assert!(shown("shop.customers.phone=1/0/1").contains(" of shop.customers.phone (honey);"));
    assert!(shown("shop.customers.phone=1/0").contains(" of shop.customers.phone;"));
}

#[test]
fn what_is_no_client_and_no_trace_is_refused() {
    for text in ["192.0.2.7", "192.0.2.7:4711", "2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"] {
        assert_eq!(client(text).as_deref(), Ok(text));
    }
    for text in ["", "desk", "192.0.2", "192.0.2.7:"] {
        assert!(client(text).is_err(), "{text}");
    }
    assert_eq!(trace("4bf92f").as_deref(), Ok("4bf92f"));
    for text in ["", "\n", "4b\tf9"] {
        assert!(trace(text).is_err(), "{text:?}");
    }
}
