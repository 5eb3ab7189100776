//! When the next order is due, pure: time, what is held, what failed and what the authority wishes are arguments.
//!
//! Times are seconds since 1970 of a clock that may be set at any moment: nothing is counted, all is compared.

/// The shortest and the longest pause after failures.
const PAUSE_MIN_S: i64 = 60;
const PAUSE_MAX_S: i64 = 3_600;
/// The longest that an authority can make us wait, and the longest that a wrong clock can.
const DAY_S: i64 = 86_400;
/// How soon after it was got a certificate may be renewed since the authority wishes so, at the earliest.
const REST_MAX_S: i64 = 3_600;
/// How wrong a clock may be before what it said is not believed.
const CLOCK_S: i64 = 60;

/// The certificate that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Whether it is for the hosts that are wanted.
    pub is_wanted: bool,
    /// When it begins to be valid.
    pub begins_s: i64,
    /// When it ends.
    pub ends_s: i64,
    /// When it was written.
    pub got_s: i64,
}

/// When the authority would like a renewal (RFC 9773).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub start_s: i64,
    /// Not after.
    pub end_s: i64,
}

/// Orders that were begun since the last one that was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// How many.
    pub count: u32,
    /// When the last of them began.
    pub tried_s: i64,
    /// When the authority lets the next one begin.
    pub not_before_s: Option<i64>,
}

/// Returns when the next order is due; in the past or now: at once. `seed` spreads those who hold alike.
#[must_use]
pub fn next_s(now_s: i64, held: Option<&Held>, window: Option<Window>, tries: &Tries, seed: u64) -> i64 {
    let wanted = held.map_or(now_s, |held| renewal_s(now_s, held, window, seed));
    wanted.max(allowed_s(now_s, held, tries, seed))
}

/// Returns when a certificate should be renewed.
fn renewal_s(now_s: i64, held: &Held, window: Option<Window>, seed: u64) -> i64 {
    let life_s = (held.ends_s - held.begins_s).max(0);
    if !held.is_wanted {
        return now_s;
    }
    let Some(window) = window.filter(|window| window.start_s < window.end_s && window.start_s < held.ends_s) else {
        // Two thirds of its life, or up to a twentieth sooner.
        return held.begins_s + life_s / 3 * 2 + life_s % 3 * 2 / 3 - part(life_s / 20, seed);
    };
    // A window may reach beyond the certificate's own life at both ends; it is tried again before it is over.
    let start_s = window.start_s.max(held.begins_s);
    let end_s = window.end_s.min(held.ends_s - life_s / 6).max(start_s);
    let rested_s = held.got_s.min(now_s) + (life_s / 3).min(REST_MAX_S);
    (start_s + part(end_s - start_s, seed)).max(rested_s).min(held.ends_s)
}

/// Returns when the authority may be asked again after what failed.
fn allowed_s(now_s: i64, held: Option<&Held>, tries: &Tries, seed: u64) -> i64 {
    // Said by a clock that was set back since.
    if tries.count == 0 || tries.tried_s > now_s + CLOCK_S {
        return now_s;
    }
    // A short life has no time for long pauses.
    let longest_s = held.map_or(PAUSE_MAX_S, |held| ((held.ends_s - held.begins_s) / 10).clamp(1, PAUSE_MAX_S));
    let pause_s = (PAUSE_MIN_S << (tries.count - 1).min(6)).min(longest_s);
    let told_s = tries.not_before_s.unwrap_or(tries.tried_s).min(tries.tried_s + DAY_S);
    told_s.max(tries.tried_s + pause_s + part(pause_s / 4, seed ^ u64::from(tries.count)))
}

/// Returns a number from 0 to `most`, the same for the same seed.
fn part(most: i64, seed: u64) -> i64 {
    // SplitMix64's last step: neighbouring seeds come out far from each other.
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let most = u64::try_from(most).unwrap_or(0);
    i64::try_from((mixed ^ (mixed >> 31)) % (most + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGINS: i64 = 1_000_000;
    const DAYS_90: i64 = 90 * DAY_S;

    fn held(life_s: i64) -> Held {
        Held { is_wanted: true, begins_s: BEGINS, ends_s: BEGINS + life_s, got_s: BEGINS }
    }

    fn tries(count: u32, tried_s: i64, not_before_s: Option<i64>) -> Tries {
        Tries { count, tried_s, not_before_s }
    }

    const NONE: Tries = Tries { count: 0, tried_s: 0, not_before_s: None };

    #[test]
    fn orders_at_once_where_nothing_fits_and_else_at_two_thirds() {
        let now = BEGINS + 100;
        let other = Held { is_wanted: false, ..held(DAYS_90) };
        assert_eq!(next_s(now, None, None, &NONE, 1), now, "nothing is held");
        assert_eq!(next_s(now, Some(&other), None, &NONE, 1), now, "the hosts are others");
        for (life_s, seed) in [(DAYS_90, 1), (DAYS_90, 2), (6 * DAY_S, 3), (30, 4), (29, 5), (1, 6), (0, 7)] {
            let due = next_s(BEGINS, Some(&held(life_s)), None, &NONE, seed) - BEGINS;
            let (two_thirds, sooner) = (life_s * 2 / 3, life_s / 20);
            assert!((two_thirds - sooner..=two_thirds).contains(&due), "{due} of {life_s}");
        }
    }

    #[test]
    fn those_who_hold_alike_order_at_different_times() {
        let dues: std::collections::BTreeSet<i64> =
            (0..50).map(|seed| next_s(BEGINS, Some(&held(DAYS_90)), None, &NONE, seed)).collect();
        assert!(dues.len() > 45, "{dues:?}");
    }

    #[test]
    fn follows_the_authority_within_reason() {
        let window = |start: i64, end: i64| Some(Window { start_s: BEGINS + start, end_s: BEGINS + end });
        // Life, window, and from when to when it may be due.
        let cases = [
            ("inside", DAYS_90, window(50 * DAY_S, 52 * DAY_S), 50 * DAY_S, 52 * DAY_S),
            ("over: at once, but not as soon as it was got", DAYS_90, window(-DAY_S, -1), 3_600, 3_600),
            ("wider than the life, as of short ones", 30, window(-DAY_S, DAY_S), 10, 25),
            ("reaches beyond the end", DAYS_90, window(80 * DAY_S, 200 * DAY_S), 80 * DAY_S, 80 * DAY_S),
            ("after the end: no use", DAYS_90, window(100 * DAY_S, 101 * DAY_S), 55 * DAY_S, 60 * DAY_S),
            ("upside down: no use", DAYS_90, window(52 * DAY_S, 50 * DAY_S), 55 * DAY_S, 60 * DAY_S),
        ];
        for (why, life_s, window, from, to) in cases {
            for seed in 0..20 {
                let due = next_s(BEGINS, Some(&held(life_s)), window, &NONE, seed) - BEGINS;
                assert!((from..=to).contains(&due), "{why}: {due}");
            }
        }
    }

    #[test]
    fn waits_longer_after_each_failure() {
        let now = BEGINS;
        let cases = [(1, 60), (2, 120), (3, 240), (6, 1_920), (7, 3_600), (8, 3_600), (60, 3_600), (u32::MAX, 3_600)];
        for (count, pause) in cases {
            let due = next_s(now, None, None, &tries(count, now, None), 9) - now;
            assert!((pause..=pause * 5 / 4).contains(&due), "{count}: {due}");
        }
        // The time that the authority asks for counts where it is longer, to a day.
        for (asked, from, to) in
            [(10, 60, 75), (600, 600, 600), (10 * DAY_S, DAY_S, DAY_S), (i64::MAX - now, DAY_S, DAY_S)]
        {
            let due = next_s(now, None, None, &tries(1, now, Some(now + asked)), 9) - now;
            assert!((from..=to).contains(&due), "{asked}: {due}");
        }
        // A short life has no time for that, a long one has.
        let due = next_s(BEGINS + 25, Some(&held(30)), None, &tries(5, BEGINS + 25, None), 9) - BEGINS;
        assert_eq!(due, 28);
        let late = BEGINS + 70 * DAY_S;
        let due = next_s(late, Some(&held(DAYS_90)), None, &tries(9, late, None), 9) - late;
        assert!((3_600..=4_500).contains(&due), "{due}");
        // Other hosts do not lift it: who failed before with them has failed with them.
        let other = Held { is_wanted: false, ..held(DAYS_90) };
        assert!(next_s(now, Some(&other), None, &tries(1, now, None), 9) >= now + 60);
    }

    #[test]
    fn a_clock_that_is_set_makes_nobody_wait_for_ever() {
        let held = held(DAYS_90);
        // Forward, beyond the end.
        let late = BEGINS + 200 * DAY_S;
        assert!(next_s(late, Some(&held), None, &NONE, 1) <= late);
        // Back: what a clock of the future noted is not believed.
        let early = BEGINS - 400 * DAY_S;
        assert_eq!(next_s(early, None, None, &tries(3, BEGINS, Some(BEGINS + DAY_S)), 1), early);
        // Back and forth within a minute, as clocks are set each day.
        assert!(next_s(BEGINS, None, None, &tries(1, BEGINS + 30, None), 1) > BEGINS);
    }

    proptest! {
        #[test]
        fn never_hammers_and_never_sleeps_through_the_end(
            life_s in 10..DAYS_90 * 4, age_s in 0..DAYS_90 * 5, count in 1u32..100, ago_s in 0..DAYS_90,
            start in -DAYS_90..DAYS_90 * 5, length in 0..DAYS_90, has_window: bool, seed: u64,
        ) {
            let (held, now) = (held(life_s), BEGINS + age_s);
            let window = has_window.then_some(Window { start_s: BEGINS + start, end_s: BEGINS + start + length });
            prop_assert!(next_s(now, Some(&held), window, &NONE, seed) <= held.ends_s.max(now));
            let tried = now - ago_s;
            let due = next_s(now, Some(&held), window, &tries(count, tried, None), seed);
            prop_assert!(due >= tried + (life_s / 10).clamp(1, PAUSE_MIN_S));
            prop_assert!(due <= held.ends_s.max(now).max(tried + PAUSE_MAX_S * 5 / 4));
        }
    }
}
