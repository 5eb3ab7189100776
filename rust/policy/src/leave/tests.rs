use super::*;
use proptest::prelude::*;

const SETTINGS: Settings = Settings { first_ms: 100, most_ms: 450 };

fn at(asked_ms: u64, now_ms: u64) -> Attempt {
    Attempt { asked_ms, now_ms }
}

#[test]
fn one_failed_connection_is_enough_and_one_good_one_ends_it() {
    let mut leave = Leave::default();
    assert!(!leave.is_left());
    assert!(leave.failed(at(1_000, 1_010), SETTINGS));
    assert!(leave.is_left());
    assert_eq!(leave.due_ms(), Some(1_110));
    assert!(leave.connected(at(1_011, 1_012)));
    assert_eq!((leave.is_left(), leave.due_ms()), (false, None));
    assert!(!leave.connected(at(1_013, 1_014)));
}

#[test]
fn the_time_between_looks_doubles_up_to_its_longest_and_begins_anew() {
    let mut leave = Leave::default();
    leave.failed(at(0, 1_000), SETTINGS);
    for (now_ms, due_ms) in [(1_100, 1_300), (1_300, 1_700), (1_700, 2_150), (2_150, 2_600)] {
        assert!(!leave.take_look(now_ms - 1, SETTINGS), "{now_ms}");
        assert!(leave.take_look(now_ms, SETTINGS), "{now_ms}");
        assert!(!leave.take_look(now_ms, SETTINGS), "two look at one time");
        assert_eq!(leave.due_ms(), Some(due_ms));
        assert!(!leave.failed(at(now_ms, now_ms + 1), SETTINGS));
        assert_eq!(leave.due_ms(), Some(due_ms), "a failed look changes nothing more");
    }
    assert!(leave.connected(at(2_600, 2_601)));
    leave.failed(at(2_700, 2_700), SETTINGS);
    assert_eq!(leave.due_ms(), Some(2_800));
}

#[test]
fn what_was_asked_before_a_change_does_not_undo_it() {
    let mut leave = Leave::default();
    leave.failed(at(10, 20), SETTINGS);
    assert!(!leave.connected(at(5, 30)), "it began before the backend was found dead");
    assert!(!leave.connected(at(19, 30)));
    assert!(leave.connected(at(20, 30)));
    assert!(!leave.failed(at(19, 40), SETTINGS), "a connection of the time before came to its end late");
    assert!(leave.failed(at(20, 41), SETTINGS));
}

#[test]
fn one_that_is_not_left_is_not_looked_at() {
    assert!(!Leave::default().take_look(u64::MAX, SETTINGS));
}

#[test]
fn a_longest_time_below_the_first_is_the_first() {
    let settings = Settings { first_ms: 100, most_ms: 10 };
    assert_eq!((settings.span_ms(0), settings.span_ms(9)), (100, 100));
    assert_eq!(Settings { first_ms: u64::MAX, most_ms: 1 }.span_ms(64), u64::MAX);
    assert_eq!(Settings { first_ms: 1, most_ms: 7 }.span_ms(u32::MAX), 7);
}

proptest! {
    #[test]
    fn nobody_is_left_unseen_for_longer_than_it_was_away(
        first_ms in 1_u64..1_000,
        most_ms in 1_u64..100_000,
        pauses in prop::collection::vec(0_u64..5_000, 1..60),
    ) {
        let settings = Settings { first_ms, most_ms };
        let mut leave = Leave::default();
        leave.failed(at(0, 0), settings);
        let mut now_ms = 0;
        for pause in pauses {
            now_ms += pause;
            leave.take_look(now_ms, settings);
            let wait_ms = leave.due_ms().unwrap() - now_ms;
            prop_assert!(wait_ms <= (now_ms + first_ms).min(most_ms.max(first_ms)));
            prop_assert!(wait_ms > 0);
        }
    }
}
