#![expect(clippy::arithmetic_side_effects, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;

const TYPES: [ColumnType; 28] = [
    ColumnType::Decimal,
    ColumnType::Tiny,
    ColumnType::Short,
    ColumnType::Long,
    ColumnType::Float,
    ColumnType::Double,
    ColumnType::Timestamp,
    ColumnType::LongLong,
    ColumnType::Int24,
    ColumnType::Date,
    ColumnType::Time,
    ColumnType::Datetime,
    ColumnType::Year,
    ColumnType::NewDate,
    ColumnType::Varchar,
    ColumnType::Bit,
    ColumnType::Vector,
    ColumnType::Json,
    ColumnType::NewDecimal,
    ColumnType::Enum,
    ColumnType::Set,
    ColumnType::TinyBlob,
    ColumnType::MediumBlob,
    ColumnType::LongBlob,
    ColumnType::Blob,
    ColumnType::VarString,
    ColumnType::String,
    ColumnType::Geometry,
];

/// A binary row of the types; values are cut or filled to what each type takes.
fn binary_row(columns: &[(ColumnType, Option<Vec<u8>>)]) -> (Vec<u8>, Vec<Option<Vec<u8>>>) {
    let mut bitmap = vec![0; (columns.len() + 2).div_ceil(8)];
    let (mut values, mut expected) = (Vec::new(), Vec::new());
    for (column, (column_type, value)) in columns.iter().enumerate() {
        let Some(value) = value else {
            bitmap[(column + 2) / 8] |= 1 << ((column + 2) % 8);
            expected.push(None);
            continue;
        };
        let mut value = value.clone();
        match column_type.row_form() {
            ValueForm::Empty => value.clear(),
            ValueForm::Fixed(octets) => value.resize(octets.into(), 7),
            ValueForm::Temporal => {
                value.truncate(12);
                values.push(u8::try_from(value.len()).unwrap());
            }
            ValueForm::Sized => lenenc::put_integer(value.len() as u64, &mut values),
        }
        values.extend_from_slice(&value);
        expected.push(Some(value));
    }
    ([vec![0], bitmap, values].concat(), expected)
}

#[test]
fn values_of_each_form_are_walked() {
    // 1 as BIGINT, 'ab', NULL and 2026-01-02 03:04:05.
    let row = [0, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 7, 0xea, 7, 1, 2, 3, 4, 5];
    let mut cells = BinaryCells::new(&row, 4).unwrap();
    assert_eq!(cells.next_cell(ColumnType::LongLong), Ok(Cell { start: 2, value: Some(2..10), end: 10 }));
    assert_eq!(cells.next_cell(ColumnType::VarString), Ok(Cell { start: 10, value: Some(11..13), end: 13 }));
    assert_eq!(cells.next_cell(ColumnType::Null), Ok(Cell { start: 13, value: None, end: 13 }));
    assert_eq!(cells.next_cell(ColumnType::Datetime), Ok(Cell { start: 13, value: Some(14..21), end: 21 }));
    assert_eq!(cells.finish(), Ok(()));
}

#[test]
fn a_malformed_row_is_refused() {
    assert_eq!(BinaryCells::new(&[], 1).unwrap_err(), WireError::Truncated("binary row"));
    assert_eq!(BinaryCells::new(&[1, 0], 1).unwrap_err(), WireError::Malformed("binary row"));
    assert_eq!(BinaryCells::new(&[0, 0], 7).unwrap_err(), WireError::Truncated("binary row"));
    let mut cells = BinaryCells::new(&[0, 0, 13, 0], 1).unwrap();
    assert_eq!(cells.next_cell(ColumnType::Time), Err(WireError::Malformed("binary row")));
    let mut cells = BinaryCells::new(&[0, 0, 1, 2, 3], 1).unwrap();
    assert_eq!(cells.next_cell(ColumnType::Long), Err(WireError::Truncated("binary row")));
    assert_eq!(cells.finish(), Err(WireError::Malformed("binary row")));
}

proptest! {
    #[test]
    fn every_value_is_found(
        columns in prop::collection::vec((prop::sample::select(&TYPES[..]), any::<Option<Vec<u8>>>()), 0..40),
    ) {
        let (row, expected) = binary_row(&columns);
        let mut walk = BinaryCells::new(&row, columns.len()).unwrap();
        for ((column_type, _), expected) in columns.iter().zip(&expected) {
            let found = walk.next_cell(*column_type).unwrap();
            prop_assert_eq!(found.value.map(|value| &row[value]), expected.as_deref());
        }
        prop_assert_eq!(walk.finish(), Ok(()));
    }

    #[test]
    fn no_bytes_panic(row: Vec<u8>, types in prop::collection::vec(prop::sample::select(&TYPES[..]), 0..40)) {
        let Ok(mut walk) = BinaryCells::new(&row, types.len()) else { return Ok(()) };
        for column_type in types {
            if walk.next_cell(column_type).is_err() {
                break;
            }
        }
    }
}
