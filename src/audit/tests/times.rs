//! Searches by time: what they find, and that they do not read all of a file.

use super::*;

/// Whatever time is asked for: nothing is missed, also where the clock was set back by an hour.
#[test]
fn a_search_by_time_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accesses.log");
    const COUNT: u64 = 16_000;
    for set_back in [0, 3_000] {
        written(&path, COUNT, set_back);
        assert!(fs::metadata(&path).unwrap().len() > 4 << 20, "looks are taken");
        let text = fs::read_to_string(&path).unwrap();
        let times: Vec<&str> = text.lines().skip(1).map(|line| line.split('\t').nth(2).unwrap()).collect();
        for (from, until) in
            [(0, COUNT), (1, 2), (100, 7_000), (4_000, 9_000), (5_990, 6_010), (12_990, 13_010), (90_000, 99_000)]
        {
            let (from, until) = (at(from), at(until));
            let wanted = times.iter().filter(|time| **time >= from.as_str() && **time < until.as_str()).count();
            let mut found = 0;
            search(&path, &Filter { from: Some(from), until: Some(until), ..Filter::default() }, |_| found += 1)
                .unwrap();
            assert_eq!(found, wanted);
        }
        let late = times.iter().filter(|time| **time >= at(12_000).as_str()).count();
        let mut found = 0;
        search(&path, &Filter { from: Some(at(12_000)), ..Filter::default() }, |_| found += 1).unwrap();
        assert_eq!(found, late);
    }
    // Little of it is read.
    let mut file = fs::File::open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let mut stretch = |from, until| stretch::stretch(&mut file, from, until).unwrap();
    assert_eq!(stretch(None, None), 0..length);
    let (late, early) = (stretch(Some("2026-03-05"), None), stretch(None, Some("2026-03-03")));
    assert!(late.end - late.start <= 1 << 20 && early.end - early.start <= 1 << 20, "{late:?} {early:?}");
}
