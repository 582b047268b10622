use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn kid(number: u32) -> KeyId {
    KeyId::new(number).unwrap()
}

fn secret() -> KeySecret {
    KeySecret::take_from(&mut [7; 32]).unwrap()
}

/// One key that was opened at the returned moment.
fn held() -> (Held, Instant) {
    let (mut held, now) = (Held::new(Revalidation::default()), Instant::now());
    held.keep(&BTreeSet::from([kid(1)]), now);
    assert_eq!(held.take_due(now), Some(kid(1)));
    assert_eq!(held.opened(kid(1), secret(), now, 0.5), Change::Opened);
    (held, now)
}

#[test]
fn a_key_is_asked_about_once_and_then_again_after_its_time() {
    for (fraction, least, most) in [(0.0, 200, 240), (0.5, 260, 300), (1.0, 320, 360)] {
        let (mut held, now) = held();
        held.opened(kid(1), secret(), now, fraction);
        assert_eq!(held.take_due(now + SECOND * least), None, "{fraction}");
        assert_eq!(held.take_due(now + SECOND * most), Some(kid(1)), "{fraction}");
        assert_eq!(held.take_due(now + SECOND * 9_999), None, "it is being asked about");
    }
}

#[test]
fn three_refusals_within_a_minute_lose_a_key() {
    let (mut held, now) = held();
    assert_eq!(held.not_opened(kid(1), Verdict::Refused, now), Change::None);
    assert_eq!(held.not_opened(kid(1), Verdict::Refused, now + SECOND * 15), Change::None);
    assert!(held.secret(kid(1)).is_some());
    assert_eq!(held.not_opened(kid(1), Verdict::Refused, now + SECOND * 30), Change::Lost);
    assert_eq!((held.stand(kid(1)), held.secret(kid(1)).is_none()), (Some(Stand::Lost), true));
    assert_eq!(held.lost(), 1);
    // It is still asked about, and comes back when the provider opens it.
    assert_eq!(held.take_due(now + SECOND * 110), Some(kid(1)));
    assert_eq!(held.opened(kid(1), secret(), now + SECOND * 110, 0.5), Change::Opened);
    assert_eq!(held.stand(kid(1)), Some(Stand::Open));
}

#[test]
fn refusals_that_are_not_confirmed_lose_nothing() {
    // Too far apart.
    let (mut held, now) = held();
    for minute in 0..10 {
        assert_eq!(held.not_opened(kid(1), Verdict::Refused, now + SECOND * 61 * minute), Change::None);
    }
    // Contradicted.
    let (mut held, now) = self::held();
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(held.not_opened(kid(1), Verdict::Refused, now), Change::None);
        }
        assert_eq!(held.opened(kid(1), secret(), now, 0.5), Change::None);
    }
}

#[test]
fn no_answer_neither_confirms_a_refusal_nor_takes_it_back() {
    let (mut held, now) = held();
    for _ in 0..100 {
        assert_eq!(held.not_opened(kid(1), Verdict::Nothing, now), Change::None);
    }
    held.not_opened(kid(1), Verdict::Refused, now);
    held.not_opened(kid(1), Verdict::Nothing, now + SECOND);
    assert_eq!(held.take_due(now + SECOND * 16), Some(kid(1)), "confirmed quickly all the same");
    held.not_opened(kid(1), Verdict::Refused, now + SECOND * 16);
    assert_eq!(held.not_opened(kid(1), Verdict::Refused, now + SECOND * 31), Change::Lost);
}

#[test]
fn grace_ends_after_the_last_proof() {
    let (mut held, now) = held();
    let grace = held.revalidation.grace;
    held.not_opened(kid(1), Verdict::Nothing, now + SECOND * 300);
    assert_eq!(held.alarms(now + SECOND * 599), []);
    assert_eq!(held.alarms(now + SECOND * 600), [kid(1)]);
    assert_eq!(held.alarms(now + SECOND * 601), [], "told once");
    assert_eq!(held.expire(now + grace - SECOND), []);
    assert_eq!(held.expire(now + grace), [kid(1)]);
    assert_eq!(held.expire(now + grace), [], "gone once");
    assert!(held.secret(kid(1)).is_none());
    assert!(!held.has_closed(), "it was open: rings are made without it");
}

#[test]
fn a_key_that_was_never_open_is_never_lost() {
    let (mut held, now) = (Held::new(Revalidation::default()), Instant::now());
    held.keep(&BTreeSet::from([kid(1)]), now);
    for attempt in 0..20 {
        held.hurry(now + SECOND * 20 * attempt);
        assert!(held.take_due(now + SECOND * 20 * attempt).is_some(), "attempt {attempt}");
        assert_eq!(held.not_opened(kid(1), Verdict::Refused, now + SECOND * 20 * attempt), Change::None);
    }
    assert!(held.has_closed());
}

#[test]
fn what_is_not_wanted_any_more_is_wiped() {
    let (mut held, now) = held();
    held.keep(&BTreeSet::from([kid(2)]), now);
    assert_eq!((held.stand(kid(1)), held.stand(kid(2))), (None, Some(Stand::Closed)));
    assert_eq!(held.opened(kid(1), secret(), now, 0.5), Change::None, "an answer that comes too late");
    assert_eq!(held.stand(kid(1)), None);
}
