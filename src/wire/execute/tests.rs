use super::*;
use proptest::prelude::*;

const LONG: ParamType = ParamType { column_type: ColumnType::LongLong, flags: 0 };
const TEXT: ParamType = ParamType { column_type: ColumnType::VarString, flags: 0 };

/// Statement 1, no cursor, two parameters bound: 7 as BIGINT and 'ab'.
fn packet() -> Vec<u8> {
    let head = [COMMAND, 1, 0, 0, 0, 0, 1, 0, 0, 0];
    let types = [0, 1, 8, 0, 253, 0];
    [&head[..], &types, &[7, 0, 0, 0, 0, 0, 0, 0], &[2, b'a', b'b']].concat()
}

#[test]
fn parameters_are_found() {
    let packet = packet();
    let execute = Execute::parse(&packet, 2).unwrap();
    assert_eq!((execute.statement_id, execute.flags, execute.iterations), (1, 0, 1));
    let types: Vec<_> = execute.types().unwrap().collect();
    assert_eq!(types, [Ok(LONG), Ok(TEXT)]);
    let mut values = execute.values();
    assert_eq!(values.next_value(LONG, Arrival::Here), Ok(ParamValue::Inline { whole: 16..24, value: 16..24 }));
    assert_eq!(values.next_value(TEXT, Arrival::Here), Ok(ParamValue::Inline { whole: 24..27, value: 25..27 }));
    assert_eq!(values.finish(), Ok(()));
}

#[test]
fn types_of_the_last_execution_are_the_callers() {
    let packet = [&[COMMAND, 1, 0, 0, 0, 0, 1, 0, 0, 0][..], &[2, 0], &[7, 0, 0, 0, 0, 0, 0, 0]].concat();
    let execute = Execute::parse(&packet, 2).unwrap();
    assert!(execute.types().is_none());
    let mut values = execute.values();
    assert_eq!(values.next_value(LONG, Arrival::Here), Ok(ParamValue::Inline { whole: 12..20, value: 12..20 }));
    assert_eq!(values.next_value(TEXT, Arrival::Here), Ok(ParamValue::Null));
    assert_eq!(values.finish(), Ok(()));
}

#[test]
fn a_value_sent_before_takes_no_bytes() {
    let packet = [&[COMMAND, 1, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0, 0], &[1, b'x']].concat();
    let mut values = Execute::parse(&packet, 2).unwrap().values();
    assert_eq!(values.next_value(TEXT, Arrival::Before), Ok(ParamValue::LongData));
    assert_eq!(values.next_value(TEXT, Arrival::Here), Ok(ParamValue::Inline { whole: 12..14, value: 13..14 }));
    assert_eq!(values.finish(), Ok(()));
}

#[test]
fn a_malformed_packet_is_refused() {
    let packet = packet();
    for length in 0..16 {
        assert!(Execute::parse(&packet[..length], 2).is_err(), "{length} bytes");
    }
    for (at, value) in [(0, 0x16), (5, FLAG_PARAMETER_COUNT), (11, 2)] {
        let mut other = packet.clone();
        other[at] = value;
        assert_eq!(Execute::parse(&other, 2).unwrap_err(), WireError::Malformed(WHAT), "byte {at}");
    }
    let longer = [packet, vec![0]].concat();
    let mut values = Execute::parse(&longer, 2).unwrap().values();
    values.next_value(LONG, Arrival::Here).unwrap();
    values.next_value(TEXT, Arrival::Here).unwrap();
    assert_eq!(values.finish(), Err(WireError::Malformed(WHAT)));
}

#[test]
fn types_that_servers_read_differently_are_refused() {
    for byte in [9, 13, 14, 17, 244] {
        assert!(ParamType::from_bytes(byte, 0).is_err(), "{byte}");
    }
    assert!(ParamType::from_bytes(3, 0x80).unwrap().is_unsigned());
}

#[test]
fn debug_output_holds_no_values() {
    let packet = [&[COMMAND, 1, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0, 1, 253, 0], &[3, 77, 78, 79]].concat();
    let execute = Execute::parse(&packet, 1).unwrap();
    let mut writer = ExecuteWriter::default();
    writer.put_string(TEXT, &[77, 78, 79]);
    let text = format!("{execute:?} {:?} {writer:?}", execute.values());
    assert!(!text.contains("77"), "{text}");
    assert!(text.contains("statement_id: 1"), "{text}");
}

#[derive(Clone, Debug)]
enum Param {
    Null,
    Before,
    Number(u64),
    Text(Vec<u8>),
}

fn param() -> impl Strategy<Value = Param> {
    prop_oneof![
        Just(Param::Null),
        Just(Param::Before),
        any::<u64>().prop_map(Param::Number),
        any::<Vec<u8>>().prop_map(Param::Text),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(params in prop::collection::vec(param(), 0..40), statement_id: u32) {
        let head = [&[COMMAND][..], &statement_id.to_le_bytes(), &[1, 1, 0, 0, 0]].concat();
        let head = Execute::parse(&head, 0).unwrap();
        let mut writer = ExecuteWriter::default();
        for param in &params {
            match param {
                Param::Null => writer.put_null(LONG),
                Param::Before => writer.put_long_data(TEXT),
                Param::Number(value) => writer.put_value(LONG, &value.to_le_bytes()),
                Param::Text(value) => writer.put_string(TEXT, value),
            }
        }
        let mut packet = Vec::new();
        writer.finish(&head, &mut packet);
        let execute = Execute::parse(&packet, params.len().try_into().unwrap()).unwrap();
        prop_assert_eq!((execute.statement_id, execute.flags, execute.iterations), (statement_id, 1, 1));
        let types: Vec<_> = execute.types().into_iter().flatten().map(Result::unwrap).collect();
        let mut values = execute.values();
        for (param, param_type) in params.iter().zip(types) {
            let arrival = if matches!(param, Param::Before) { Arrival::Before } else { Arrival::Here };
            match (param, values.next_value(param_type, arrival).unwrap()) {
                (Param::Null, ParamValue::Null) | (Param::Before, ParamValue::LongData) => {}
                (Param::Number(number), ParamValue::Inline { value, .. }) => {
                    prop_assert_eq!(&packet[value], &number.to_le_bytes()[..]);
                }
                (Param::Text(text), ParamValue::Inline { value, .. }) => prop_assert_eq!(&packet[value], &text[..]),
                (param, value) => prop_assert!(false, "{param:?} became {value:?}"),
            }
        }
        prop_assert_eq!(values.finish(), Ok(()));
    }

    #[test]
    fn no_bytes_panic(payload: Vec<u8>, params: u16, types: Vec<(u8, u8, bool)>) {
        let payload = [vec![COMMAND], payload].concat();
        let Ok(execute) = Execute::parse(&payload, params) else { return Ok(()) };
        let _ = execute.types().map(Iterator::count);
        let mut values = execute.values();
        for (column_type, flags, before) in types {
            let Ok(param_type) = ParamType::from_bytes(column_type, flags) else { continue };
            let arrival = if before { Arrival::Before } else { Arrival::Here };
            if values.next_value(param_type, arrival).is_err() {
                break;
            }
        }
    }
}
