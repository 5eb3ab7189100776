//! twemproxy's ring.
//!
//! Source: twemproxy 0.5.0, `ketama_update` and `ketama_dispatch`; with `hash: md5` it is the weighted ketama of
//! libmemcached.

use md5::{Digest, Md5};

use super::{Server, total_weight};
use crate::points::{Point, Points};

/// What a server of average weight has, but for rounding.
const POINTS_PER_SERVER: f32 = 160.0;

/// An MD5 digest is so many points.
const POINTS_PER_DIGEST: u32 = 4;

/// Return the ring of live servers, whose indexes are given in twemproxy's order.
pub(super) fn points(servers: &[Server], live: &[u32]) -> Points {
    let total = total_weight(servers, live);
    let mut points = Vec::with_capacity(live.len() * POINTS_PER_SERVER as usize);
    let mut text = Vec::new();
    for &index in live {
        let server = &servers[index as usize];
        text.clear();
        text.extend_from_slice(server.name.as_bytes());
        text.push(b'-');
        let name_bytes = text.len();
        for number in 0..points_of(server.weight, total, live.len()) / POINTS_PER_DIGEST {
            text.truncate(name_bytes);
            text.extend_from_slice(number.to_string().as_bytes());
            let words = words(&text);
            points.extend(words.map(|hash| Point { hash, owner: index }));
        }
    }
    // Of equal points the server that twemproxy sorts first is found: its sort is stable with Debian's C library.
    Points::new(points)
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

    #[test]
    fn the_words_of_a_digest_are_little_endian() {
        let words = words(b"server1-8");
        assert_eq!((words[0], words[3]), (3853726576, 2667054752));
    }
}
