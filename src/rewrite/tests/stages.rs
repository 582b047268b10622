//! Columns that are not sealed yet, or not any more: what is written, what is found, what is read.

use super::predicate::evaluate;
use super::*;
use crate::crypto::{Stage, is_envelope};
use crate::rewrite::fixture::announced;
use crate::wire::column::ColumnType;
use crate::wire::execute::{Arrival, Execute, ExecuteWriter, ParamType, ParamValue};

const BOTH: [Stage; 3] = [Stage::Plain, Stage::Encrypting, Stage::Decrypting];
const TEXT: ParamType = ParamType { column_type: ColumnType::VarString, flags: 0 };

type Cell = Option<Vec<u8>>;

fn sent(fixture: &Fixture, sql: &str) -> Result<(String, Option<ParamMap>), RewriteError> {
    let mut scratch = Scratch::default();
    let cache = PlanCache::new(16, 1 << 16);
    let account = Account { user: "app".into(), host: "%".into() };
    let admitted = admit(fixture, sql, &mut scratch, &cache, &account);
    let mut out = Vec::new();
    let out = match statement(&admitted, &fixture.cx(), &mut out)? {
        Rewritten::Unchanged => sql.as_bytes().to_vec(),
        Rewritten::Replaced => out,
    };
    Ok((String::from_utf8(out).unwrap(), ParamMap::of(admitted.plan(), &fixture.cx())?))
}

/// What the server gets for the client's parameters.
fn executed(fixture: &Fixture, map: &ParamMap, params: &[Option<&[u8]>]) -> Result<Vec<Cell>, RewriteError> {
    executed_as(fixture, map, TEXT, params)
}

fn executed_as(
    fixture: &Fixture,
    map: &ParamMap,
    sent_as: ParamType,
    params: &[Option<&[u8]>],
) -> Result<Vec<Cell>, RewriteError> {
    let head = [0x17, 9, 0, 0, 0, 0, 1, 0, 0, 0];
    let mut writer = ExecuteWriter::default();
    for param in params {
        match param {
            Some(value) => writer.put_string(sent_as, value),
            None => writer.put_null(sent_as),
        }
    }
    let (mut packet, mut out) = (Vec::new(), Vec::new());
    writer.finish(&Execute::parse(&head, 0).unwrap(), &mut packet);
    execute(&packet, map, &mut ParamTypes::default(), &LongData::default(), &fixture.cx(), &mut out)?;
    let executed = Execute::parse(&out, map.server_params().try_into().unwrap()).unwrap();
    let mut values = executed.values();
    let found =
        executed.types().unwrap().map(|param_type| match values.next_value(param_type.unwrap(), Arrival::Here) {
            Ok(ParamValue::Null) => None,
            Ok(ParamValue::Inline { value, .. }) => Some(out[value].to_vec()),
            other => panic!("{other:?}"),
        });
    Ok(found.collect())
}

/// SQL's truth of a comparison of a stored value with others.
fn truth(comparison: &str, stored: Option<&str>, values: &[Option<&str>]) -> Option<bool> {
    let equal = |value: Option<&str>| Some(stored? == value?);
    let any = || {
        let all: Vec<_> = values.iter().map(|value| equal(*value)).collect();
        if all.contains(&Some(true)) {
            Some(true)
        } else if all.contains(&None) {
            None
        } else {
            Some(false)
        }
    };
    match comparison {
        "=" | "IN" => any(),
        "<>" | "NOT IN" => any().map(|value| !value),
        "<=>" => Some(values == [stored]),
        other => panic!("{other}"),
    }
}

/// Every form that a stored value may have, with the value.
fn rows(stage: Stage) -> Vec<(Option<&'static str>, Cell)> {
    let mut rows = vec![(None, None)];
    for active in 1..=2 {
        let fixture = Fixture::new().with_active_index(2, active, Stage::Sealed);
        rows.extend(["same", "other", ""].map(|value| (Some(value), Some(fixture.seal(PHONE, value.as_bytes())))));
    }
    if stage != Stage::Sealed {
        rows.extend(["same", "other", ""].map(|value| (Some(value), Some(value.as_bytes().to_vec()))));
    }
    rows
}

#[test]
fn every_comparison_has_the_truth_of_the_plain_one() {
    let lists: [&[Option<&str>]; 9] = [
        &[Some("same")],
        &[Some("")],
        &[Some("none")],
        &[None],
        &[Some("same"), Some("none")],
        &[Some("same"), None],
        &[Some("none"), None],
        &[None, Some("")],
        &[Some("other"), Some("same"), Some("")],
    ];
    for stage in [Stage::Sealed].into_iter().chain(BOTH) {
        let fixture = Fixture::with(2, stage);
        for comparison in ["=", "<>", "<=>", "IN", "NOT IN"] {
            for values in lists.iter().filter(|values| comparison.contains("IN") || values.len() == 1) {
                check_truth(&fixture, stage, comparison, values);
            }
        }
    }
}

fn check_truth(fixture: &Fixture, stage: Stage, comparison: &str, values: &[Option<&str>]) {
    let condition = |spelled: &dyn Fn(Option<&str>) -> String| {
        let spelled: Vec<String> = values.iter().map(|value| spelled(*value)).collect();
        if comparison.contains("IN") {
            format!("phone {comparison} ({})", spelled.join(", "))
        } else {
            format!("phone {comparison} {}", spelled[0])
        }
    };
    let select = "SELECT id FROM customers WHERE ";
    let literal = format!("{select}{}", condition(&|value| value.map_or("NULL".into(), |value| format!("'{value}'"))));
    let (by_literal, _) = sent(fixture, &literal).unwrap();
    let marked = format!("{select}{}", condition(&|_| "?".into()));
    let (by_param, map) = sent(fixture, &marked).unwrap();
    let params: Vec<_> = values.iter().map(|value| value.map(str::as_bytes)).collect();
    let params = executed(fixture, &map.unwrap(), &params).unwrap();
    for (stored, cell) in rows(stage) {
        let expected = truth(comparison, stored, values);
        if values.iter().any(Option::is_some) {
            let predicate = by_literal.strip_prefix(select).unwrap();
            assert_eq!(evaluate(predicate.as_bytes(), &cell, &[]), expected, "{stage}: {literal} for {stored:?}");
        } else {
            assert_eq!(by_literal, literal, "the server's own affair");
        }
        let predicate = by_param.strip_prefix(select).unwrap();
        assert_eq!(evaluate(predicate.as_bytes(), &cell, &params), expected, "{stage}: {marked} for {stored:?}");
    }
}

/// Executes with one parameter of bytes; a literal of such bytes is no text and refused at any stage.
fn with_bytes(fixture: &Fixture, sql: &str, bytes: &[u8]) -> Result<Vec<Cell>, RewriteError> {
    let (_, map) = sent(fixture, sql).unwrap();
    executed_as(fixture, &map.unwrap(), ParamType::BLOB, &[Some(bytes)])
}

#[test]
fn a_stolen_envelope_is_no_value_that_is_looked_for() {
    let stolen = Fixture::new().seal(PHONE, b"same");
    for stage in BOTH {
        for comparison in ["=", "<=>", "<>"] {
            let fixture = Fixture::with(1, stage);
            let sql = format!("SELECT id FROM customers WHERE phone {comparison} ?");
            let params = with_bytes(&fixture, &sql, &stolen).unwrap();
            let (sql, _) = sent(&fixture, &sql).unwrap();
            let predicate = sql.strip_prefix("SELECT id FROM customers WHERE ").unwrap();
            let found = evaluate(predicate.as_bytes(), &Some(stolen.clone()), &params);
            assert_eq!(found, Some(comparison == "<>"), "{stage}: {sql}");
        }
    }
}

#[test]
fn values_are_written_in_the_form_of_the_stage() {
    let insert = "INSERT INTO customers (phone, notes) VALUES ('né', ?)";
    for stage in [Stage::Plain, Stage::Decrypting] {
        for fixture in [Fixture::with(1, stage), Fixture::with(1, stage).stored_as_text()] {
            let (sql, map) = sent(&fixture, insert).unwrap();
            let expected = "INSERT INTO customers (phone, notes) VALUES \
                            (_utf8mb4 x'6EC3A9', CONVERT(CAST(? AS BINARY) USING utf8mb4))";
            assert_eq!(sql, expected, "{stage}");
            let map = map.unwrap();
            assert_eq!(executed(&fixture, &map, &[Some("né".as_bytes())]).unwrap(), [Some("né".into())]);
            assert_eq!(executed(&fixture, &map, &[None]).unwrap(), [None]);
        }
    }
    for stage in [Stage::Encrypting, Stage::Sealed] {
        let fixture = Fixture::with(1, stage);
        let (sql, map) = sent(&fixture, insert).unwrap();
        assert!(sql.starts_with("INSERT INTO customers (phone, notes) VALUES (x'C1FE1D01") && sql.ends_with("', ?)"));
        let params = executed(&fixture, &map.unwrap(), &[Some("né".as_bytes())]).unwrap();
        assert!(is_envelope(params[0].as_ref().unwrap()), "{stage}");
    }
}

#[test]
fn what_does_not_fit_or_is_an_envelope_is_refused_at_each_stage_that_writes_plaintext() {
    let stolen = Fixture::new().seal(PHONE, b"same");
    for stage in [Stage::Plain, Stage::Decrypting] {
        let fixture = Fixture::with(1, stage);
        let column = || fixture.name(PHONE);
        let update = |value: &str| sent(&fixture, &format!("UPDATE customers SET phone = {value}")).map(drop);
        assert_eq!(update(&format!("'{}'", "é".repeat(20))), Ok(()));
        assert_eq!(update(&format!("'{}   '", "é".repeat(20))), Ok(()), "blanks are cut, as the server does");
        assert_eq!(update(&format!("'{}'", "é".repeat(21))), Err(RewriteError::TooLong { column: column() }));
        let pasted = with_bytes(&fixture, "UPDATE customers SET phone = ?", &stolen);
        assert_eq!(pasted, Err(RewriteError::TooLong { column: column() }));
        for pasted in [&stolen[..], &stolen[..4], b"\xc1\xfe\x1d", b"caf\xe9"] {
            let pasted = with_bytes(&fixture, "UPDATE customers SET notes = ?", pasted);
            assert_eq!(pasted, Err(RewriteError::NotText { column: fixture.name(NOTES) }));
        }
        let literal = sent(&fixture, &format!("UPDATE customers SET notes = x'{}'", HEXUPPER.encode(&stolen)));
        assert_eq!(literal, Err(RewriteError::NotText { column: fixture.name(NOTES) }));
        let (_, map) = sent(&fixture, "UPDATE customers SET phone = ?").unwrap();
        let long = "é".repeat(21);
        let long = executed(&fixture, &map.unwrap(), &[Some(long.as_bytes())]);
        assert_eq!(long, Err(RewriteError::TooLong { column: column() }));
    }
    // Where envelopes are written, it is a value like any other.
    let fixture = Fixture::with(1, Stage::Encrypting);
    let sealed = with_bytes(&fixture, "UPDATE customers SET notes = ?", &stolen).unwrap();
    assert_eq!(fixture.opened(NOTES, sealed[0].as_ref().unwrap()), stolen);
}

#[test]
fn a_column_that_is_still_text_is_compared_by_the_server() {
    let sql = "SELECT id FROM customers WHERE phone = 'né' AND phone IN (?, 'x') AND phone <=> ?";
    for stage in [Stage::Plain, Stage::Decrypting] {
        let fixture = Fixture::with(1, stage).stored_as_text();
        let (out, map) = sent(&fixture, sql).unwrap();
        assert_eq!(out, sql);
        assert!(!map.unwrap().changes_parameters());
    }
    // Envelopes are written already: the catalog is older than the change of type.
    let (out, _) = sent(&Fixture::with(1, Stage::Encrypting).stored_as_text(), sql).unwrap();
    assert!(out.contains("phone >= x'C1FE1D01") && out.contains("phone = x'6EC3A9'"), "{out}");
}

#[test]
fn a_prepared_statement_is_outdated_by_a_stage_or_key_that_makes_a_difference() {
    let map = |fixture: &Fixture, sql| sent(fixture, sql).unwrap().1;
    let stored = ["INSERT INTO customers (phone) VALUES ('1')", "INSERT INTO customers (phone) VALUES (?)"];
    let searched = ["SELECT id FROM customers WHERE phone = '1'", "SELECT id FROM customers WHERE phone = ?"];
    let at = |stage| Fixture::with(1, stage);
    for sql in stored {
        assert_ne!(map(&at(Stage::Plain), sql), map(&at(Stage::Encrypting), sql), "{sql}");
        assert_eq!(map(&at(Stage::Encrypting), sql), map(&at(Stage::Sealed), sql), "{sql}");
        assert_ne!(map(&at(Stage::Sealed), sql), map(&at(Stage::Decrypting), sql), "{sql}");
        assert_eq!(map(&at(Stage::Decrypting), sql), map(&at(Stage::Plain).stored_as_text(), sql), "{sql}");
    }
    for sql in searched {
        assert_ne!(map(&at(Stage::Plain).stored_as_text(), sql), map(&at(Stage::Plain), sql), "{sql}");
        assert_eq!(map(&at(Stage::Plain), sql), map(&at(Stage::Encrypting), sql), "{sql}");
        assert_ne!(map(&at(Stage::Encrypting), sql), map(&at(Stage::Sealed), sql), "{sql}");
        assert_ne!(map(&at(Stage::Sealed), sql), map(&Fixture::with_index_versions(2), sql), "{sql}");
    }
    let other_active = Fixture::new().with_active_index(2, 2, Stage::Sealed);
    assert_ne!(map(&Fixture::with_index_versions(2), stored[0]), map(&other_active, stored[0]));
}

#[test]
fn cells_are_read_in_either_form() {
    let envelope = Fixture::new().seal(PHONE, "né".as_bytes());
    for stage in BOTH {
        let fixture = Fixture::with(1, stage);
        let read = |cell: &[u8], columns: &[ResultColumn]| {
            let mut plan = RowPlan::new(&[fixture.open(PHONE)], columns).unwrap().unwrap();
            let cx = Context { results_charset: Some(Charset::Latin1), ..fixture.cx() };
            let (mut row, mut out) = (Vec::new(), Vec::new());
            crate::wire::lenenc::put_string(cell, &mut row);
            plan.text_row(&row, &cx, &mut out).map(|()| out[1..].to_vec())
        };
        let bytes = announced(&[253]);
        assert_eq!(read(&envelope, &bytes).unwrap(), b"n\xe9");
        assert_eq!(read("né".as_bytes(), &bytes).unwrap(), b"n\xe9");
        assert_eq!(read(b"", &bytes).unwrap(), b"");
        let tampered = Err(RewriteError::Tampered { column: fixture.name(PHONE) });
        let changed = [&envelope[..envelope.len() - 1], b"x"].concat();
        assert_eq!(read(&changed, &bytes), tampered, "{stage}: a tag that is wrong");
        assert_eq!(read(b"\xc1\xfe\x1d", &bytes), tampered, "{stage}: magic and nothing else");
        assert_eq!(read(b"\xc1\xfe\x1d\x02and more", &bytes), tampered, "{stage}: a version that nobody wrote");
        // The server converted the text already, and has no envelope in such a column.
        let text = [ResultColumn { column_type: 253, collation_id: 8 }];
        assert_eq!(read(b"n\xe9", &text).unwrap(), b"n\xe9");
    }
    let sealed = Fixture::new();
    let mut plan = RowPlan::new(&[sealed.open(PHONE)], &announced(&[253])).unwrap().unwrap();
    let tampered = RewriteError::Tampered { column: sealed.name(PHONE) };
    assert_eq!(plan.text_row(b"\x02ne", &sealed.cx(), &mut Vec::new()), Err(tampered));
}

#[test]
fn a_column_that_is_still_text_is_described_by_the_server() {
    let definition = |collation_id: u16| {
        let mut payload = Vec::new();
        for name in [&b"def"[..], b"shop", b"c", b"customers", b"p", b"phone"] {
            crate::wire::lenenc::put_string(name, &mut payload);
        }
        let [low, high] = collation_id.to_le_bytes();
        payload.extend_from_slice(&[12, low, high, 44, 1, 0, 0, 253, 0, 0, 0, 0, 0]);
        payload
    };
    let seen = |stage, collation_id| {
        let fixture = Fixture::with(1, stage);
        let mut out = Vec::new();
        column_definition(&definition(collation_id), &fixture.open(PHONE), &fixture.cx(), &mut out).unwrap();
        out
    };
    for stage in BOTH {
        assert_eq!(seen(stage, 255), definition(255), "{stage}");
        assert_eq!(seen(stage, 63), seen(Stage::Sealed, 63), "{stage}");
    }
    assert_ne!(seen(Stage::Sealed, 63), definition(63));
}
