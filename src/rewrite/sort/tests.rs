#![expect(clippy::arithmetic_side_effects, reason = "a test may panic")]

use super::*;
use crate::policy::ColumnId;
use crate::rewrite::fixture::Fixture;
use crate::schema::SortOrder;
use crate::wire::lenenc;

const VALUE: SortBy = SortBy::Value(SortOrder::Padded);

fn sort(keys: &[(usize, SortBy, Direction)], hidden: usize) -> Sort {
    let keys = keys.iter().map(|(output, by, direction)| SortKey { output: *output, by: *by, direction: *direction });
    Sort { column: ColumnId(0), keys: keys.collect(), hidden, rows_max: 4, count: None, offset: None }
}

fn text_row(cells: &[Option<&str>]) -> Vec<u8> {
    let mut row = Vec::new();
    for cell in cells {
        match cell {
            Some(value) => lenenc::put_string(value.as_bytes(), &mut row),
            None => row.push(lenenc::NULL),
        }
    }
    row
}

/// A binary row of strings and a last BIGINT, which may be left out.
fn binary_row(cells: &[Option<&str>], last: Option<u64>) -> Vec<u8> {
    let mut bitmap = vec![0; (cells.len() + last.iter().len() + 2).div_ceil(8)];
    let mut values = Vec::new();
    for (column, cell) in cells.iter().enumerate() {
        match cell {
            Some(value) => lenenc::put_string(value.as_bytes(), &mut values),
            None => bitmap[(column + 2) / 8] |= 1 << ((column + 2) % 8),
        }
    }
    [vec![0], bitmap, values, last.map(|last| last.to_le_bytes().to_vec()).unwrap_or_default()].concat()
}

const ALL: Window = Window { offset: 0, count: u64::MAX };

fn sorted(sort: &Sort, window: Window, cells: RowCells, columns: usize, rows: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let fixture = Fixture::new();
    let mut sorter = Sorter::new(sort, window, cells, columns, &fixture.cx()).unwrap();
    rows.iter().for_each(|row| sorter.push(row).unwrap());
    let mut out = Vec::new();
    sorter.finish(|row| out.push(row.to_vec()));
    out
}

#[test]
fn null_comes_first_and_equal_rows_stay_as_they_came() {
    let rows = [("b", 1), ("a", 2), ("", 3), ("b", 4)].map(|(value, number)| {
        let value = Some(value).filter(|value| !value.is_empty());
        text_row(&[Some(&number.to_string()), value])
    });
    let order = |direction, window| {
        let sorted = sorted(&sort(&[(1, VALUE, direction)], 0), window, RowCells::Text, 2, &rows);
        sorted.iter().map(|row| char::from(row[1])).collect::<String>()
    };
    assert_eq!(order(Direction::Ascending, ALL), "3214");
    assert_eq!(order(Direction::Descending, ALL), "1423");
    assert_eq!(order(Direction::Ascending, Window { offset: 1, count: 2 }), "21");
    assert_eq!(order(Direction::Ascending, Window { offset: 4, count: 2 }), "");
    assert_eq!(order(Direction::Ascending, Window { offset: 0, count: 0 }), "");
}

#[test]
fn hidden_columns_are_cut_off() {
    let keys = [(2, SortBy::Rank, Direction::Ascending), (1, VALUE, Direction::Descending)];
    let row = |value, rank| text_row(&[Some("x"), value, Some(rank)]);
    let rows = [row(Some("a"), "10"), row(Some("b"), "10"), row(None, "9")];
    let shown = |value| text_row(&[Some("x"), value]);
    let expected = [shown(None), shown(Some("b")), shown(Some("a"))];
    assert_eq!(sorted(&sort(&keys, 1), ALL, RowCells::Text, 3, &rows), expected);

    // The NULL bitmap of seven columns takes a byte more than that of six.
    let strings = [Some("a"), None, Some("c"), None, Some("e"), Some("f")];
    let keys = [(6, SortBy::Rank, Direction::Ascending)];
    let types = [vec![ColumnType::VarString; 6], vec![ColumnType::LongLong]].concat();
    let rows = [binary_row(&strings, Some(2)), binary_row(&[None; 6], Some(1))];
    let expected = [binary_row(&[None; 6], None), binary_row(&strings, None)];
    assert_eq!(sorted(&sort(&keys, 1), ALL, RowCells::Binary(types), 7, &rows), expected);
}

#[test]
fn more_rows_than_the_bound_are_refused() {
    let fixture = Fixture::new();
    let sort = sort(&[(0, VALUE, Direction::Ascending)], 0);
    let mut sorter = Sorter::new(&sort, ALL, RowCells::Text, 1, &fixture.cx()).unwrap();
    let row = text_row(&[Some("x")]);
    for _ in 0..4 {
        sorter.push(&row).unwrap();
    }
    assert!(matches!(sorter.push(&row), Err(RewriteError::Unsupported { .. })));
    let mut sorter = Sorter::new(&sort, ALL, RowCells::Text, 1, &fixture.cx()).unwrap();
    let long = text_row(&[Some(&"x".repeat(30 << 20))]);
    assert!(matches!(sorter.push(&long), Err(RewriteError::Unsupported { .. })));
}

#[test]
fn malformed_rows_are_refused() {
    let fixture = Fixture::new();
    let sort = sort(&[(0, VALUE, Direction::Ascending)], 1);
    let cells = RowCells::Binary(vec![ColumnType::VarString, ColumnType::LongLong]);
    let mut sorter = Sorter::new(&sort, ALL, cells, 2, &fixture.cx()).unwrap();
    let whole = binary_row(&[Some("abc")], Some(7));
    for end in 0..whole.len() {
        assert!(sorter.push(&whole[..end]).is_err(), "{end}");
    }
    assert!(sorter.push(&whole).is_ok());
    let not_text = [vec![0, 0, 2, 0xff, 0xfe], vec![0; 8]].concat();
    assert!(matches!(sorter.push(&not_text), Err(RewriteError::NotText { .. })));
}
