use super::*;
use SubjectPlace::{Compared, Stored};
use UnclearSubject::{Converted, Generated};

fn column(data_type: &str, column_type: &str, extra: &str) -> Column {
    Column {
        name: "customer_id".into(),
        data_type: data_type.into(),
        column_type: column_type.into(),
        octets_max: None,
        charset: None,
        collation: None,
        nullable: false,
        extra: extra.into(),
    }
}

fn text_column(charset: &str, collation: &str) -> Column {
    Column { charset: Some(charset.into()), collation: Some(collation.into()), ..column("varchar", "varchar(6)", "") }
}

fn form(data_type: &str, column_type: &str) -> SubjectForm {
    SubjectForm::of(&column(data_type, column_type, "")).unwrap()
}

fn digits(number: &str) -> Result<Vec<u8>, UnclearSubject> {
    Ok(number.as_bytes().to_vec())
}

#[test]
fn columns_that_cannot_say_whose_a_row_is_are_known() {
    let unfit = |column: Column| SubjectForm::of(&column).unwrap_err();
    assert_eq!(unfit(Column { nullable: true, ..column("int", "int", "") }), UnfitSubject::Nullable);
    assert_eq!(unfit(column("int", "int", "virtual generated")), UnfitSubject::Generated);
    assert!(SubjectForm::of(&column("int", "int", "default_generated")).is_ok());
    for (data_type, column_type) in
        [("decimal", "decimal(9,0)"), ("double", "double"), ("date", "date"), ("bit", "bit(8)")]
    {
        assert_eq!(unfit(column(data_type, column_type, "")), UnfitSubject::Type, "{data_type}");
    }
    assert_eq!(unfit(text_column("utf8mb4", "utf8mb4_0900_ai_ci")), UnfitSubject::Type);
    assert!(SubjectForm::of(&text_column("utf8mb4", "utf8mb4_bin")).is_ok());
}

#[test]
fn integers_have_one_form_within_the_range_of_the_column() {
    let int = form("int", "int");
    for spelled in ["7", "+7", "007"] {
        assert_eq!(int.text(spelled, Stored), digits("7"), "{spelled}");
    }
    assert_eq!(int.integer(-2_147_483_648, Stored), digits("-2147483648"));
    assert_eq!(int.integer(2_147_483_648, Stored), Err(Converted), "the server would shorten it");
    for loose in ["", "-", "7 ", " 7", "7.0", "7e0", "0x7", "seven", "9007199254740992"] {
        assert_eq!(form("bigint", "bigint").text(loose, Compared), Err(Converted), "{loose}");
    }
    assert_eq!(form("bigint", "bigint unsigned").integer(i128::from(u64::MAX), Stored), digits("18446744073709551615"));
    assert_eq!(form("tinyint", "tinyint(3) unsigned zerofill").integer(-1, Stored), Err(Converted));
    assert_eq!(int.float(7.0, Compared), digits("7"));
    for loose in [7.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0] {
        assert_eq!(form("bigint", "bigint").float(loose, Stored), Err(Converted), "{loose}");
    }
    assert_eq!(int.hex(b"7", Stored), Err(Converted), "a hexadecimal literal is a number here");
}

#[test]
fn a_number_that_the_server_makes_up_is_nobodys() {
    let drawn = SubjectForm::of(&column("int", "int", "auto_increment")).unwrap();
    assert_eq!(drawn.integer(0, Stored), Err(Generated));
    assert_eq!(drawn.text("0", Stored), Err(Generated));
    assert_eq!(drawn.integer(0, Compared), digits("0"));
    assert_eq!(form("int", "int").integer(0, Stored), digits("0"));
}

#[test]
fn text_loses_the_spaces_that_its_collation_does_not_see() {
    let text = SubjectForm::of(&text_column("utf8mb4", "utf8mb4_bin")).unwrap();
    assert_eq!(text.text("Ann  ", Stored), Ok(b"Ann".to_vec()));
    assert_eq!(text.text("ann", Stored), Ok(b"ann".to_vec()), "case counts");
    assert_eq!(text.text("a\u{1f600}", Stored), Ok("a\u{1f600}".as_bytes().to_vec()));
    assert_eq!(text.text("1234567", Stored), Err(Converted), "the server would shorten it");
    assert_eq!(text.integer(42, Stored), digits("42"));
    assert_eq!(text.integer(42, Compared), Err(Converted), "the server would compare numbers");
    assert_eq!(text.hex(b"Ann", Stored), Ok(b"Ann".to_vec()));
    assert_eq!(text.bytes(b"\xff", Stored), Err(Converted));
    let narrow = |charset, collation| SubjectForm::of(&text_column(charset, collation)).unwrap();
    assert_eq!(narrow("utf8mb3", "utf8mb3_bin").text("\u{1f600}", Stored), Err(Converted));
    assert_eq!(narrow("latin1", "latin1_bin").text("é", Stored), Err(Converted));
    assert_eq!(narrow("latin1", "latin1_bin").text("e", Stored), Ok(b"e".to_vec()));
}

#[test]
fn bytes_are_as_they_are_and_never_filled_up() {
    let (fixed, varying) = (form("binary", "binary(3)"), form("varbinary", "varbinary(3)"));
    assert_eq!(fixed.bytes(b"\x00\xff\x01", Stored), Ok(b"\x00\xff\x01".to_vec()));
    assert_eq!(fixed.bytes(b"ab", Stored), Err(Converted), "the server would fill it up");
    assert_eq!(varying.bytes(b"ab", Stored), Ok(b"ab".to_vec()));
    assert_eq!(varying.bytes(b"abcd", Stored), Err(Converted));
    assert_eq!(varying.text("abc", Compared), Ok(b"abc".to_vec()));
    assert_eq!(varying.text("é", Compared), Err(Converted), "its bytes depend on the connection");
    assert_eq!(varying.integer(1, Stored), Err(Converted));
}

#[test]
fn a_uuid_has_one_spelling() {
    let uuid = form("uuid", "uuid");
    let spelled = Ok(b"0b7e7c2e-5a0f-4f0e-9a55-7a1f6a1f0c11".to_vec());
    assert_eq!(uuid.text("0B7E7C2E-5A0F-4F0E-9A55-7A1F6A1F0C11", Stored), spelled);
    assert_eq!(uuid.text("0b7e7c2e5a0f4f0e9a557a1f6a1f0c11", Compared), spelled);
    assert_eq!(uuid.text("nobody", Stored), Err(Converted));
}

#[test]
fn trailing_spaces_count_where_the_server_counts_them() {
    let form = |data_type: &str, collation: &str| {
        let column = Column { data_type: data_type.into(), ..text_column("utf8mb4", collation) };
        SubjectForm::of(&column).unwrap().text("bob ", Stored).unwrap()
    };
    for counted in ["utf8mb4_0900_bin", "utf8mb4_nopad_bin"] {
        assert_eq!(form("varchar", counted), b"bob ", "{counted}");
        assert_eq!(form("char", counted), b"bob", "CHAR has none");
    }
    assert_eq!(form("varchar", "utf8mb4_bin"), b"bob");
    assert_eq!(SubjectForm::of(&text_column("swe7", "swe7_bin")), Err(UnfitSubject::Type), "not all of ASCII is in it");
}

#[test]
fn spellings_of_a_uuid_that_the_server_does_not_take_are_none() {
    let plain = "0b7e7c2e-0000-4000-8000-000000000001";
    assert_eq!(SubjectForm::Uuid.text(&plain.to_uppercase().replace('-', ""), Stored).unwrap(), plain.as_bytes());
    for other in [format!("{{{plain}}}"), format!("urn:uuid:{plain}")] {
        assert_eq!(SubjectForm::Uuid.text(&other, Stored), Err(Converted), "{other}");
    }
}
