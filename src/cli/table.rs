//! Tables: what lists look like for people.

/// The rows under their headings. A list without rows is said in words: an empty table could be a fault as well.
pub(super) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
    none: &str,
) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(headings);
    table.add_rows(rows);
    if table.is_empty() { none.to_owned() } else { table.to_string() }
}
