use super::*;
use proptest::prelude::*;

/// Return the places that a connection tries, in order, where nothing changes meanwhile.
fn order(backends: &[Known], mut random: u64) -> Vec<usize> {
    let mut next = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        random ^ (random >> 31)
    };
    let mut tries = Tries::new(backends.len(), next());
    std::iter::from_fn(|| tries.next(|at| backends[at], next())).collect()
}

fn idle(count: usize) -> Vec<Known> {
    vec![Known { is_left: false, open: 0 }; count]
}

#[test]
fn there_is_nothing_to_try_where_there_is_no_backend() {
    assert_eq!(order(&[], 1), [0_usize; 0]);
}

#[test]
fn the_less_busy_of_two_comes_first() {
    let backends = [Known { is_left: false, open: 3 }, Known { is_left: false, open: 2 }];
    assert!((0..100).all(|random| order(&backends, random) == [1, 0]));
}

#[test]
fn of_many_backends_none_is_preferred() {
    for count in [3, 64, 65, 200] {
        let mut firsts = vec![0_u32; count];
        let rounds = 1_000 * count as u64;
        (0..rounds).for_each(|random| firsts[order(&idle(count), random)[0]] += 1);
        assert!(firsts.iter().all(|&first| (800..1_200).contains(&first)), "{count}: {firsts:?}");
    }
}

#[test]
fn connections_that_stay_spread_evenly() {
    for count in [3, 100] {
        let mut backends = idle(count);
        for random in 0..50 * count as u64 {
            let first = order(&backends, random)[0];
            backends[first].open += 1;
        }
        let open = || backends.iter().map(|backend| backend.open);
        assert!(open().max().unwrap() - open().min().unwrap() <= 10, "{backends:?}");
    }
}

#[test]
fn the_only_one_of_many_that_is_not_left_is_found() {
    for count in [5, 64, 65, 300] {
        let mut backends = vec![Known { is_left: true, open: 0 }; count];
        backends[count - 1] = Known { is_left: false, open: u32::MAX };
        assert!((0..50).all(|random| order(&backends, random)[0] == count - 1), "{count}");
    }
}

proptest! {
    #[test]
    fn each_is_tried_once_and_those_left_come_last(
        backends in prop::collection::vec((any::<bool>(), 0_u32..5), 0..200),
        random: u64,
    ) {
        let backends: Vec<Known> = backends.into_iter().map(|(is_left, open)| Known { is_left, open }).collect();
        let order = order(&backends, random);
        prop_assert_eq!(order.len(), backends.len().min(TRIES_MAX));
        let mut once = order.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), order.len());
        prop_assert!(order.iter().all(|&place| place < backends.len()));
        let left: Vec<bool> = order.iter().map(|&place| backends[place].is_left).collect();
        prop_assert!(left.is_sorted());
        let usable = backends.iter().filter(|known| !known.is_left).count();
        prop_assert_eq!(left.iter().filter(|is_left| !**is_left).count(), usable.min(TRIES_MAX));
    }
}
