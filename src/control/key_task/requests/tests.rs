use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn kid(number: u32) -> KeyId {
    KeyId::new(number).unwrap()
}

#[test]
fn forged_ids_make_five_reads_a_second_at_most() {
    let (mut admission, start) = (Admission::default(), Instant::now());
    let mut admitted = Vec::new();
    for step in 0..3_000 {
        let now = start + MILLISECOND * step;
        if admission.admit(kid(step + 1), now) {
            admission.not_found(kid(step + 1), now);
            admitted.push(step);
        }
    }
    assert_eq!(admitted.len(), 15);
    assert!(admission.not_found.len() <= 5, "nothing piles up");
}

#[test]
fn a_key_that_was_not_found_is_left_alone_for_a_second() {
    let (mut admission, start) = (Admission::default(), Instant::now());
    assert!(admission.admit(kid(1), start));
    admission.not_found(kid(1), start);
    assert!(!admission.admit(kid(1), start + MILLISECOND * 999));
    assert!(admission.admit(kid(2), start + MILLISECOND * 999), "another one is not held up");
    assert!(admission.admit(kid(1), start + MILLISECOND * 1_000));
}
