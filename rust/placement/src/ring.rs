//! nginx `hash KEY consistent`.
//!
//! Source: nginx 1.22.1, `ngx_http_upstream_init_chash` and `ngx_http_upstream_get_chash_peer`; the points are those of
//! Perl's `Cache::Memcached::Fast`. The index over the top bits is ours and changes no answer.

use crc32fast::Hasher;

use crate::{PlacementError, RETRIES_MAX, Shard};

/// Points that a shard has for each unit of weight.
const POINTS_PER_WEIGHT: u32 = 160;

#[derive(Clone, Copy, Debug)]
struct Point {
    hash: u32,
    shard: u32,
}

/// The most top bits that are indexed: 16 MiB of index.
const INDEX_BITS_MAX: u32 = 22;

/// Points in the order of their hashes, each hash once.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    /// The last one is a copy of the first at the end of the hashes, so that every hash has a point not below it.
    points: Vec<Point>,
    /// For each value of a hash's top bits the first point that is not below it.
    index: Vec<u32>,
    /// How far a hash is shifted right to leave those bits.
    shift: u32,
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
            points.extend(hashes(shard).map(|hash| Point { hash, shard: index }));
        }
        // Stable, so that of equal hashes the shard whose name is the least keeps the point. nginx keeps the one that
        // its configuration names first, which is the same where that is sorted.
        points.sort_by_key(|point| point.hash);
        points.dedup_by_key(|point| point.hash);
        let mut has_place = vec![false; shards.len()];
        points.iter().for_each(|point| has_place[point.shard as usize] = true);
        if let Some(index) = has_place.iter().position(|&has| !has) {
            return Err(PlacementError::NoPlace { index, name: shards[index].name.clone() });
        }
        points.extend(points.first().map(|first| Point { hash: u32::MAX, ..*first }));
        let (index, shift) = index_of(&points);
        Ok(Ring { points, index, shift, by_name })
    }

    /// Return the first point that is not below a hash.
    #[inline]
    pub(crate) fn first_at(&self, hash: u32) -> usize {
        let mut place = self.index[(hash >> self.shift) as usize] as usize;
        // Most entries of the index cover two points at most: steps without a branch, then seldom another.
        place += usize::from(self.points[place].hash < hash);
        place += usize::from(self.points[place].hash < hash);
        while self.points[place].hash < hash {
            place += 1;
        }
        place
    }

    /// Return the shard of a point.
    #[inline]
    pub(crate) fn owner(&self, place: usize) -> usize {
        self.points[place].shard as usize
    }

    /// Return the shards that nginx would try one after the other: those of the next points.
    pub(crate) fn shards(&self, hash: u32) -> impl Iterator<Item = usize> + '_ {
        let (first, count) = (self.first_at(hash), self.points.len() - 1);
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

/// Return the index over as many top bits as give one or two entries a point, and the shift that leaves those bits.
fn index_of(points: &[Point]) -> (Vec<u32>, u32) {
    let bits = (usize::BITS - points.len().leading_zeros()).min(INDEX_BITS_MAX);
    let shift = u32::BITS - bits;
    let mut place = 0;
    let first_of = |top: u32| {
        place += points[place..].iter().take_while(|point| point.hash < top << shift).count();
        place as u32
    };
    ((0..1 << bits).map(first_of).collect(), shift)
}
