//! Moments on the command line: as entries and events have them, or the beginning of one. They compare as text.

/// Takes `2026-03-04`, or as far as you like in `2026-03-04T05:06:07.000000Z`.
pub(super) fn moment(text: &str) -> Result<String, String> {
    const FORM: &str = "0000-00-00T00:00:00.000000Z";
    let fits = text.len() >= 4
        && text.len() <= FORM.len()
        && text.bytes().zip(FORM.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        });
    if fits { Ok(text.to_owned()) } else { Err("a time is written 2026-03-04 or 2026-03-04T05:06:07".to_owned()) }
}
