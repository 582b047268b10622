//! Documents that repeat what the code says, compared with the code.

use std::collections::BTreeSet;
use std::path::Path;

use candado::client_error::ROWS;

#[test]
fn the_error_table_of_operations_has_the_rows_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
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
