#![expect(clippy::arithmetic_side_effects, reason = "a test may panic")]

use super::*;
use crate::crypto::Stage;
use crate::policy::ColumnId;
use crate::rewrite::fixture::{Fixture, NOTES, PHONE, announced};
use crate::wire::WireError;
use proptest::prelude::*;

const VAR_STRING: u8 = 253;
const LONG_LONG: u8 = 8;

fn text_row(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut row = Vec::new();
    for cell in cells {
        match cell {
            Some(value) => lenenc::put_string(value, &mut row),
            None => row.push(lenenc::NULL),
        }
    }
    row
}

/// A binary row of a BIGINT and strings.
fn binary_row(number: u64, cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bitmap = vec![0; (cells.len() + 1 + 2).div_ceil(8)];
    let mut values = number.to_le_bytes().to_vec();
    for (column, cell) in (1..).zip(cells) {
        match cell {
            Some(value) => lenenc::put_string(value, &mut values),
            None => bitmap[(column + 2) / 8] |= 1 << ((column + 2) % 8),
        }
    }
    [vec![0], bitmap, values].concat()
}

fn text(plan: &mut RowPlan, row: &[u8], cx: &Context<'_>) -> Result<Vec<u8>, RewriteError> {
    let mut out = b"kept".to_vec();
    let done = plan.text_row(row, cx, &mut out);
    assert_eq!(out.drain(..4).collect::<Vec<_>>(), b"kept");
    done.inspect_err(|_| assert!(out.is_empty())).map(|()| out)
}

#[test]
fn protected_cells_are_opened_and_others_copied() {
    let fixture = Fixture::new();
    let actions = [CellAction::Relay, fixture.open(PHONE), CellAction::Relay, fixture.open(NOTES), CellAction::Relay];
    let mut plan =
        RowPlan::new(&actions, &announced(&[LONG_LONG, VAR_STRING, VAR_STRING, 252, VAR_STRING])).unwrap().unwrap();
    let (phone, notes) = (fixture.seal(PHONE, b"090-1234"), fixture.seal(NOTES, "\u{1f600}".repeat(90).as_bytes()));
    let row = text_row(&[Some(b"1"), Some(&phone), None, Some(&notes), Some(b"end")]);
    let emoji = "\u{1f600}".repeat(90);
    let expected = text_row(&[Some(b"1"), Some(b"090-1234"), None, Some(emoji.as_bytes()), Some(b"end")]);
    assert_eq!(text(&mut plan, &row, &fixture.cx()).unwrap(), expected);

    let binary = binary_row(1, &[Some(&phone), None, Some(&notes), Some(b"end")]);
    let mut out = Vec::new();
    plan.binary_row(&binary, &fixture.cx(), &mut out).unwrap();
    assert_eq!(out, binary_row(1, &[Some(b"090-1234"), None, Some(emoji.as_bytes()), Some(b"end")]));
}

#[test]
fn null_stays_null_and_empty_stays_empty() {
    let fixture = Fixture::new();
    let mut plan =
        RowPlan::new(&[fixture.open(PHONE), fixture.open(NOTES)], &announced(&[VAR_STRING; 2])).unwrap().unwrap();
    let row = text_row(&[None, Some(&fixture.seal(NOTES, b""))]);
    assert_eq!(text(&mut plan, &row, &fixture.cx()).unwrap(), text_row(&[None, Some(b"")]));
    let row = text_row(&[Some(&fixture.seal(PHONE, b"")), None]);
    assert_eq!(text(&mut plan, &row, &fixture.cx()).unwrap(), text_row(&[Some(b""), None]));
}

#[test]
fn a_value_that_is_itself_an_envelope_comes_back_as_it_was_written() {
    let fixture = Fixture::new();
    let stolen = fixture.seal(PHONE, b"090-1234");
    let mut plan = RowPlan::new(&[fixture.open(PHONE)], &announced(&[VAR_STRING])).unwrap().unwrap();
    let row = text_row(&[Some(&fixture.seal(PHONE, &stolen))]);
    assert_eq!(text(&mut plan, &row, &fixture.cx()).unwrap(), text_row(&[Some(&stolen)]));
}

#[test]
fn values_go_out_in_the_character_set_of_results() {
    let fixture = Fixture::new();
    let mut plan =
        RowPlan::new(&[fixture.open(NOTES), CellAction::Relay], &announced(&[252, VAR_STRING])).unwrap().unwrap();
    let row = text_row(&[Some(&fixture.seal(NOTES, "é€\u{1f600}".as_bytes())), Some("é".as_bytes())]);
    for (charset, expected) in [
        (None, "é€\u{1f600}".as_bytes()),
        (Some(Charset::Utf8mb4), "é€\u{1f600}".as_bytes()),
        (Some(Charset::Binary), "é€\u{1f600}".as_bytes()),
        (Some(Charset::Utf8mb3), "é€?".as_bytes()),
        (Some(Charset::Latin1), b"\xe9\x80?"),
        (Some(Charset::Ascii), b"???"),
    ] {
        let cx = Context { results_charset: charset, ..fixture.cx() };
        let expected = text_row(&[Some(expected), Some("é".as_bytes())]);
        assert_eq!(text(&mut plan, &row, &cx).unwrap(), expected, "{charset:?}");
    }
}

#[test]
fn what_is_no_envelope_of_the_column_is_refused() {
    let fixture = Fixture::new();
    let mut plan =
        RowPlan::new(&[CellAction::Relay, fixture.open(PHONE)], &announced(&[VAR_STRING; 2])).unwrap().unwrap();
    let tampered = Err(RewriteError::Tampered { column: fixture.name(PHONE) });
    let mut flipped = fixture.seal(PHONE, b"090-1234");
    *flipped.last_mut().unwrap() ^= 1;
    let moved = fixture.seal(NOTES, b"090-1234");
    for cell in [&b"090-1234"[..], b"", &flipped, &moved] {
        let row = text_row(&[Some(b"1"), Some(cell)]);
        assert_eq!(text(&mut plan, &row, &fixture.cx()), tampered);
    }
    let row = text_row(&[Some(b"1"), Some(&fixture.seal(PHONE, b"090-1234"))]);
    assert!(text(&mut plan, &row, &fixture.cx()).is_ok());
    let short = text_row(&[Some(b"1")]);
    let truncated = Err(RewriteError::Wire(WireError::Truncated("text row")));
    assert_eq!(text(&mut plan, &short, &fixture.cx()), truncated);
}

#[test]
fn masks_and_envelopes_stand_in_the_place_of_values() {
    let fixture = Fixture::new();
    let cx = fixture.cx();
    let phone = fixture.seal(PHONE, b"090-1234-5678");
    let mask = |mask: Mask| CellAction::Mask(fixture.grant(PHONE), mask.into());
    let stored = [Some(&b"1"[..]), Some(&phone), None, Some(b"x")];
    for (action, shown) in [
        (mask(Mask::Last(4)), Some(&b"****5678"[..])),
        (mask(Mask::Fixed("none of yours".into())), Some(b"none of yours")),
        (mask(Mask::Null), None),
    ] {
        let actions = [CellAction::Relay, action.clone(), action, CellAction::Relay];
        let mut plan = RowPlan::new(&actions, &announced(&[VAR_STRING; 4])).unwrap().unwrap();
        let shown = [Some(&b"1"[..]), shown, None, Some(b"x")];
        assert_eq!(text(&mut plan, &text_row(&stored), &cx).unwrap(), text_row(&shown));
        let actions = [vec![CellAction::Relay], actions.to_vec()].concat();
        let types = [vec![LONG_LONG], vec![VAR_STRING; 4]].concat();
        let mut plan = RowPlan::new(&actions, &announced(&types)).unwrap().unwrap();
        let mut out = b"before".to_vec();
        plan.binary_row(&binary_row(5, &stored), &cx, &mut out).unwrap();
        assert_eq!(out, [b"before".to_vec(), binary_row(5, &shown)].concat());
    }
}

#[test]
fn what_is_shown_as_null_or_as_an_envelope_has_no_width() {
    let fixture = Fixture::new();
    let phone = fixture.seal(PHONE, b"090-1234-5678");
    let mask = |mask: Mask| CellAction::Mask(fixture.grant(PHONE), mask.into());
    let actions = [mask(Mask::Null), fixture.open(PHONE), CellAction::Ciphertext(PHONE), mask(Mask::Last(4))];
    let mut plan = RowPlan::new(&actions, &announced(&[VAR_STRING; 4])).unwrap().unwrap();
    assert_eq!(plan.tally().width(), 2);
    text(&mut plan, &text_row(&[Some(&phone[..]); 4]), &fixture.cx()).unwrap();
    // A row shows as many cells as it was wide, no fewer.
    assert_eq!((plan.tally().rows(), plan.tally().cells()), (1, 2));
}

#[test]
fn envelopes_are_shown_without_what_makes_equal_values_equal() {
    let fixture = Fixture::new();
    let phone = fixture.seal(PHONE, b"090-1234-5678");
    let actions = [CellAction::Ciphertext(PHONE)];
    let mut plan = RowPlan::new(&actions, &announced(&[VAR_STRING])).unwrap().unwrap();
    let mut shown = || text(&mut plan, &text_row(&[Some(&phone)]), &fixture.cx()).unwrap();
    let (one, other) = (shown(), shown());
    // A length byte, and 7 bytes before the index.
    assert_eq!((one.len(), &one[1..8], &one[24..]), (phone.len() + 1, &phone[..7], &phone[23..]));
    assert_ne!(one[8..24], phone[7..23]);
    assert_ne!(one[8..24], other[8..24]);
    assert!(!fixture.opens(PHONE, &one[1..]), "the index is authenticated");
    let tampered = Err(RewriteError::Tampered { column: fixture.name(PHONE) });
    assert_eq!(text(&mut plan, &text_row(&[Some(b"090-1234-5678")]), &fixture.cx()), tampered);
}

#[test]
fn a_value_that_is_not_encrypted_yet_is_masked_and_never_passes_for_an_envelope() {
    for stage in [Stage::Plain, Stage::Encrypting, Stage::Decrypting] {
        let fixture = Fixture::with(1, stage);
        let row = text_row(&[Some(b"090-1234-5678")]);
        let actions = [CellAction::Mask(fixture.grant(PHONE), Mask::Last(4).into())];
        for columns in [announced(&[VAR_STRING]), vec![ResultColumn { column_type: VAR_STRING, collation_id: 255 }]] {
            let mut plan = RowPlan::new(&actions, &columns).unwrap().unwrap();
            assert_eq!(text(&mut plan, &row, &fixture.cx()).unwrap(), text_row(&[Some(b"****5678")]), "{stage:?}");
            let mut plan = RowPlan::new(&[CellAction::Ciphertext(PHONE)], &columns).unwrap().unwrap();
            let refused = text(&mut plan, &row, &fixture.cx());
            assert!(matches!(refused, Err(RewriteError::Unsupported { .. })), "{stage:?}: {refused:?}");
        }
    }
}

#[test]
fn a_result_of_another_shape_is_refused() {
    let fixture = Fixture::new();
    let misfit = RewriteError::PlanMismatch("number of result columns");
    assert_eq!(RowPlan::new(&[fixture.open(PHONE)], &announced(&[VAR_STRING; 2])).unwrap_err(), misfit);
    assert_eq!(
        RowPlan::new(&[fixture.open(PHONE)], &announced(&[17])).unwrap_err(),
        RewriteError::Wire(WireError::Malformed("column type"))
    );
    assert!(RowPlan::new(&[CellAction::Relay], &announced(&[17])).unwrap().is_none());
}

/// A cell: protected or not, and its value.
type Shown = (Option<ColumnId>, Option<Vec<u8>>);

fn cell() -> impl Strategy<Value = Shown> {
    let column = prop_oneof![Just(None), Just(Some(PHONE)), Just(Some(NOTES))];
    (column, prop::option::weighted(0.9, prop::collection::vec(any::<u8>(), 0..400)))
}

proptest! {
    #[test]
    fn every_row_round_trips(cells in prop::collection::vec(cell(), 1..24), number: u64) {
        let fixture = Fixture::new();
        let stored: Vec<Option<Vec<u8>>> = cells
            .iter()
            .map(|(column, value)| {
                let value = value.as_deref()?;
                Some(column.map_or_else(|| value.to_vec(), |id| fixture.seal(id, value)))
            })
            .collect();
        let stored: Vec<_> = stored.iter().map(Option::as_deref).collect();
        let shown: Vec<_> = cells.iter().map(|(_, value)| value.as_deref()).collect();
        let actions: Vec<_> =
            cells.iter().map(|(column, _)| column.map_or(CellAction::Relay, |id| fixture.open(id))).collect();

        let Some(mut plan) = RowPlan::new(&actions, &announced(&vec![VAR_STRING; cells.len()])).unwrap() else { return Ok(()) };
        prop_assert_eq!(text(&mut plan, &text_row(&stored), &fixture.cx()).unwrap(), text_row(&shown));

        let actions = [vec![CellAction::Relay], actions].concat();
        let types = [vec![LONG_LONG], vec![VAR_STRING; cells.len()]].concat();
        let mut plan = RowPlan::new(&actions, &announced(&types)).unwrap().unwrap();
        let mut out = Vec::new();
        plan.binary_row(&binary_row(number, &stored), &fixture.cx(), &mut out).unwrap();
        prop_assert_eq!(out, binary_row(number, &shown));
    }

    #[test]
    fn no_bytes_panic_and_errors_leave_nothing(row: Vec<u8>, types in prop::collection::vec(any::<u8>(), 1..8)) {
        let fixture = Fixture::new();
        let actions: Vec<_> = types
            .iter()
            .map(|byte| if byte & 1 == 0 { CellAction::Relay } else { fixture.open(PHONE) })
            .collect();
        let Ok(Some(mut plan)) = RowPlan::new(&actions, &announced(&types)) else { return Ok(()) };
        let mut out = Vec::new();
        if plan.text_row(&row, &fixture.cx(), &mut out).is_err() {
            prop_assert!(out.is_empty());
        }
        out.clear();
        if plan.binary_row(&row, &fixture.cx(), &mut out).is_err() {
            prop_assert!(out.is_empty());
        }
    }
}
