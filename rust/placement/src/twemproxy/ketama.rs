//! twemproxy's ring.
//!
//! Source: twemproxy 0.5.0, `ketama_update` and `ketama_dispatch`; with `hash: md5` it is the weighted ketama of
//! libmemcached.

use std::ops::Range;

use md5::{Digest, Md5};

use super::{Server, total_weight};
use crate::points::{Point, Points};

/// What a server of average weight has, but for rounding.
const POINTS_PER_SERVER: f32 = 160.0;

/// An MD5 digest is so many points.
const POINTS_PER_DIGEST: u32 = 4;

/// Every point of a pool's servers when all are live, so that an ejection hashes hardly anything.
#[derive(Debug)]
pub(super) struct Digests {
    /// In the order of the ring: first by hash, then by the servers' order.
    points: Vec<(Point, u32)>,
    /// For each server how many digests are there.
    counts: Vec<u32>,
    /// For each server its place in twemproxy's order.
    ranks: Vec<u32>,
}

impl Digests {
    /// Hash all servers, whose indexes are given in twemproxy's order. O(P log P).
    pub(super) fn new(servers: &[Server], order: &[u32]) -> Digests {
        let mut ranks = vec![0; servers.len()];
        (0..).zip(order).for_each(|(rank, &index)| ranks[index as usize] = rank);
        let counts = digests_of(servers, order);
        let numbered = |&index: &u32| numbered(servers, index, 0..counts[index as usize]);
        let mut points: Vec<_> = order.iter().flat_map(numbered).collect();
        points.sort_by_key(|(point, _)| point.hash);
        Digests { points, counts, ranks }
    }

    /// Return the ring of live servers. O(P), but for servers that have more points among fewer.
    ///
    /// Of equal points the server that twemproxy sorts first is found: its sort is stable with Debian's C library.
    pub(super) fn ring(&self, servers: &[Server], live: &[u32]) -> Points {
        let wanted = digests_of(servers, live);
        let kept = self.points.iter().filter(|(point, number)| *number < wanted[point.owner as usize]);
        let mut points: Vec<Point> = kept.map(|(point, _)| *point).collect();
        let kept_points = points.len();
        for &index in live {
            let missing = self.counts[index as usize]..wanted[index as usize];
            points.extend(numbered(servers, index, missing).map(|(point, _)| point));
        }
        if points.len() > kept_points {
            points.sort_by_key(|point| (point.hash, self.ranks[point.owner as usize]));
        }
        Points::new(points)
    }
}

/// Return for each server how many digests are its points when some are live.
fn digests_of(servers: &[Server], live: &[u32]) -> Vec<u32> {
    let total = total_weight(servers, live);
    let mut counts = vec![0; servers.len()];
    for &index in live {
        counts[index as usize] = points_of(servers[index as usize].weight, total, live.len()) / POINTS_PER_DIGEST;
    }
    counts
}

/// Return the points of some of a server's digests, each with its digest's number.
fn numbered(servers: &[Server], index: u32, numbers: Range<u32>) -> impl Iterator<Item = (Point, u32)> {
    let name = servers[index as usize].name.as_str();
    numbers.flat_map(move |number| {
        words(format!("{name}-{number}").as_bytes()).map(|hash| (Point { hash, owner: index }, number))
    })
}

/// Return how many points a server has, a multiple of 4; 0 for a weight that is small among few servers.
///
/// In single precision step by step as twemproxy does: 25 equal servers have 156 points each, not 160.
pub(super) fn points_of(weight: u32, total: u32, live: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let digests = share * POINTS_PER_SERVER / POINTS_PER_DIGEST as f32 * live as f32;
    let nudged = (f64::from(digests) + 1e-10) as f32;
    nudged.floor() as u32 * POINTS_PER_DIGEST
}

/// Return the four little-endian words of a text's digest.
fn words(text: &[u8]) -> [u32; 4] {
    let digest = u128::from_le_bytes(Md5::digest(text).into());
    [0, 32, 64, 96].map(|shift| (digest >> shift) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers below 400 of equal servers whose share is rounded down.
    const ODD: [usize; 41] = [
        25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122, 142, 159, 163, 188, 193, 200, 209, 214, 218, 219,
        220, 230, 237, 243, 244, 279, 284, 293, 299, 301, 305, 313, 318, 319, 326, 376, 386, 397,
    ];

    #[test]
    fn equal_servers_have_160_points_but_in_some_numbers_156() {
        for count in 1..400_usize {
            let expected = if ODD.contains(&count) { 156 } else { 160 };
            for weight in [1, 2, 64] {
                assert_eq!(points_of(weight, weight * count as u32, count), expected, "{count} of weight {weight}");
            }
        }
    }

    /// A digest that equal servers have, but not beside one that weighs nine times as much.
    const LATE: Range<u32> = 10..40;

    /// Return two servers of which one point is equal, the one that is sorted first before the other, and the point; it is
    /// of a late digest of the first, and of an early one of the second.
    fn tie() -> ([Server; 2], u32) {
        let mut seen = std::collections::HashMap::new();
        for number in 10_000..20_000 {
            let server = Server { name: format!("cache-{number}"), weight: 1 };
            let points: Vec<_> = numbered(std::slice::from_ref(&server), 0, 0..LATE.end).collect();
            for (point, digest) in points {
                match seen.insert(point.hash, (server.clone(), digest)) {
                    Some((first, late)) if LATE.contains(&late) && digest < LATE.start => {
                        return ([first, server], point.hash);
                    }
                    _ => {}
                }
            }
        }
        unreachable!("1.6 million points share none")
    }

    #[test]
    fn of_equal_points_the_server_that_is_sorted_first_is_found_also_after_an_ejection() {
        let ([first, second], hash) = tie();
        let heavy = Server { name: "heavy".to_owned(), weight: 9 };
        let servers = [second, first, heavy];
        // In twemproxy's order the shorter name is the first.
        let digests = Digests::new(&servers, &[2, 1, 0]);
        let whole = digests.ring(&servers, &[2, 1, 0]);
        let left = digests.ring(&servers, &[1, 0]);
        assert_eq!(whole.owner(whole.first_at(hash)), 0, "the second alone has the point yet");
        assert_eq!(left.owner(left.first_at(hash)), 1);
    }

    #[test]
    fn the_words_of_a_digest_are_little_endian() {
        let words = words(b"server1-8");
        assert_eq!((words[0], words[3]), (3853726576, 2667054752));
    }
}
