//! Where in a file the records of a time lie. Its records are in the order in which they were written, so that a few looks
//! find the place, and what lies before and behind is not read.
//!
//! A clock may have been set back meanwhile: an hour more is read at both ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::time::Duration;

use super::Parsed;
use crate::events::{parse_rfc3339, rfc3339};

/// How far clocks are set back at most.
const SET_BACK: Duration = Duration::from_secs(3600);
/// Bytes within which no further look is worth it: they are read at once.
const NEAR: u64 = 1 << 20;
/// Bytes of a look. In most lines' length there is no difference to speak of.
const LOOK: u64 = 64 << 10;

/// The bytes that hold all records of times from `from` on and before `until`, or of any; from the beginning of a line to
/// the end of one. What is found is looked at again: it holds others, too.
pub(super) fn stretch(file: &mut File, from: Option<&str>, until: Option<&str>) -> io::Result<Range<u64>> {
    let length = file.seek(SeekFrom::End(0))?;
    let (mut start, mut end) = (0, length);
    if let Some(from) = from {
        let mut behind = length;
        while behind.saturating_sub(start) > NEAR {
            let middle = start.midpoint(behind);
            match look(file, middle, length)? {
                Some((line, at)) if line < behind && rfc3339(at.saturating_add(SET_BACK)).as_str() < from => {
                    start = line
                }
                Some(_) | None => behind = middle,
            }
        }
    }
    if let Some(until) = until {
        let mut before = start;
        while end.saturating_sub(before) > NEAR {
            let middle = before.midpoint(end);
            match look(file, middle, length)? {
                Some((line, at)) if line < end && rfc3339(at.saturating_sub(SET_BACK)).as_str() >= until => end = line,
                Some(_) | None => before = middle,
            }
        }
    }
    Ok(start..end)
}

/// The first line that begins at that place or behind it, and its time. `None` if it cannot be told near by.
fn look(file: &mut File, place: u64, length: u64) -> io::Result<Option<(u64, Duration)>> {
    // The line feed before it may stand right before the place.
    let from = place.saturating_sub(1);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOOK.min(length.saturating_sub(from))).read_to_end(&mut bytes)?;
    let mut feeds = memchr::memchr_iter(b'\n', &bytes);
    let (Some(before), Some(end)) = (feeds.next(), feeds.next()) else { return Ok(None) };
    let start = before.saturating_add(1);
    let at = bytes.get(start..end).and_then(Parsed::read).and_then(|parsed| parse_rfc3339(parsed.at));
    Ok(at.map(|at| (from.saturating_add(u64::try_from(start).unwrap_or(u64::MAX)), at)))
}
