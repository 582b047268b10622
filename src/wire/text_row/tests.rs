use super::*;
use proptest::prelude::*;

pub(crate) fn text_row(cells: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut row = Vec::new();
    for cell in cells {
        match cell {
            Some(value) => lenenc::put_string(value, &mut row),
            None => row.push(lenenc::NULL),
        }
    }
    row
}

#[test]
fn cells_are_told_apart_from_null() {
    let row = text_row(&[Some(b"ab".to_vec()), None, Some(vec![]), Some(vec![b'x'; 300])]);
    let mut cells = TextCells::new(&row);
    assert_eq!(cells.next_cell(), Ok(Cell { start: 0, value: Some(1..3), end: 3 }));
    assert_eq!(cells.next_cell(), Ok(Cell { start: 3, value: None, end: 4 }));
    assert_eq!(cells.next_cell(), Ok(Cell { start: 4, value: Some(5..5), end: 5 }));
    assert_eq!(cells.finish(), Err(WireError::Malformed("text row")));
    assert_eq!(cells.next_cell(), Ok(Cell { start: 5, value: Some(8..308), end: 308 }));
    assert_eq!(cells.finish(), Ok(()));
    assert_eq!(cells.next_cell(), Err(WireError::Truncated("text row")));
}

#[test]
fn a_cell_longer_than_the_row_is_refused() {
    assert_eq!(TextCells::new(&[3, b'a', b'b']).next_cell(), Err(WireError::Truncated("text row")));
    assert_eq!(TextCells::new(&[0xff]).next_cell(), Err(WireError::Malformed("text row")));
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(TextCells::new(&huge).next_cell(), Err(WireError::Truncated("text row")));
}

proptest! {
    #[test]
    fn every_cell_is_found(cells: Vec<Option<Vec<u8>>>) {
        let row = text_row(&cells);
        let mut walk = TextCells::new(&row);
        for cell in &cells {
            let found = walk.next_cell().unwrap();
            prop_assert_eq!(found.value.map(|value| &row[value]), cell.as_deref());
        }
        prop_assert_eq!(walk.finish(), Ok(()));
    }

    #[test]
    fn no_bytes_panic(row: Vec<u8>) {
        let mut walk = TextCells::new(&row);
        while walk.finish().is_err() {
            if walk.next_cell().is_err() {
                break;
            }
        }
    }
}
