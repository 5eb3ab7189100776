//! What befalls a fleet, by seed.

use super::fleet::Condition;
use super::random::Random;
use super::{Fault, World};

/// Let anything befall any node and path from `from_ms` to `to_ms`, several at a time.
pub fn chaos(world: &mut World, random: &mut Random, from_ms: u64, to_ms: u64) {
    world.loss_per_mille = if random.is_so(500) { 20 } else { 0 };
    // Faults of one node follow one another; nodes do not wait for each other.
    for node in 0..world.nodes.len() {
        let mut at_ms = from_ms + random.below(8_000);
        while at_ms < to_ms {
            let end_ms = at_ms + lasts_ms(random);
            let [begins, ends] = node_fault(random, node);
            world.befall(at_ms, begins);
            world.befall(end_ms, ends);
            at_ms = end_ms + 1 + random.below(8_000);
        }
    }
    for _ in 0..random.below(3) {
        let (router, node) = (random.place(world.routers.len()), random.place(world.nodes.len()));
        let at_ms = from_ms + random.below(to_ms - from_ms);
        world.befall(at_ms, Fault::Cut { router, node, is_on: true });
        world.befall(at_ms + lasts_ms(random), Fault::Cut { router, node, is_on: false });
    }
}

/// Restart every node, one after the other, each when the one before is known to be back; return when all is done.
pub fn rolling_restart(world: &mut World, random: &mut Random, from_ms: u64, known_ms: u64) -> u64 {
    let mut at_ms = from_ms;
    for node in 0..world.nodes.len() {
        let up_ms = at_ms + 1 + random.below(3_000);
        world.befall(at_ms, Fault::Turn { node, condition: Condition::Down });
        world.befall(up_ms, Fault::Turn { node, condition: Condition::Up });
        at_ms = up_ms + known_ms + random.below(500);
    }
    at_ms
}

fn node_fault(random: &mut Random, node: usize) -> [Fault; 2] {
    let turn = |condition| [Fault::Turn { node, condition }, Fault::Turn { node, condition: Condition::Up }];
    match random.below(6) {
        0 | 1 => turn(Condition::Down),
        2 => turn(Condition::Gone),
        3 => turn(Condition::Frozen),
        4 => [true, false].map(|is_on| Fault::Errors { node, is_on }),
        _ => [true, false].map(|is_on| Fault::Slow { node, is_on }),
    }
}

fn lasts_ms(random: &mut Random) -> u64 {
    if random.is_so(300) { 1 + random.below(300) } else { 300 + random.below(10_000) }
}
