use super::*;

fn kids(numbers: &[u32]) -> Vec<KeyId> {
    numbers.iter().map(|number| KeyId::new(crate::crypto::SUBJECT_KEY_ID_FIRST + number).unwrap()).collect()
}

#[test]
fn ids_that_do_not_exist_are_looked_for_a_few_times_a_second() {
    let (mut admission, start) = (Admission::default(), Instant::now());
    for number in 0..5 {
        assert!(admission.admit(start));
        admission.missed(&kids(&[number]), start);
    }
    assert!(!admission.admit(start), "five reads found nothing");
    let asked =
        |admission: &mut Admission, now| admission.those_that_may_exist(kids(&[0, 7]).into_iter().collect(), now);
    assert_eq!(asked(&mut admission, start), kids(&[7]), "one of them was not found just now");
    let later = start + WINDOW;
    assert!(admission.admit(later));
    assert_eq!(asked(&mut admission, later), kids(&[0, 7]));
}

#[test]
fn ids_that_exist_are_looked_for_without_end() {
    let (mut admission, now) = (Admission::default(), Instant::now());
    for _ in 0..1_000 {
        assert!(admission.admit(now));
        admission.missed(&[], now);
    }
}
