//! Tables; tests/owed_properties.rs has what holds for whatever happens.

use super::*;
use std::cell::Cell;
use std::rc::Rc;

const TERMS: Terms = Terms {
    orders_max: 4,
    bytes_max: 24,
    batch_max: 2,
    batch_bytes_max: 10,
    pause_ms: 50,
    pause_ms_max: 150,
    patience_ms: Some(1_000),
};

/// Waits until it is told, or until it goes.
struct Wait {
    is_gone: Rc<Cell<bool>>,
    done: Rc<Cell<u32>>,
}

impl Waiter for Wait {
    fn is_gone(&self) -> bool {
        self.is_gone.get()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.done.set(self.done.get() + 1);
    }
}

#[derive(Default)]
struct Writers {
    is_gone: Rc<Cell<bool>>,
    done: Rc<Cell<u32>>,
}

impl Writers {
    fn one(&self) -> Wait {
        Wait { is_gone: Rc::clone(&self.is_gone), done: Rc::clone(&self.done) }
    }
}

fn one(text: &str) -> What {
    What::One(text.as_bytes().into())
}

fn owed(texts: &[&str]) -> Owed<Wait> {
    let mut owed = Owed::new(TERMS);
    texts.iter().for_each(|text| assert!(!owed.add(one(text), None)));
    owed
}

/// Returns what is told until nothing is left, each round going well.
fn told(owed: &mut Owed<Wait>) -> Vec<What> {
    let mut told = Vec::new();
    loop {
        let batch = owed.take();
        if batch.is_empty() {
            return told;
        }
        for ticket in batch {
            owed.done(&ticket);
            told.push(ticket.what);
        }
        owed.end_round(Round::Went, 0);
    }
}

fn texts(tickets: &[Ticket]) -> Vec<What> {
    tickets.iter().map(|ticket| ticket.what.clone()).collect()
}

#[test]
fn orders_for_the_same_are_joined_and_stay_in_order() {
    let mut owed = owed(&["1", "2", "1"]);
    assert_eq!(owed.open(), 2);
    let batch = owed.take();
    assert_eq!(texts(&batch), [one("1"), one("2")]);
    // One that is on its way does not tell of what comes now.
    owed.add(one("3"), None);
    owed.add(one("1"), None);
    assert_eq!(owed.open(), 4);
    owed.done(&batch[1]);
    owed.end_round(Round::Went, 0);
    assert_eq!(told(&mut owed), [one("1"), one("3")]);
}

#[test]
fn a_batch_has_a_number_and_bytes_and_one_order_may_be_longer() {
    for (list, expected) in [
        (&["1", "2", "3"][..], 2),
        (&["123456", "1234", "3"], 2),
        (&["123456", "12345", "3"], 1),
        (&["123456789012", "1", "3"], 1),
        (&[], 0),
    ] {
        assert_eq!(owed(list).take().len(), expected, "{list:?}");
    }
}

#[test]
fn what_cannot_be_done_now_stands_behind_the_others() {
    let mut owed = owed(&["1", "2", "3"]);
    let batch = owed.take();
    owed.again(&batch[0]);
    owed.end_round(Round::Failed, 0);
    assert_eq!(told(&mut owed), [one("2"), one("3"), one("1")]);
}

#[test]
fn writers_wait_until_it_is_done() {
    let (mut owed, writers) = (owed(&[]), Writers::default());
    owed.add(one("1"), Some(writers.one()));
    owed.add(one("1"), Some(writers.one()));
    let batch = owed.take();
    owed.add(one("1"), Some(writers.one()));
    owed.end_round(Round::Failed, 0);
    assert_eq!((owed.open(), writers.done.get()), (1, 0));
    let batch_again = owed.take();
    assert_eq!(texts(&batch), texts(&batch_again));
    owed.done(&batch_again[0]);
    assert_eq!((owed.open(), writers.done.get()), (0, 3));
}

#[test]
fn who_waits_no_longer_leaves_nothing_behind() {
    let (mut owed, writers) = (owed(&[]), Writers::default());
    writers.is_gone.set(true);
    (0..10_000).for_each(|_| {
        owed.add(one("1"), Some(writers.one()));
    });
    assert!(writers.done.get() > 9_900);
}

#[test]
fn too_much_becomes_one_order_that_all_wait_for() {
    let (mut owed, writers) = (owed(&[]), Writers::default());
    for text in ["1", "2", "3", "4", "5", "6"] {
        assert!(!owed.add(one(text), Some(writers.one())));
        if text == "2" {
            assert_eq!(owed.take().len(), 2);
        }
    }
    assert!(owed.add(one("7"), Some(writers.one())));
    assert_eq!(owed.open(), 3);
    // What was on its way and came to nothing is part of it, and so is what comes later.
    owed.end_round(Round::Failed, 0);
    assert!(!owed.add(one("8"), Some(writers.one())));
    assert_eq!((owed.open(), writers.done.get()), (1, 0));
    assert_eq!(told(&mut owed), [What::Everything]);
    assert_eq!(writers.done.get(), 8);
    assert!(!owed.add(one("9"), None));
    assert_eq!(told(&mut owed), [one("9")]);
}

#[test]
fn what_comes_while_everything_is_told_is_told_by_itself() {
    let mut owed = owed(&[]);
    owed.add(What::Everything, None);
    let batch = owed.take();
    owed.add(one("1"), None);
    owed.done(&batch[0]);
    owed.end_round(Round::Went, 0);
    assert_eq!(told(&mut owed), [one("1")]);
    // Where it came to nothing, it is part of the next try.
    owed.add(What::Everything, None);
    owed.take();
    owed.add(one("1"), None);
    owed.end_round(Round::Failed, 0);
    assert_eq!(told(&mut owed), [What::Everything]);
}

#[test]
fn patience_ends_once() {
    let mut owed = owed(&["1", "2"]);
    let mut ends = Vec::new();
    for now_ms in (0..10_000).step_by(100) {
        owed.take();
        if owed.end_round(Round::Failed, now_ms).is_everything {
            ends.push(now_ms);
        }
    }
    assert_eq!((ends, owed.open()), (vec![1_000], 1));
    assert_eq!(told(&mut owed), [What::Everything]);
    // A peer that was there since is given the whole time again.
    owed.add(one("3"), None);
    owed.take();
    assert!(!owed.end_round(Round::Failed, 20_000).is_everything);
    assert_eq!(told(&mut owed), [one("3")]);
}

#[test]
fn pauses_grow_and_begin_anew_with_success() {
    let mut owed = owed(&["1"]);
    let mut pause = |round| {
        owed.take();
        owed.end_round(round, 0).pause_ms
    };
    for (round, expected) in [
        (Round::Failed, 50),
        (Round::Later, 100),
        (Round::Stale, 0),
        (Round::Failed, 150),
        (Round::Failed, 150),
        (Round::Went, 0),
        (Round::Failed, 50),
    ] {
        assert_eq!(pause(round), expected, "{round:?}");
    }
}

#[test]
fn how_long_it_fails_is_known_until_something_is_settled() {
    let mut owed = owed(&["1"]);
    for (round, now_ms, expected) in
        [(Round::Later, 7, 0), (Round::Stale, 8, 1), (Round::Failed, 9, 2), (Round::Went, 10, 0), (Round::Later, 11, 0)]
    {
        owed.take();
        owed.end_round(round, now_ms);
        assert_eq!(owed.failing_ms(now_ms), expected, "{round:?}");
    }
}

#[test]
fn one_at_a_time_tells() {
    let mut owed = owed(&["1"]);
    assert!(owed.begin() && !owed.begin());
    told(&mut owed);
    assert!(owed.begin());
}

#[test]
fn what_is_entrusted_is_entrusted_once() {
    let (mut owed, writers) = (owed(&[]), Writers::default());
    for text in ["1", "2", "3"] {
        owed.add(one(text), Some(writers.one()));
    }
    let batch = owed.take();
    let first = owed.unminded();
    assert_eq!(texts(&first), [one("1"), one("2")]);
    assert!(first.iter().all(|ticket| owed.minded(ticket)));
    assert_eq!((writers.done.get(), owed.open()), (2, 3));
    assert_eq!(texts(&owed.unminded()), [one("3")]);
    // What is done is entrusted to nobody, and stays done.
    owed.done(&batch[0]);
    assert!(!owed.minded(&first[0]));
    owed.again(&batch[1]);
    owed.end_round(Round::Went, 0);
    assert_eq!(texts(&owed.unminded()), [one("3")]);
    owed.unmind();
    assert_eq!(texts(&owed.unminded()), [one("3"), one("2")]);
}

#[test]
fn what_came_after_the_copy_is_entrusted_again() {
    let mut joined = owed(&["1"]);
    let before = joined.unminded();
    joined.add(one("1"), None);
    assert!(!joined.minded(&before[0]));
    assert_eq!(joined.unminded().len(), 1);
    // The same where it joins when the first comes back.
    let mut back = owed(&["1"]);
    let before = back.unminded();
    assert!(back.minded(&before[0]));
    back.take();
    back.add(one("1"), None);
    back.end_round(Round::Failed, 0);
    assert!(!back.minded(&before[0]));
    assert_eq!(texts(&back.unminded()), [one("1")]);
    // Or becomes one with all others.
    let mut all = owed(&["1", "2", "3", "4"]);
    let before = all.unminded();
    assert!(before.iter().all(|ticket| all.minded(ticket)));
    assert!(all.add(one("5"), None));
    assert_eq!(texts(&all.unminded()), [What::Everything]);
}

#[test]
fn all_that_waits_can_be_dropped() {
    let mut owed = owed(&["1", "2", "3"]);
    let batch = owed.take();
    assert_eq!((owed.drop_all(), owed.open()), (3, 2));
    batch.iter().for_each(|ticket| owed.done(ticket));
    assert!(owed.take().is_empty() && owed.unminded().is_empty());
}

#[test]
fn what_is_long_becomes_an_order_to_forget_everything_before_it_is_much() {
    let mut owed = owed(&["123456789", "abcdefghi"]);
    assert_eq!(owed.bytes(), 18);
    // What is on its way counts as well, as it may come back.
    let batch = owed.take();
    assert_eq!(texts(&batch), [one("123456789")]);
    assert!(!owed.add(one("ABCDEF"), None));
    assert_eq!(owed.bytes(), 24);
    assert!(owed.add(one("-"), None));
    assert_eq!((owed.open(), owed.bytes()), (2, 9));
    assert!(!owed.add(one("and another one that is long"), None));
    owed.end_round(Round::Failed, 0);
    assert_eq!((owed.open(), owed.bytes()), (1, 0));
    assert_eq!(told(&mut owed), [What::Everything]);
}

#[test]
fn the_bytes_of_what_was_told_or_dropped_do_not_count() {
    let mut owed = owed(&["1234", "5678"]);
    let batch = owed.take();
    owed.add(one("1234"), None);
    owed.again(&batch[1]);
    assert_eq!(owed.bytes(), 12);
    owed.end_round(Round::Failed, 0);
    assert_eq!((owed.open(), owed.bytes()), (2, 8));
    owed.take();
    owed.add(one("9"), None);
    owed.drop_all();
    assert_eq!(owed.bytes(), 8);
    told(&mut owed);
    assert_eq!((owed.open(), owed.bytes()), (0, 0));
}

#[test]
fn what_is_entrusted_at_one_time_has_a_batchs_bytes_and_at_least_one_order() {
    let owed = owed(&["a text of 13 b", "12345"]);
    assert_eq!(texts(&owed.unminded()), [one("a text of 13 b")]);
    let owed = self::owed(&["12345", "67890", "1"]);
    assert_eq!(texts(&owed.unminded()), [one("12345"), one("67890")]);
}
