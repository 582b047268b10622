use super::*;
use proptest::prelude::*;

fn as_text(column_type: ColumnType, flags: u8, value: &[u8], purpose: Purpose) -> Result<String, RewriteError> {
    let column = ColumnRef::new("shop", "customers", "phone");
    let mut plain = Plaintext::from(b"left over".to_vec());
    read(value, ParamType { column_type, flags }, purpose, Charset::Utf8mb4, &column, &mut plain)?;
    Ok(String::from_utf8(plain.expose().to_vec()).unwrap())
}

fn sealed(column_type: ColumnType, value: &[u8]) -> Result<String, RewriteError> {
    as_text(column_type, 0, value, Purpose::Seal)
}

fn is_unsupported(result: &Result<String, RewriteError>) -> bool {
    matches!(result, Err(RewriteError::Unsupported { .. }))
}

#[test]
fn integers_become_decimal_digits() {
    assert_eq!(sealed(ColumnType::Tiny, &[0xfb]).unwrap(), "-5");
    assert_eq!(as_text(ColumnType::Tiny, 0x80, &[0xfb], Purpose::Seal).unwrap(), "251");
    assert_eq!(sealed(ColumnType::Short, &[0, 0x80]).unwrap(), "-32768");
    assert_eq!(sealed(ColumnType::Long, &[1, 0, 0, 0]).unwrap(), "1");
    assert_eq!(sealed(ColumnType::LongLong, &[0xff; 8]).unwrap(), "-1");
    assert_eq!(as_text(ColumnType::LongLong, 0x80, &[0xff; 8], Purpose::Seal).unwrap(), "18446744073709551615");
}

/// As MySQL 9.7 and MariaDB 10.11 store them in a VARCHAR.
#[test]
fn dates_and_times_become_mysqls_text() {
    assert_eq!(sealed(ColumnType::Date, &[0xea, 7, 1, 2]).unwrap(), "2026-01-02");
    assert_eq!(sealed(ColumnType::Date, &[]).unwrap(), "0000-00-00");
    assert_eq!(sealed(ColumnType::Datetime, &[0xea, 7, 1, 2]).unwrap(), "2026-01-02 00:00:00");
    assert_eq!(sealed(ColumnType::Timestamp, &[0xea, 7, 1, 2, 3, 4, 5]).unwrap(), "2026-01-02 03:04:05");
    let micros = [0xea, 7, 1, 2, 3, 4, 5, 0x58, 2, 0, 0];
    assert_eq!(sealed(ColumnType::Datetime, &micros).unwrap(), "2026-01-02 03:04:05.000600");
    assert_eq!(sealed(ColumnType::Time, &[]).unwrap(), "00:00:00");
    assert_eq!(sealed(ColumnType::Time, &[1, 1, 0, 0, 0, 21, 0, 0]).unwrap(), "-45:00:00");
    assert_eq!(sealed(ColumnType::Time, &[0, 2, 0, 0, 0, 3, 0, 0, 7, 0, 0, 0]).unwrap(), "51:00:00.000007");
}

#[test]
fn impossible_dates_and_times_are_refused() {
    for value in [&[0xea, 7, 13, 2][..], &[0xea, 7, 1, 32], &[0xff, 0xff, 1, 1], &[0xea, 7, 1], &[0; 5]] {
        assert_eq!(sealed(ColumnType::Date, value), Err(MALFORMED), "{value:?}");
    }
    for value in [&[0xea, 7, 1, 2, 24, 0, 0][..], &[0xea, 7, 1, 2, 0, 60, 0], &[0; 12]] {
        assert_eq!(sealed(ColumnType::Datetime, value), Err(MALFORMED), "{value:?}");
    }
    for value in [&[0, 35, 0, 0, 0, 0, 0, 0][..], &[0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0], &[0; 4]] {
        assert_eq!(sealed(ColumnType::Time, value), Err(MALFORMED), "{value:?}");
    }
}

#[test]
fn decimals_lose_needless_zeros_in_front() {
    for (sent, stored) in
        [("007.50", "7.50"), ("-0.00", "0.00"), (".5", "0.5"), ("5.", "5"), ("+1", "1"), ("-12", "-12")]
    {
        assert_eq!(sealed(ColumnType::NewDecimal, sent.as_bytes()).unwrap(), stored);
    }
    let long = "9".repeat(66);
    for sent in ["", ".", "1e3", "1.2.3", "--1", "x", long.as_str()] {
        assert_eq!(sealed(ColumnType::NewDecimal, sent.as_bytes()), Err(MALFORMED), "{sent}");
    }
}

#[test]
fn strings_pass_in_either_use_and_numbers_only_into_the_column() {
    for column_type in [ColumnType::VarString, ColumnType::String, ColumnType::Varchar, ColumnType::Blob] {
        assert_eq!(sealed(column_type, "né".as_bytes()).unwrap(), "né");
        assert_eq!(as_text(column_type, 0, "né".as_bytes(), Purpose::Search).unwrap(), "né");
    }
    for (column_type, value) in
        [(ColumnType::Long, &[1, 0, 0, 0][..]), (ColumnType::NewDecimal, b"1"), (ColumnType::Date, &[0xea, 7, 1, 2])]
    {
        assert!(sealed(column_type, value).is_ok());
        assert!(is_unsupported(&as_text(column_type, 0, value, Purpose::Search)), "{column_type:?}");
    }
    for column_type in [ColumnType::Float, ColumnType::Double, ColumnType::Json, ColumnType::Bit, ColumnType::Geometry]
    {
        assert!(is_unsupported(&sealed(column_type, &[0; 8])), "{column_type:?}");
        assert!(is_unsupported(&as_text(column_type, 0, &[0; 8], Purpose::Search)), "{column_type:?}");
    }
}

#[test]
fn text_that_is_no_text_is_refused_and_bytes_are_not() {
    let not_text = RewriteError::NotText { column: ColumnRef::new("shop", "customers", "phone") };
    assert_eq!(sealed(ColumnType::VarString, b"\xc1\xfe\x1d\x01"), Err(not_text));
    let mut plain = Plaintext::new();
    let column = ColumnRef::new("shop", "customers", "phone");
    let blob = ParamType::BLOB;
    read(b"\xc1\xfe\x1d\x01", blob, Purpose::Seal, Charset::Utf8mb4, &column, &mut plain).unwrap();
    assert_eq!(plain.expose(), b"\xc1\xfe\x1d\x01");
}

proptest! {
    #[test]
    fn no_bytes_panic(byte: u8, flags: u8, value: Vec<u8>) {
        let Ok(column_type) = ColumnType::from_byte(byte) else { return Ok(()) };
        let column = ColumnRef::new("shop", "customers", "phone");
        for purpose in [Purpose::Seal, Purpose::Search] {
            for charset in [Charset::Utf8mb4, Charset::Latin1, Charset::Ascii, Charset::Binary] {
                let param_type = ParamType { column_type, flags };
                read(&value, param_type, purpose, charset, &column, &mut Plaintext::new()).ok();
            }
        }
    }
}
