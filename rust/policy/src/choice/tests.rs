use super::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

fn of(list: &[(u8, u32)], tried: u64, random: u64) -> Option<usize> {
    choose(list.len(), |at| Candidate { share: list[at].0, in_flight: list[at].1 }, tried, random)
}

/// How often each of a list is chosen, in thousandths.
fn parts(list: &[(u8, u32)]) -> Vec<u32> {
    let mut random = Random(1);
    let mut chosen = vec![0_u32; list.len()];
    (0..100_000).for_each(|_| chosen[of(list, 0, random.next()).unwrap()] += 1);
    chosen.into_iter().map(|count| count / 100).collect()
}

fn is_near(found: u32, expected: u32) -> bool {
    found.abs_diff(expected) <= 10
}

#[test]
fn takes_none_but_what_can_be_used_and_was_not_tried() {
    let mut random = Random(2);
    for _ in 0..10_000 {
        let list: Vec<(u8, u32)> = (0..random.next() % 65)
            .map(|_| ((random.next() % 101) as u8 * (random.next() % 2) as u8, (random.next() % 9) as u32))
            .collect();
        let tried = random.next() & random.next();
        let open: Vec<usize> = (0..list.len()).filter(|&at| list[at].0 > 0 && tried & (1 << at) == 0).collect();
        match of(&list, tried, random.next()) {
            Some(at) => assert!(open.contains(&at)),
            None => assert!(open.is_empty()),
        }
    }
}

#[test]
fn takes_the_only_one_whatever_its_share_and_load() {
    let mut random = Random(3);
    for _ in 0..100 {
        assert_eq!(of(&[(1, u32::MAX)], 0, random.next()), Some(0));
        assert_eq!(of(&[(0, 0), (1, 9), (100, 0)], 0b100, random.next()), Some(1));
    }
}

#[test]
fn spreads_evenly_among_equals() {
    for count in [2, 3, 4, 7, 64] {
        let even = 1_000 / u32::try_from(count).unwrap();
        let found = parts(&vec![(100, 3); count]);
        assert!(found.iter().all(|&part| is_near(part, even)), "{count}: {found:?}");
    }
}

#[test]
fn takes_the_less_busy_of_two() {
    assert_eq!(parts(&[(100, 4), (100, 3)]), [0, 1_000]);
    let found = parts(&[(100, 9), (100, 1), (100, 1)]);
    assert!(found[0] == 0 && is_near(found[1], 500), "{found:?}");
}

#[test]
fn gives_a_small_share_a_small_part_and_not_nothing() {
    let idle = parts(&[(100, 0), (20, 0)]);
    assert!(is_near(idle[1], 100), "{idle:?}");
    let busy = parts(&[(100, 10), (20, 2)]);
    assert!(is_near(busy[1], 100), "{busy:?}");
    let overtaken = parts(&[(100, 50), (20, 2)]);
    assert!(is_near(overtaken[1], 200), "{overtaken:?}");
    let both = parts(&[(10, 0), (10, 0)]);
    assert!(is_near(both[1], 500), "{both:?}");
}

#[test]
fn looks_at_no_more_than_sixty_four() {
    let mut random = Random(4);
    for _ in 0..1_000 {
        let found = choose(100, |_| Candidate { share: 100, in_flight: 0 }, 0, random.next());
        assert!(found.is_some_and(|at| at < 64));
    }
}

/// `cargo test --release -p alongside-policy choice_takes -- --ignored --nocapture`
#[test]
#[ignore = "measures; needs a release build and a quiet minute"]
#[allow(clippy::disallowed_methods, reason = "it measures")]
fn choice_takes_nanoseconds() {
    use std::hint::black_box;
    for count in [1, 2, 3, 4, 8, 64] {
        let list: Vec<(u8, u32)> = (0_u32..count).map(|at| (100 - (at % 3) as u8, at % 5)).collect();
        let mut random = Random(5);
        let mut best = f64::MAX;
        for _ in 0..20 {
            let begun = std::time::Instant::now();
            for _ in 0..1_000_000 {
                let list = black_box(list.as_slice());
                black_box(of(list, black_box(0), random.next()));
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e3);
        }
        println!("{count} replicas: {best:.1} ns");
    }
}
