//! Length-encoded integers and strings (§ "Protocol::LengthEncodedInteger", "Protocol::LengthEncodedString").

use super::WireError;

/// The NULL marker of a text row's cell.
pub const NULL: u8 = 0xfb;
/// Bytes of a length-encoded integer at most.
pub const INTEGER_OCTETS_MAX: usize = 9;

/// Splits a length-encoded integer off the front. 0xFB and 0xFF are no integers.
#[inline]
pub fn take_integer<'a>(bytes: &'a [u8], what: &'static str) -> Result<(u64, &'a [u8]), WireError> {
    let (&first, rest) = bytes.split_first().ok_or(WireError::Truncated(what))?;
    let width = match first {
        0..=0xfa => return Ok((u64::from(first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return Err(WireError::Malformed(what)),
    };
    let (digits, rest) = rest.split_at_checked(width).ok_or(WireError::Truncated(what))?;
    let value = digits.iter().rev().fold(0_u64, |value, digit| (value << 8) | u64::from(*digit));
    Ok((value, rest))
}

/// Splits a length-encoded string off the front.
#[inline]
pub fn take_string<'a>(bytes: &'a [u8], what: &'static str) -> Result<(&'a [u8], &'a [u8]), WireError> {
    let (length, rest) = take_integer(bytes, what)?;
    let length = usize::try_from(length).map_err(|_| WireError::Truncated(what))?;
    rest.split_at_checked(length).ok_or(WireError::Truncated(what))
}

/// Appends a length-encoded integer.
pub fn put_integer(value: u64, out: &mut Vec<u8>) {
    let digits = value.to_le_bytes();
    let (marker, width) = match value {
        0..=0xfa => (None, 1),
        0xfb..=0xffff => (Some(0xfc), 2),
        0x1_0000..=0xff_ffff => (Some(0xfd), 3),
        0x100_0000.. => (Some(0xfe), 8),
    };
    out.extend(marker);
    out.extend(digits.into_iter().take(width));
}

/// Appends a length-encoded string.
pub fn put_string(bytes: &[u8], out: &mut Vec<u8>) {
    put_integer(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn widths_follow_the_manual() {
        for (value, length) in [(0, 1), (250, 1), (251, 3), (65_535, 3), (65_536, 4), (16_777_215, 4), (16_777_216, 9)]
        {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            assert_eq!(out.len(), length, "{value}");
        }
    }

    #[test]
    fn null_and_err_markers_are_no_integers() {
        assert_eq!(take_integer(&[0xfb], "cell"), Err(WireError::Malformed("cell")));
        assert_eq!(take_integer(&[0xff], "cell"), Err(WireError::Malformed("cell")));
        assert_eq!(take_integer(&[0xfc, 1], "cell"), Err(WireError::Truncated("cell")));
        assert_eq!(take_string(&[3, b'a'], "cell"), Err(WireError::Truncated("cell")));
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(value: u64, text: Vec<u8>) {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            put_string(&text, &mut out);
            let (taken, rest) = take_integer(&out, "value").unwrap();
            prop_assert_eq!(taken, value);
            prop_assert_eq!(take_string(rest, "text").unwrap(), (text.as_slice(), &[][..]));
        }
    }
}
