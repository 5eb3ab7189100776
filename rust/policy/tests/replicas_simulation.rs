//! Routers that use the policy's parts keep its promise, whatever befalls the fleet: a seeded simulation.
//!
//! `SIMULATION_SEEDS` is how many seeds each test takes; `SIMULATION_SEED` repeats one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it saw"
)]

mod simulation;

use alongside_policy::budget;
use alongside_policy::health::EJECTION_TIMES_MAX;
use alongside_policy::rendezvous;
use simulation::faults;
use simulation::ledger::{DETECTION_MS, Refusal};
use simulation::random::Random;
use simulation::router::{HEALTH, RETRIES, RETRIES_FEW};
use simulation::{Fault, Told, World};
use std::collections::BTreeSet;
use std::panic::catch_unwind;

const SEEDS: u64 = 256;
/// Seeds that found a fault once: a failure that was on its way when a node was ejected was not believed (680).
const FOUND: [u64; 1] = [680];
const CHAOS_MS: u64 = 30_000;
/// What was ejected last when all healed is back after this, and what was only left long before.
const HEALED_MS: u64 = HEALTH.ejection_ms * EJECTION_TIMES_MAX + 2 * DETECTION_MS;

/// What chaos must have brought about.
const CHAOS: [&str; 14] = [
    "Left(Unreachable)",
    "Left(ProbeFailed)",
    "Left(Errors)",
    "Left(Slow)",
    "Back(Unreachable)",
    "Back(ProbeFailed)",
    "Back(Errors)",
    "Back(Slow)",
    "Pardoned",
    "Retried",
    "NoneUsable",
    "AttemptsMax",
    "NoBudget",
    "StillFrozen",
];

/// Run every seed that is asked for, name the one that fails, and see that what was to be tried did happen.
fn for_each_seed(test: &str, happens: &[&str], run: fn(u64) -> Told) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let count = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = match number("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..count).chain(FOUND).collect(),
    };
    let mut all = Told::new();
    for &seed in &seeds {
        let again = format!("SIMULATION_SEED={seed} cargo test -p alongside-policy --test replicas_simulation {test}");
        let told = catch_unwind(|| run(seed));
        assert!(told.is_ok(), "seed {seed} failed; repeat it with\n  {again}");
        told.into_iter().flatten().for_each(|(word, count)| *all.entry(word).or_default() += count);
    }
    println!("{test}: {all:?}");
    let is_whole = seeds.len() as u64 > SEEDS;
    let missing = happens.iter().find(|&&word| is_whole && !all.contains_key(word));
    assert_eq!(missing, None, "never happened: {all:?}");
}

fn fleet(random: &mut Random, seed: u64, nodes_min: u64, retries: budget::Settings) -> World {
    let nodes = usize::try_from(nodes_min + random.below(5 - nodes_min)).unwrap();
    let routers = 1 + random.place(3);
    World::new(nodes, routers, retries, Random::new(seed ^ 0x5eed))
}

/// How many requests each node answers from now on until then.
fn load(world: &mut World, end_ms: u64) -> Vec<u64> {
    let before: Vec<u64> = world.nodes.iter().map(|node| node.answered).collect();
    world.run_until(end_ms);
    world.nodes.iter().zip(before).map(|(node, before)| node.answered - before).collect()
}

fn is_all_usable(world: &World) -> bool {
    world.routers.iter().all(|router| router.usable() == world.nodes.len())
}

#[test]
fn keeps_its_promise_whatever_befalls_the_fleet_and_heals_with_it() {
    for_each_seed("keeps_its_promise", &CHAOS, |seed| {
        let mut random = Random::new(seed);
        let retries = if random.is_so(250) { RETRIES_FEW } else { RETRIES };
        let mut world = fleet(&mut random, seed, 1, retries);
        faults::chaos(&mut world, &mut random, 2_000, CHAOS_MS);
        world.befall(CHAOS_MS + 12_000, Fault::Heal);
        world.run_until(CHAOS_MS + 12_000);
        world.gap_ms = 200;
        let healed_ms = world.now_ms + HEALED_MS;
        world.run_until(healed_ms);
        assert!(is_all_usable(&world), "not all came back");
        assert_eq!(world.waiting_since(healed_ms - 1_000), 0, "requests that nobody answers");
        world.run_until(healed_ms + HEALTH.slow_start_ms);
        let refused: usize = world.ledgers.iter().map(|ledger| ledger.refused.len()).sum();
        world.gap_ms = 20;
        let end_ms = world.now_ms + 20_000;
        let parts = load(&mut world, end_ms);
        let even = parts.iter().sum::<u64>() / parts.len() as u64;
        assert!(parts.iter().all(|part| part.abs_diff(even) * 5 <= even), "uneven: {parts:?}");
        assert!(is_all_usable(&world), "one was left in peace");
        assert_eq!(refused, world.ledgers.iter().map(|ledger| ledger.refused.len()).sum::<usize>());
        world.told()
    });
}

#[test]
fn refuses_nothing_while_nodes_restart_one_at_a_time() {
    for_each_seed("refuses_nothing", &["Left(Unreachable)", "Retried"], |seed| {
        let mut random = Random::new(seed);
        let mut world = fleet(&mut random, seed, 2, RETRIES);
        let end_ms = faults::rolling_restart(&mut world, &mut random, 2_000, DETECTION_MS);
        world.run_until(end_ms);
        let refused: Vec<Refusal> = world.ledgers.iter().flat_map(|ledger| ledger.refused.clone()).collect();
        assert_eq!(refused, []);
        assert!(is_all_usable(&world));
        assert_eq!(world.waiting_since(end_ms - 1_000), 0);
        world.told()
    });
}

#[test]
fn gives_a_cold_node_clearly_less_and_not_nothing() {
    for_each_seed("gives_a_cold_node", &[], |seed| {
        let mut random = Random::new(seed);
        let mut world = fleet(&mut random, seed, 2, RETRIES);
        (world.gap_ms, world.nodes[0].warmth) = (10, Some(20));
        world.run_until(2_000);
        let parts = load(&mut world, 12_000);
        let even = parts[1..].iter().sum::<u64>() / (parts.len() - 1) as u64;
        assert!(parts[0] * 2 < even && parts[0] * 20 > even, "{parts:?}");
        world.told()
    });
}

#[test]
fn meets_at_one_place_where_views_are_one_and_else_at_no_more_than_there_are_views() {
    for_each_seed("meets_at_one_place", &[], |seed| {
        let mut random = Random::new(seed);
        let count = 1 + random.place(8);
        let nodes: Vec<u64> = (0..count).map(|at| rendezvous::hash(format!("{seed}-{at}").as_bytes())).collect();
        let sets = 1 + random.place(3);
        let views: Vec<u64> = (0..sets).map(|_| random.next() | 1 << random.place(count)).collect();
        for _ in 0..50 {
            let key = random.next();
            // Each replica lists the others in an order of its own, and has one of the views.
            let met: BTreeSet<u64> = (0..count).map(|at| meets(key, &nodes, at, views[at % sets])).collect();
            assert!(met.len() <= sets, "{} places for {sets} views", met.len());
        }
        Told::new()
    });
}

/// The node where a replica, which lists itself first, thinks that a key's misses meet.
fn meets(key: u64, nodes: &[u64], own: usize, view: u64) -> u64 {
    let mut places: Vec<usize> = (0..nodes.len()).collect();
    places.rotate_left(own);
    let listed: Vec<u64> = places.iter().map(|&at| nodes[at]).collect();
    let first = rendezvous::first(key, &listed, |at| view & (1 << places[at]) != 0);
    listed[first.expect("each view has one")]
}
