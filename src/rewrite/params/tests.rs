#![expect(clippy::arithmetic_side_effects, reason = "a test may panic")]

use super::*;
use crate::plan::Splice;
use crate::rewrite::fixture::{Fixture, Lexed, NOTES, PHONE, dialect, plan};
use crate::sql::TokenKind;
use crate::sql::tree::TokenRange;
use proptest::prelude::*;

const LONG_LONG: ParamType = ParamType { column_type: ColumnType::LongLong, flags: 0 };
const TEXT: ParamType = ParamType { column_type: ColumnType::VarString, flags: 0 };
const NOWHERE: TokenRange = TokenRange { first: 0, last: 0 };

fn sealing(column: ColumnId, param: u16) -> Splice {
    Splice { tokens: NOWHERE, column, kind: SpliceKind::Seal(Value::Param(param)), subject: None }
}

fn search(comparison: Comparison, params: &[u16]) -> Splice {
    let values = params.iter().map(|param| Value::Param(*param)).collect();
    Splice {
        tokens: NOWHERE,
        column: PHONE,
        kind: SpliceKind::Search { column_tokens: NOWHERE, comparison, values },
        subject: None,
    }
}

/// A parameter as a client or the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Param {
    Null,
    Long,
    Number(u64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

fn packet(params: &[Param]) -> Vec<u8> {
    let head = [0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0];
    let mut writer = ExecuteWriter::default();
    for param in params {
        match param {
            Param::Null => writer.put_null(TEXT),
            Param::Long => writer.put_long_data(TEXT),
            Param::Number(number) => writer.put_value(LONG_LONG, &number.to_le_bytes()),
            Param::Text(text) => writer.put_string(TEXT, text),
            Param::Blob(bytes) => writer.put_string(ParamType::BLOB, bytes),
        }
    }
    let mut out = Vec::new();
    writer.finish(&Execute::parse(&head, 0).unwrap(), &mut out);
    out
}

/// Reads a packet back; parameters in `long` were sent before.
fn unpacked(packet: &[u8], params: usize, long: &[usize]) -> Vec<Param> {
    let execute = Execute::parse(packet, params.try_into().unwrap()).unwrap();
    assert_eq!(execute.statement_id, 9);
    let types: Vec<_> = execute.types().unwrap().map(Result::unwrap).collect();
    let mut values = execute.values();
    let found = types.iter().enumerate().map(|(param, param_type)| {
        let arrival = if long.contains(&param) { Arrival::Before } else { Arrival::Here };
        match values.next_value(*param_type, arrival).unwrap() {
            ParamValue::Null => Param::Null,
            ParamValue::LongData => Param::Long,
            ParamValue::Inline { value, .. } => {
                let value = packet[value].to_vec();
                match *param_type {
                    ParamType::BLOB => Param::Blob(value),
                    LONG_LONG => Param::Number(u64::from_le_bytes(value.try_into().unwrap())),
                    _ => Param::Text(value),
                }
            }
        }
    });
    let found = found.collect();
    values.finish().unwrap();
    found
}

struct Run {
    fixture: Fixture,
    map: ParamMap,
    types: ParamTypes,
    long_data: LongData,
}

impl Run {
    fn new(splices: Vec<Splice>, params: u16) -> Self {
        Self::with(Fixture::new(), splices, params)
    }

    fn with(fixture: Fixture, splices: Vec<Splice>, params: u16) -> Self {
        let map = ParamMap::of(&plan(splices, params), &fixture.cx()).unwrap().unwrap();
        Self { fixture, map, types: ParamTypes::default(), long_data: LongData::default() }
    }

    fn raw(&mut self, packet: &[u8]) -> Result<Vec<u8>, RewriteError> {
        let mut out = b"kept".to_vec();
        let done = execute(packet, &self.map, &mut self.types, &self.long_data, &self.fixture.cx(), &mut out);
        assert_eq!(out.drain(..4).collect::<Vec<_>>(), b"kept");
        done.inspect_err(|_| assert!(out.is_empty())).map(|()| out)
    }

    fn send(&mut self, params: &[Param]) -> Result<Vec<Param>, RewriteError> {
        let out = self.raw(&packet(params))?;
        Ok(unpacked(&out, self.map.server_params(), &[]))
    }

    fn bounds(&self, value: &str) -> Vec<Param> {
        let ranges = self.fixture.ranges(PHONE, value.as_bytes());
        ranges.into_iter().flat_map(|(low, high)| [Param::Blob(low), Param::Blob(high)]).collect()
    }
}

fn text(text: &str) -> Param {
    Param::Text(text.into())
}

#[test]
fn a_statement_without_protected_parameters_passes_as_it_is() {
    let fixture = Fixture::new();
    let literal =
        Splice { tokens: NOWHERE, column: PHONE, kind: SpliceKind::Seal(Value::Literal(NOWHERE)), subject: None };
    let map = ParamMap::of(&plan(vec![literal], 3), &fixture.cx()).unwrap().unwrap();
    assert!(!map.changes_parameters(), "it is kept for the literal alone");
    assert_eq!((map.client_params(), map.server_params()), (3, 3));
    assert_eq!(ParamMap::of(&plan(vec![], 0), &fixture.cx()), Ok(None));
}

#[test]
fn sealed_parameters_become_envelopes_and_others_are_copied() {
    let mut run = Run::new(vec![sealing(PHONE, 1), sealing(NOTES, 2), sealing(NOTES, 3)], 4);
    let sent = [Param::Number(7), text("090"), Param::Number(5), Param::Null];
    let found = run.send(&sent).unwrap();
    let [Param::Number(7), Param::Blob(phone), Param::Blob(notes), Param::Null] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(run.fixture.opened(PHONE, phone), b"090");
    assert_eq!(run.fixture.opened(NOTES, notes), b"5");
}

#[test]
fn searched_parameters_become_bounds() {
    let mut run = Run::new(vec![search(Comparison::Equal, &[1, 2])], 4);
    assert_eq!((run.map.client_params(), run.map.server_params()), (4, 6));
    let found = run.send(&[Param::Number(1), text("090"), Param::Null, text("end")]).unwrap();
    let nulls = vec![Param::Null, Param::Null];
    assert_eq!(found, [vec![Param::Number(1)], run.bounds("090"), nulls, vec![text("end")]].concat());
}

#[test]
fn definitions_are_shown_once_for_each_of_the_clients_parameters() {
    let run = Run::new(vec![search(Comparison::Equal, &[1]), search(Comparison::NullSafeEqual, &[2])], 4);
    let shown: Vec<_> = (0..=run.map.server_params()).map(|param| run.map.shown_for(param)).collect();
    assert_eq!(shown, [Some(0), Some(1), None, Some(2), None, None, Some(3), None]);
}

#[test]
fn null_safe_equality_takes_null_for_a_value() {
    let mut run = Run::new(vec![search(Comparison::NullSafeEqual, &[0])], 1);
    let empty = || Param::Blob(vec![]);
    assert_eq!(run.send(&[Param::Null]).unwrap(), [empty(), empty(), Param::Null]);
    let mut expected = run.bounds("090");
    expected.push(empty());
    assert_eq!(run.send(&[text("090")]).unwrap(), expected);
}

#[test]
fn each_live_index_key_has_its_bounds() {
    let mut run = Run::with(Fixture::with_index_versions(2), vec![search(Comparison::Equal, &[0])], 1);
    assert_eq!(run.map.server_params(), 4);
    assert_eq!(run.send(&[text("090")]).unwrap(), run.bounds("090"));
    // One key less than when it was prepared: the bounds left over enclose nothing.
    run.fixture = Fixture::with_index_versions(1);
    let left_over = vec![Param::Blob(vec![]), Param::Blob(vec![])];
    assert_eq!(run.send(&[text("090")]).unwrap(), [run.bounds("090"), left_over].concat());
    // One more: rows under it would be missed.
    run.fixture = Fixture::with_index_versions(3);
    assert_eq!(run.send(&[text("090")]), Err(RewriteError::Outdated));
}

#[test]
fn types_hold_until_others_come() {
    let mut run = Run::new(vec![sealing(PHONE, 1)], 2);
    let mut unbound = vec![0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    unbound.extend_from_slice(&7_u64.to_le_bytes());
    unbound.extend_from_slice(&[3, b'0', b'9', b'0']);
    assert!(matches!(run.raw(&unbound), Err(RewriteError::Wire(_))));
    run.send(&[Param::Number(1), text("first")]).unwrap();
    let out = run.raw(&unbound).unwrap();
    let found = unpacked(&out, 2, &[]);
    let [Param::Number(7), Param::Blob(phone)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(run.fixture.opened(PHONE, phone), b"090");
}

#[test]
fn long_data_are_held_or_forwarded() {
    let mut run = Run::new(vec![search(Comparison::Equal, &[0]), sealing(NOTES, 2)], 3);
    let mut accept = |param, piece: &[u8]| run.long_data.accept(&run.map, param, piece, 8);
    assert_eq!(accept(1, b"big"), Ok(LongDataRoute::Forward { server_param: 2 }));
    assert_eq!(accept(2, b"in "), Ok(LongDataRoute::Hold));
    assert_eq!(accept(2, b"parts"), Ok(LongDataRoute::Hold));
    assert_eq!(accept(2, b"x"), Err(RewriteError::TooLarge));
    assert_eq!(accept(3, b"x"), Ok(LongDataRoute::Unknown));
    let out = run.raw(&packet(&[text("090"), Param::Long, Param::Long])).unwrap();
    let found = unpacked(&out, 4, &[2]);
    assert_eq!(found[..2], run.bounds("090"));
    let [_, _, Param::Long, Param::Blob(notes)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(run.fixture.opened(NOTES, notes), b"in parts");
    run.long_data.clear();
    assert_eq!(run.long_data.octets(), 0);
}

#[test]
fn a_lookup_by_a_number_and_a_value_too_long_are_refused() {
    let mut run = Run::new(vec![search(Comparison::Equal, &[0])], 1);
    assert!(matches!(run.send(&[Param::Number(1)]), Err(RewriteError::Unsupported { .. })));
    assert!(run.send(&[text("1")]).is_ok());
    let mut run = Run::new(vec![sealing(PHONE, 0)], 1);
    let too_long = RewriteError::TooLong { column: run.fixture.name(PHONE) };
    assert_eq!(run.send(&[text(&"x".repeat(21))]), Err(too_long));
    assert!(run.send(&[text(&"x".repeat(20))]).is_ok());
}

#[test]
fn a_plan_out_of_order_is_refused() {
    let fixture = Fixture::new();
    let of = |splices, params| ParamMap::of(&plan(splices, params), &fixture.cx());
    let misfit = Err(RewriteError::PlanMismatch("parameters"));
    assert_eq!(of(vec![sealing(PHONE, 1), sealing(NOTES, 0)], 2), misfit);
    assert_eq!(of(vec![sealing(PHONE, 0), sealing(NOTES, 0)], 2), misfit);
    assert_eq!(of(vec![sealing(PHONE, 2)], 2), misfit);
    assert!(of(vec![sealing(PHONE, 0), sealing(NOTES, 1)], 2).is_ok());
}

proptest! {
    #[test]
    fn unprotected_parameters_are_equal(numbers: Vec<u64>, texts in prop::collection::vec(any::<Vec<u8>>(), 1..20)) {
        let params = u16::try_from(numbers.len() + texts.len()).unwrap() + 1;
        let mut run = Run::new(vec![sealing(NOTES, params - 1)], params);
        let mut sent: Vec<_> = numbers.into_iter().map(Param::Number).collect();
        sent.extend(texts.into_iter().map(Param::Text));
        sent.push(text("secret"));
        let found = run.send(&sent).unwrap();
        let last = found.len() - 1;
        prop_assert_eq!(&found[..last], &sent[..last]);
        let Param::Blob(notes) = &found[last] else { panic!("{found:?}") };
        prop_assert_eq!(run.fixture.opened(NOTES, notes), b"secret");
    }

    #[test]
    fn no_bytes_panic(payload: Vec<u8>, params in 1_u16..40) {
        let mut run = Run::new(vec![sealing(PHONE, 0)], params);
        let bound = [&[0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0][..], &payload].concat();
        for packet in [payload, bound] {
            run.raw(&packet).ok();
        }
    }
}

/// The statement that is prepared and the packet that executes it are made apart; they must count alike.
#[test]
fn the_rewritten_statement_has_as_many_parameters_as_the_packet() {
    let sql = b"UPDATE customers SET phone = ?, id = ? WHERE phone <=> ? AND phone NOT IN (?, 'a', NULL, ?) OR id = ?";
    let lexed = Lexed::new(sql, &dialect());
    let literal = Value::Literal(lexed.find("'a'"));
    for versions in 1..=3 {
        let fixture = Fixture::with_index_versions(versions);
        let seal = Splice { tokens: lexed.find("?"), ..sealing(PHONE, 0) };
        let splice = |whole: &str, comparison, values| {
            let tokens = lexed.find(whole);
            let column_tokens = TokenRange { first: tokens.first, last: tokens.first };
            Splice {
                tokens,
                column: PHONE,
                kind: SpliceKind::Search { column_tokens, comparison, values },
                subject: None,
            }
        };
        let splices = [
            seal,
            splice("phone <=> ?", Comparison::NullSafeEqual, vec![Value::Param(2)]),
            splice(
                "phone NOT IN (?, 'a', NULL, ?)",
                Comparison::NotEqual,
                vec![Value::Param(3), literal, Value::Null, Value::Param(4)],
            ),
        ];
        let out = lexed.splice(&splices, &fixture.cx()).unwrap().unwrap();
        let marks = Lexed::new(&out, &dialect()).tokens.iter().filter(|token| token.kind == TokenKind::Param).count();
        let map = ParamMap::of(&plan(splices.to_vec(), 6), &fixture.cx()).unwrap().unwrap();
        assert_eq!(map.server_params(), marks);
        assert_eq!(marks, 3 + usize::from(versions) * 2 * 3 + 1);
    }
}
