//! Documents that repeat what the code says, compared with the code.

use std::collections::BTreeSet;
use std::path::Path;

use candado::app::health::Readiness;
use candado::client_error::ROWS;
use candado::control::KeysMissing;

fn operations() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATIONS.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn operations_says_what_to_do_about_each_reason_of_not_being_ready() {
    let missing = [
        KeysMissing::Starting,
        KeysMissing::KeyStore,
        KeysMissing::NotInitialised,
        KeysMissing::ProviderUnavailable,
        KeysMissing::ProviderRefuses,
        KeysMissing::Keys,
    ];
    let reasons = missing.map(Readiness::NoKeys).into_iter().chain([
        Readiness::NoCatalog,
        Readiness::ShadowOver,
        Readiness::Draining,
    ]);
    for text in reasons.map(|readiness| readiness.to_string()) {
        let reason = text.strip_prefix("not ready: ").unwrap();
        assert!(operations().contains(&format!("\n| `{reason}` | ")), "{reason}");
    }
}

#[test]
fn the_error_table_of_operations_has_the_rows_of_the_code() {
    let text = operations();
    let section = text.split("\n## ").find(|section| section.starts_with("Errors")).expect("a section \"Errors\"");
    let documented: BTreeSet<(String, String)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let code = cells.next()?.trim();
            let state = cells.next()?.trim();
            code.parse::<u16>().ok()?;
            Some((code.to_owned(), state.to_owned()))
        })
        .collect();
    let coded: BTreeSet<(String, String)> =
        ROWS.iter().map(|row| (row.code.to_string(), std::str::from_utf8(&row.sqlstate).unwrap().to_owned())).collect();
    assert_eq!(documented, coded);
}
