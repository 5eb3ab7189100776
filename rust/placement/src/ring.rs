//! nginx `hash KEY consistent`.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_init_chash` and `ngx_http_upstream_get_chash_peer`; the points are those of
//! Perl's `Cache::Memcached::Fast`.

use crc32fast::Hasher;

use crate::points::{Point, Points};
use crate::{PlacementError, RETRIES_MAX, Shard};

/// Points that a shard has for each unit of weight.
const POINTS_PER_WEIGHT: u32 = 160;

/// The shards' points, and the shards.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    points: Points,
    /// The shards in the order of their names.
    by_name: Vec<u32>,
}

impl Ring {
    pub(crate) fn new(shards: &[Shard]) -> Result<Ring, PlacementError> {
        let mut by_name: Vec<u32> = (0..).zip(shards).map(|(index, _)| index).collect();
        by_name.sort_unstable_by_key(|&index| &shards[index as usize].name);
        let mut points = Vec::new();
        for &index in &by_name {
            let shard = &shards[index as usize];
            points.extend(hashes(shard).map(|hash| Point { hash, owner: index }));
        }
        // By name, so that of equal hashes the shard whose name is the least keeps the point. nginx keeps the one that
        // its configuration names first, which is the same where that is sorted.
        let points = Points::new(points);
        let mut has_place = vec![false; shards.len()];
        points.owners().for_each(|shard| has_place[shard] = true);
        if let Some(index) = has_place.iter().position(|&has| !has) {
            return Err(PlacementError::NoPlace { index, name: shards[index].name.clone() });
        }
        Ok(Ring { points, by_name })
    }

    /// Return the first point that is not below a hash.
    #[inline]
    pub(crate) fn first_at(&self, hash: u32) -> usize {
        self.points.first_at(hash)
    }

    /// Return the shard of a point.
    #[inline]
    pub(crate) fn owner(&self, place: usize) -> usize {
        self.points.owner(place)
    }

    /// Return the shards that nginx would try one after the other: those of the next points.
    pub(crate) fn shards(&self, hash: u32) -> impl Iterator<Item = usize> + '_ {
        let (first, count) = (self.first_at(hash), self.points.count());
        (first..=first + RETRIES_MAX as usize).map(move |place| self.owner(place % count))
    }

    /// Return the shard at a place in the order of names.
    pub(crate) fn by_name(&self, place: usize) -> usize {
        self.by_name[place] as usize
    }
}

/// Return the host and port that nginx hashes a server's name as.
pub(crate) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    if name.len() >= 5 && name[..5].eq_ignore_ascii_case(b"unix:") {
        return (&name[5..], b"");
    }
    match name.iter().rposition(|byte| !byte.is_ascii_digit()) {
        Some(colon) if name[colon] == b':' => (&name[..colon], &name[colon + 1..]),
        _ => (name, b""),
    }
}

/// Return a shard's points: each is the CRC-32 of host, zero byte, port and the point before, in little endian.
fn hashes(shard: &Shard) -> impl Iterator<Item = u32> + use<> {
    let (host, port) = split(shard.name.as_bytes());
    let mut base = Hasher::new();
    base.update(host);
    base.update(b"\0");
    base.update(port);
    (0..shard.weight * POINTS_PER_WEIGHT).scan(0_u32, move |previous, _| {
        let mut hasher = base.clone();
        hasher.update(&previous.to_le_bytes());
        *previous = hasher.finalize();
        Some(*previous)
    })
}
