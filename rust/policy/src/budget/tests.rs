use super::*;
use proptest::prelude::*;

fn budget(percent: u32, per_second_min: u32) -> Budget {
    Budget::new(Settings { percent, per_second_min }, 0)
}

fn withdrawn(budget: &mut Budget, now_ms: u64) -> u64 {
    let mut count = 0;
    while budget.withdraw(now_ms) {
        count += 1;
    }
    count
}

#[test]
fn allows_a_part_of_the_requests() {
    let mut budget = budget(20, 0);
    assert!(!budget.withdraw(0));
    budget.roll(0, 100);
    assert_eq!(budget.balance(), 20);
    assert_eq!(withdrawn(&mut budget, 500), 20);
    budget.roll(600, 4);
    assert!(!budget.withdraw(600));
    budget.roll(700, 1);
    assert!(budget.withdraw(700));
}

#[test]
fn allows_some_without_a_request() {
    let mut budget = budget(0, 3);
    assert_eq!(withdrawn(&mut budget, 0), 30);
    assert_eq!(withdrawn(&mut budget, 9_999), 0);
    assert_eq!(withdrawn(&mut budget, 10_000), 30);
}

#[test]
fn forgets_requests_after_ten_seconds() {
    let mut budget = budget(100, 0);
    budget.roll(0, 7);
    budget.roll(9_999, 0);
    assert_eq!(budget.balance(), 7);
    budget.roll(10_000, 0);
    assert_eq!(budget.balance(), 0);
}

#[test]
fn spreads_what_is_handed_over_late_and_forgets_the_old_part() {
    let mut budget = budget(100, 0);
    budget.roll(99_999, 1_000);
    assert_eq!(budget.balance(), 100);
    budget.roll(104_000, 0);
    assert_eq!(budget.balance(), 50);
}

#[test]
fn stands_still_with_a_clock_that_goes_back() {
    let mut budget = budget(100, 0);
    budget.roll(5_000, 2);
    budget.roll(1_000, 2);
    assert!(budget.withdraw(0));
    assert_eq!(budget.balance(), 3);
}

#[test]
fn survives_extremes() {
    let mut budget = budget(100, u32::MAX);
    budget.roll(u64::MAX, u64::MAX);
    budget.roll(u64::MAX, u64::MAX);
    assert!(budget.withdraw(u64::MAX));
}

proptest! {
    #[test]
    fn allows_a_retry_exactly_while_the_window_has_one_left(
        percent in 0_u32..=100,
        per_second_min in 0_u32..5,
        steps in prop::collection::vec((0_u64..3_000, 0_u64..40, 0_u32..40), 1..80),
    ) {
        let mut budget = budget(percent, per_second_min);
        let (mut now_ms, mut requests, mut retries) = (0, [0_u64; 300], [0_u64; 300]);
        for (passed_ms, came, wanted) in steps {
            // Requests are counted in the second in which they came, as a shell that hands over often does.
            now_ms += passed_ms;
            budget.roll(now_ms, 0);
            budget.roll(now_ms, came);
            let slot = usize::try_from(now_ms / SLOT_MS).unwrap();
            requests[slot] += came;
            let window = slot.saturating_sub(SLOTS - 1)..=slot;
            for _ in 0..wanted {
                let is_allowed = budget.withdraw(now_ms);
                let (came, taken): (u64, u64) =
                    (requests[window.clone()].iter().sum(), retries[window.clone()].iter().sum());
                let most = came * u64::from(percent) / 100 + u64::from(per_second_min) * SLOTS as u64;
                prop_assert_eq!(is_allowed, taken < most);
                retries[slot] += u64::from(is_allowed);
            }
        }
    }
}
