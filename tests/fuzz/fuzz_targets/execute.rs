//! COM_STMT_EXECUTE: any bytes are parameters within the packet or an error, and a copy reads like the original.
#![no_main]

use candado::wire::execute::{Arrival, Execute, ExecuteWriter, ParamValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // How many parameters, and a bit for each of the first eight that came by COM_STMT_SEND_LONG_DATA.
    let [params, before, payload @ ..] = data else { return };
    let (params, before) = (u16::from(*params), *before);
    let Ok(execute) = Execute::parse(payload, params) else { return };
    let Some(types) = execute.types() else { return };
    let Ok(types) = types.collect::<Result<Vec<_>, _>>() else { return };
    let arrival = |param: usize| if param < 8 && before >> param & 1 == 1 { Arrival::Before } else { Arrival::Here };
    let mut values = execute.values();
    let mut writer = ExecuteWriter::default();
    let mut found = Vec::new();
    for (param, param_type) in types.iter().enumerate() {
        let Ok(value) = values.next_value(*param_type, arrival(param)) else { return };
        match &value {
            ParamValue::Null => writer.put_null(*param_type),
            ParamValue::LongData => writer.put_long_data(*param_type),
            ParamValue::Inline { whole, .. } => writer.put_value(*param_type, &payload[whole.clone()]),
        }
        found.push(value);
    }
    let mut copy = Vec::new();
    writer.finish(&execute, &mut copy);
    let again = Execute::parse(&copy, params).expect("a copy reads like the original");
    let mut values = again.values();
    for (param, (param_type, original)) in types.iter().zip(found).enumerate() {
        let value = values.next_value(*param_type, arrival(param)).expect("a copy reads like the original");
        match (original, value) {
            (ParamValue::Null, ParamValue::Null) | (ParamValue::LongData, ParamValue::LongData) => {}
            (ParamValue::Inline { value: original, .. }, ParamValue::Inline { value, .. }) => {
                assert_eq!(&payload[original], &copy[value]);
            }
            (original, value) => panic!("{original:?} became {value:?}"),
        }
    }
    values.finish().expect("a copy ends where the original ends");
});
