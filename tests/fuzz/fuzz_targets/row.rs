//! Text and binary rows and column definitions: any bytes are cells within the packet or an error.
#![no_main]

use candado::wire::binary_row::{BinaryCells, keep_first};
use candado::wire::column::{ColumnDefinition, ColumnType};
use candado::wire::text_row::TextCells;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [columns, rest @ ..] = data else { return };
    let Some((types, row)) = rest.split_at_checked(usize::from(*columns)) else { return };
    let mut text = TextCells::new(row);
    while text.finish().is_err() {
        let Ok(cell) = text.next_cell() else { break };
        assert!(cell.start < cell.end && cell.end <= row.len());
        assert!(cell.value.is_none_or(|value| value.end == cell.end));
    }
    let types: Vec<_> = types.iter().filter_map(|byte| ColumnType::from_byte(*byte).ok()).collect();
    if let Ok(mut binary) = BinaryCells::new(row, types.len()) {
        for column_type in &types {
            let Ok(cell) = binary.next_cell(*column_type) else { break };
            assert!(cell.start <= cell.end && cell.end <= row.len());
        }
    }
    let shown = usize::from(*columns).min(types.len());
    let mut kept = row.to_vec();
    if keep_first(&mut kept, 0, types.len(), shown).is_ok() {
        assert!(BinaryCells::new(&[&[0], &kept[1..]].concat(), shown).is_ok(), "a row of fewer columns is one");
    }
    if let Ok(definition) = ColumnDefinition::parse(row) {
        let mut copy = Vec::new();
        definition.put_with(&definition.attributes, &mut copy);
        let again = ColumnDefinition::parse(&copy).expect("a copy reads like the original");
        assert_eq!(again.attributes, definition.attributes);
        let mut named = Vec::new();
        definition.put_named(b"name", &mut named);
        let named = ColumnDefinition::parse(&named).expect("a copy reads like the original");
        assert_eq!((named.name, named.attributes), (&b"name"[..], definition.attributes));
        assert_eq!(
            (named.schema, named.org_table, named.org_name),
            (definition.schema, definition.org_table, definition.org_name)
        );
    }
});
