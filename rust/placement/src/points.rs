//! A ring of points that finds the next one in a few steps.
//!
//! The index over the top bits changes no answer; docs/decisions/0001-placement.md says what it costs.

/// A place on the ring and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) hash: u32,
    pub(crate) owner: u32,
}

/// The most top bits that are indexed: 16 MiB of index.
const INDEX_BITS_MAX: u32 = 22;

/// How many points are compared at once.
const COMPARED: usize = 3;

/// Points in the order of their hashes, each hash once.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    /// The last ones are copies of the first at the end of the hashes, so that every hash has a point not below it, and
    /// as many behind that as are compared.
    points: Vec<Point>,
    /// For each value of a hash's top bits the first point that is not below it.
    index: Vec<u32>,
    /// How far a hash is shifted right to leave those bits.
    shift: u32,
}

impl Points {
    /// Make a ring of at least one point; of equal hashes the one that comes first keeps its place. O(P log P).
    pub(crate) fn new(mut points: Vec<Point>) -> Points {
        points.sort_by_key(|point| point.hash);
        points.dedup_by_key(|point| point.hash);
        if let Some(first) = points.first().copied() {
            points.extend([Point { hash: u32::MAX, ..first }; COMPARED]);
        }
        let (index, shift) = index_of(&points);
        Points { points, index, shift }
    }

    /// Return the first point that is not below a hash.
    #[inline]
    pub(crate) fn first_at(&self, hash: u32) -> usize {
        let start = self.index[(hash >> self.shift) as usize] as usize;
        // Most entries of the index cover so few points: comparisons that do not wait for each other, then seldom another.
        let below = |point: &Point| usize::from(point.hash < hash);
        let mut place = start + self.points[start..start + COMPARED].iter().map(below).sum::<usize>();
        while self.points[place].hash < hash {
            place += 1;
        }
        place
    }

    /// Return whose the first point is that is not below a hash.
    #[inline(always)]
    pub(crate) fn owner_at(&self, hash: u32) -> usize {
        let start = self.index[(hash >> self.shift) as usize] as usize;
        let seen: Option<&[Point; COMPARED]> = self.points.get(start..).and_then(|points| points.first_chunk());
        // As above, but with no more looks at how many points there are.
        match seen.and_then(|seen| seen.get(seen.iter().filter(|point| point.hash < hash).count())) {
            Some(point) => point.owner as usize,
            None => self.owner(self.first_at(hash)),
        }
    }

    /// Replace each hash by whose the first point is that is not below it.
    #[inline]
    pub(crate) fn owners_at(&self, hashes: &mut [u32]) {
        for hash in hashes {
            *hash = self.owner_at(*hash) as u32;
        }
    }

    /// Return whose a point is.
    #[inline]
    pub(crate) fn owner(&self, place: usize) -> usize {
        self.points[place].owner as usize
    }

    /// Return how many points there are.
    pub(crate) fn count(&self) -> usize {
        self.points.len() - COMPARED
    }

    /// Return the owner of every point, in the order of the points.
    pub(crate) fn owners(&self) -> impl Iterator<Item = usize> + '_ {
        self.points[..self.count()].iter().map(|point| point.owner as usize)
    }
}

/// Return the index over as many top bits as give one or two points an entry, and the shift that leaves those bits.
fn index_of(points: &[Point]) -> (Vec<u32>, u32) {
    let bits = points.len().ilog2().clamp(1, INDEX_BITS_MAX);
    let shift = u32::BITS - bits;
    let mut place = 0;
    let first_of = |top: u32| {
        place += points[place..].iter().take_while(|point| point.hash < top << shift).count();
        place as u32
    };
    ((0..1 << bits).map(first_of).collect(), shift)
}
