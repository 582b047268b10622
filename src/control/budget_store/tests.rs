//! How long a window lasts, by the database's clock.

use super::*;

#[test]
fn a_window_that_begins_in_the_future_is_over() {
    let (minute, second) = (Duration::from_secs(60), 1_000_000);
    assert_eq!(left_of(minute, 0), Some(minute));
    assert_eq!(left_of(minute, 59 * second), Some(Duration::from_secs(1)));
    assert_eq!(left_of(minute, 60 * second), None);
    assert_eq!(left_of(minute, -5 * second), Some(minute), "another server's clock");
    assert_eq!(left_of(minute, -6 * second), None, "the clock was set back");
    assert_eq!(left_of(minute, i64::MIN), None);
}
