use super::*;
use proptest::prelude::*;

fn utf8(charset: Charset, text: &[u8]) -> Result<Vec<u8>, NotText> {
    let mut out = Vec::new();
    to_utf8(charset, text, |piece| out.extend_from_slice(piece))?;
    Ok(out)
}

fn converted(charset: Charset, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_converted(charset, text.as_bytes(), &mut out);
    assert_eq!(out.len(), converted_length(charset, text.as_bytes()));
    out
}

#[test]
fn latin1_is_windows_1252_with_c1_controls() {
    assert_eq!(utf8(Charset::Latin1, b"\x80\xe9\x81\x9f\xff").unwrap(), "\u{20ac}é\u{81}Ÿÿ".as_bytes());
    for byte in 0..=u8::MAX {
        let text = utf8(Charset::Latin1, &[byte]).unwrap();
        assert_eq!(converted(Charset::Latin1, str::from_utf8(&text).unwrap()), [byte]);
    }
}

#[test]
fn text_outside_its_set_is_refused() {
    assert_eq!(utf8(Charset::Utf8mb4, "né\u{1f600}".as_bytes()).unwrap(), "né\u{1f600}".as_bytes());
    assert_eq!(utf8(Charset::Utf8mb4, b"\xc1\xfe"), Err(NotText));
    assert_eq!(utf8(Charset::Utf8mb3, "né".as_bytes()).unwrap(), "né".as_bytes());
    assert_eq!(utf8(Charset::Utf8mb3, "\u{1f600}".as_bytes()), Err(NotText));
    assert_eq!(utf8(Charset::Ascii, b"plain").unwrap(), b"plain");
    assert_eq!(utf8(Charset::Ascii, "é".as_bytes()), Err(NotText));
    assert_eq!(utf8(Charset::Binary, b"\xc1\xfe\x1d").unwrap(), b"\xc1\xfe\x1d");
}

#[test]
fn characters_that_a_set_lacks_become_question_marks() {
    assert_eq!(converted(Charset::Latin1, "€é東\u{1f600}"), b"\x80\xe9??");
    assert_eq!(converted(Charset::Ascii, "aé東"), b"a??");
    assert_eq!(converted(Charset::Utf8mb3, "é東\u{1f600}"), "é東?".as_bytes());
    assert_eq!(converted(Charset::Utf8mb4, "é\u{1f600}"), "é\u{1f600}".as_bytes());
    // U+0080 to U+009F are not in the set but for the five bytes that Windows-1252 leaves free.
    assert_eq!(converted(Charset::Latin1, "\u{80}\u{81}"), b"?\x81");
    let mut out = Vec::new();
    put_converted(Charset::Latin1, b"a\xc1\xfeb", &mut out);
    assert_eq!(out, b"a??b");
}

proptest! {
    #[test]
    fn conversion_never_grows_and_its_length_is_known(text: Vec<u8>) {
        for charset in [Charset::Latin1, Charset::Ascii, Charset::Utf8mb3] {
            let mut out = Vec::new();
            put_converted(charset, &text, &mut out);
            prop_assert_eq!(out.len(), converted_length(charset, &text));
            prop_assert!(out.len() <= text.len());
            if is_relayed(Some(charset), &text) {
                prop_assert_eq!(&out, &text);
            }
        }
    }
}
