use super::*;

const SETTINGS: Settings = Settings {
    interval_ms: 1_000,
    failures: 2,
    successes: 1,
    errors_max: Some(5),
    slow_times: Some(10),
    ejected_percent_max: 50,
    ejection_ms: 5_000,
    slow_start_ms: 10_000,
};

fn at(now_ms: u64) -> Attempt {
    Attempt { asked_ms: now_ms, now_ms }
}

fn left(reason: Reason) -> Option<Change> {
    Some(Change::Left(reason))
}

fn back(reason: Reason) -> Option<Change> {
    Some(Change::Back(reason))
}

#[test]
fn begins_usable_with_its_whole_share() {
    let health = Health::new(SETTINGS);
    assert!(health.is_usable());
    assert_eq!((health.share(0), health.reason(), health.probe_interval_ms()), (100, None, 1_000));
}

#[test]
fn is_left_by_one_failed_connection_and_comes_back_by_a_probe_only() {
    let mut health = Health::new(SETTINGS);
    assert_eq!(health.connect_failed(at(10)), left(Reason::Unreachable));
    assert_eq!((health.share(11), health.reason(), health.probe_interval_ms()), (0, Some(Reason::Unreachable), 250));
    assert_eq!(health.connect_failed(at(20)), None);
    assert_eq!(health.answered(Answer::Good { latency_us: 1 }, at(30)), None);
    assert!(!health.is_usable());
    assert_eq!(health.probed(Look::Good, at(40)), back(Reason::Unreachable));
    assert!(health.is_usable());
}

#[test]
fn does_not_come_back_by_a_probe_that_began_before_it_was_left() {
    let mut health = Health::new(SETTINGS);
    health.connect_failed(at(10));
    assert_eq!(health.probed(Look::Good, Attempt { asked_ms: 10, now_ms: 30 }), None);
    assert_eq!(health.probed(Look::Good, Attempt { asked_ms: 11, now_ms: 30 }), back(Reason::Unreachable));
}

#[test]
fn is_not_left_by_what_began_before_it_came_back() {
    let mut health = Health::new(SETTINGS);
    health.connect_failed(at(10));
    health.probed(Look::Good, at(100));
    let old = Attempt { asked_ms: 50, now_ms: 200 };
    assert_eq!(health.connect_failed(old), None);
    assert_eq!((health.closed_early(old), health.closed_early(old)), (None, None));
    assert_eq!((health.probed(Look::Bad, old), health.probed(Look::Bad, old)), (None, None));
    assert!((0..9).all(|_| health.answered(Answer::Error, old).is_none()));
    assert!(health.is_usable());
    assert_eq!(health.connect_failed(Attempt { asked_ms: 100, now_ms: 200 }), left(Reason::Unreachable));
}

#[test]
fn takes_a_failure_for_news_that_was_on_its_way_when_the_node_was_ejected() {
    let on_its_way = Attempt { asked_ms: 5, now_ms: 20 };
    let mut health = Health::new(SETTINGS);
    health.eject(Reason::Errors, 10);
    assert_eq!(health.connect_failed(on_its_way), left(Reason::Unreachable));
    let mut pardoned = Health::new(SETTINGS);
    pardoned.eject(Reason::Errors, 10);
    pardoned.pardon(15);
    assert_eq!(pardoned.answered(Answer::Error, on_its_way), None);
    assert_eq!(pardoned.connect_failed(on_its_way), left(Reason::Unreachable));
}

#[test]
fn takes_one_early_close_for_a_restart_and_two_in_a_row_for_a_failure() {
    let mut health = Health::new(SETTINGS);
    assert_eq!(health.closed_early(at(1)), None);
    health.answered(Answer::Good { latency_us: 1 }, at(2));
    assert_eq!(health.closed_early(at(3)), None);
    health.probed(Look::Good, at(4));
    assert_eq!(health.closed_early(at(5)), None);
    assert_eq!(health.closed_early(at(6)), left(Reason::Unreachable));
}

#[test]
fn counts_probes_in_a_row() {
    let mut health = Health::new(Settings { failures: 3, successes: 2, ..SETTINGS });
    for now_ms in [1, 2] {
        assert_eq!(health.probed(Look::Bad, at(now_ms)), None);
    }
    health.probed(Look::Good, at(3));
    for now_ms in [4, 5] {
        assert_eq!(health.probed(Look::Bad, at(now_ms)), None);
    }
    assert_eq!(health.probed(Look::Bad, at(6)), left(Reason::ProbeFailed));
    assert_eq!(health.probed(Look::Good, at(7)), None);
    assert_eq!(health.probed(Look::Bad, at(8)), None);
    assert_eq!(health.probed(Look::Good, at(9)), None);
    assert_eq!(health.probed(Look::Good, at(10)), back(Reason::ProbeFailed));
}

#[test]
fn needs_good_probes_anew_where_a_connection_fails_among_them() {
    let mut health = Health::new(Settings { successes: 2, ..SETTINGS });
    health.connect_failed(at(1));
    health.probed(Look::Good, at(2));
    health.connect_failed(at(3));
    assert_eq!(health.probed(Look::Good, at(4)), None);
    assert_eq!(health.probed(Look::Good, at(5)), back(Reason::Unreachable));
}

#[test]
fn is_suspected_after_errors_in_a_row_and_left_when_its_shard_says_so() {
    let mut health = Health::new(SETTINGS);
    (0..4).for_each(|now_ms| assert_eq!(health.answered(Answer::Error, at(now_ms)), None));
    health.answered(Answer::Good { latency_us: 1 }, at(4));
    (5..9).for_each(|now_ms| assert_eq!(health.answered(Answer::Error, at(now_ms)), None));
    assert_eq!(health.answered(Answer::Error, at(9)), Some(Change::Suspected(Reason::Errors)));
    assert!(health.is_usable() && health.standing().has_errors);
    assert_eq!(health.eject(Reason::Errors, 10), left(Reason::Errors));
    assert!(health.standing().is_ejected && !health.standing().has_errors);
    assert_eq!(health.eject(Reason::Errors, 11), None);
}

#[test]
fn is_never_suspected_where_errors_are_not_its_fault() {
    let mut health = Health::new(Settings { errors_max: None, ..SETTINGS });
    assert!((0..100).all(|now_ms| health.answered(Answer::Error, at(now_ms)).is_none()));
    assert!(!health.standing().has_errors);
}

#[test]
fn stays_ejected_for_its_time_and_until_a_probe() {
    let mut health = Health::new(SETTINGS);
    health.eject(Reason::Slow, 1_000);
    assert_eq!(health.probed(Look::Good, at(5_999)), None);
    assert_eq!(health.probed(Look::Good, at(6_000)), back(Reason::Slow));
}

/// Eject it once more, and return how long it stays left.
fn ejection_ms(health: &mut Health, now_ms: &mut u64) -> u64 {
    health.eject(Reason::Errors, *now_ms);
    let since_ms = *now_ms;
    while health.probed(Look::Good, at(*now_ms)).is_none() {
        *now_ms += 1_000;
    }
    *now_ms - since_ms
}

#[test]
fn is_left_longer_each_time_until_it_was_calm() {
    let (mut health, mut now_ms) = (Health::new(SETTINGS), 1_000);
    let times: Vec<u64> = (0..6).map(|_| ejection_ms(&mut health, &mut now_ms)).collect();
    assert_eq!(times, [5_000, 10_000, 20_000, 40_000, 40_000, 40_000]);
    now_ms += 39_999;
    assert_eq!(ejection_ms(&mut health, &mut now_ms) / 1_000, 40);
    now_ms += 40_000;
    assert_eq!(ejection_ms(&mut health, &mut now_ms), 5_000);
}

#[test]
fn counts_no_longer_as_ejected_when_it_turns_out_to_be_dead() {
    let mut health = Health::new(SETTINGS);
    health.eject(Reason::Errors, 10);
    assert_eq!(health.probed(Look::Bad, at(20)), None);
    assert_eq!(health.probed(Look::Bad, at(30)), left(Reason::ProbeFailed));
    assert!(!health.standing().is_ejected);
    assert_eq!(health.probed(Look::Good, at(40)), back(Reason::ProbeFailed));
}

#[test]
fn is_pardoned_at_once_unless_it_was_away() {
    let mut health = Health::new(SETTINGS);
    assert_eq!(health.pardon(5), None);
    health.eject(Reason::Errors, 10);
    assert_eq!(health.pardon(30), back(Reason::Errors));
    health.connect_failed(at(40));
    assert_eq!(health.pardon(50), None);
    assert!(!health.is_usable());
}

#[test]
fn grows_its_share_while_it_starts_slowly() {
    let mut health = Health::new(SETTINGS);
    health.connect_failed(at(10));
    health.probed(Look::Good, at(1_000));
    let shares: Vec<u8> = [1_000, 2_000, 6_000, 10_999, 11_000].iter().map(|&ms| health.share(ms)).collect();
    assert_eq!(shares, [10, 19, 55, 99, 100]);
    health.configure(Settings { slow_start_ms: 0, ..SETTINGS });
    assert_eq!(health.share(1_000), 100);
}

#[test]
fn gives_no_more_than_the_node_is_warm_and_something_while_it_is_used() {
    let mut health = Health::new(SETTINGS);
    for (warmth, share) in [(20, 20), (0, 1), (255, 100)] {
        health.set_warmth(warmth);
        assert_eq!(health.share(5), share);
    }
    health.set_warmth(0);
    health.connect_failed(at(10));
    assert_eq!(health.share(10), 0);
}

#[test]
fn forgets_how_slow_it_was_when_it_comes_back() {
    let mut health = Health::new(SETTINGS);
    (0..20).for_each(|now_ms| assert_eq!(health.answered(Answer::Good { latency_us: 900_000 }, at(now_ms)), None));
    assert_eq!(health.standing().latency_us, Some(900_000));
    health.eject(Reason::Slow, 30);
    assert_eq!(health.standing().latency_us, None);
    health.probed(Look::Good, at(9_000));
    assert_eq!(health.standing().latency_us, None);
}
