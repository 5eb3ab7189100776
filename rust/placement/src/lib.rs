//! Say which shard serves a key, as nginx would, or which server, as twemproxy would.
//!
//! In:    shard names with weights, a function; a key expression and what a request offers it.
//! Out:   the key's bytes, its hash, the index of its shard, the next live shard where that one is down.
//! Not:   nodes, addresses, health; sockets, clocks.
//! Next:  routes ask here for every request; docs/decisions/0001-placement.md holds the rules and their reasons,
//!        0012-twemproxy-placement.md those of `twemproxy`.

pub mod key;
mod modulo;
mod points;
mod ring;
pub mod twemproxy;

use std::collections::HashMap;

use modulo::Table;
use ring::Ring;

/// The most that a placement's weights may sum to; ketama's ring then has 10.5 million points, 100 MB.
pub const WEIGHT_TOTAL_MAX: u32 = 65_536;

/// How often nginx looks for another server before it leaves the hash aside.
const RETRIES_MAX: u32 = 20;

/// How a key's hash chooses a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// nginx `hash KEY`: the hash modulo the sum of weights, over the shards in their order.
    Modulo,
    /// nginx `hash KEY consistent`: the next of 160 points a unit of weight on a ring made of the shards' names.
    Ketama,
}

/// A fraction of the keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The bytes of the ring: `HOST:PORT` is split at its last colon if only digits follow, as nginx does.
    pub name: String,
    /// Its share relative to the others, at least 1.
    pub weight: u32,
}

/// Why shards cannot be placed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The list is empty.
    #[error("there are no shards; name at least one")]
    Empty,
    /// A weight is 0.
    #[error("shard {name:?} has weight 0; give it at least 1, or leave it out")]
    NoWeight {
        /// The shard's index.
        index: usize,
        /// Its name.
        name: String,
    },
    /// The weights are too many points.
    #[error("the weights sum to {total}; at most {WEIGHT_TOTAL_MAX} are allowed, so divide them all")]
    TooHeavy {
        /// Their sum.
        total: u64,
    },
    /// Two shards have one name, or names that nginx hashes alike (`a`, `a:` and `unix:a`).
    #[error("shards {first:?} and {second:?} have the same place on the ring; rename one")]
    SamePlace {
        /// The later one's index.
        index: usize,
        /// The earlier one's name.
        first: String,
        /// The later one's name.
        second: String,
    },
    /// Every point of a shard is also another's, so that it would get no key.
    #[error("shard {name:?} has no point of its own on the ring and would get no key; rename it")]
    NoPlace {
        /// The shard's index.
        index: usize,
        /// Its name.
        name: String,
    },
}

impl PlacementError {
    /// Return the index of the shard that is at fault, or `None` where it is the list.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match *self {
            PlacementError::Empty | PlacementError::TooHeavy { .. } => None,
            PlacementError::NoWeight { index, .. }
            | PlacementError::SamePlace { index, .. }
            | PlacementError::NoPlace { index, .. } => Some(index),
        }
    }
}

/// Shards with a function: immutable, cheap to share.
#[derive(Clone, Debug)]
pub struct Placement {
    method: Method,
    shards: usize,
}

#[derive(Clone, Debug)]
enum Method {
    Modulo(Table),
    Ketama(Ring),
}

impl Placement {
    /// Prepare a function over shards. O(P log P) for P = 160 × the sum of weights.
    ///
    /// # Errors
    /// See [`PlacementError`]; the first that is found.
    pub fn new(function: Function, shards: &[Shard]) -> Result<Placement, PlacementError> {
        check(shards)?;
        let method = match function {
            Function::Modulo => Method::Modulo(Table::new(shards)),
            Function::Ketama => Method::Ketama(Ring::new(shards)?),
        };
        Ok(Placement { method, shards: shards.len() })
    }

    /// Return the index of a key's shard in the list given to [`Placement::new`].
    ///
    /// Modulo depends on the order of that list; ketama does not: the same name is chosen in any order.
    /// An empty key is placed as any other (nginx goes round robin).
    #[must_use]
    pub fn shard(&self, key: &[u8]) -> usize {
        match &self.method {
            Method::Modulo(table) => table.shard(modulo::hash(0, key)),
            Method::Ketama(ring) => ring.owner(ring.first_at(crc32fast::hash(key))),
        }
    }

    /// Return the index of the first live shard in nginx's order for this key, or `None` if none is live.
    ///
    /// Ketama goes to the next points, modulo hashes anew, 20 times at most. Where nginx then goes round robin, this
    /// takes the next live shard after a start that the key's hash chooses.
    pub fn shard_among(&self, key: &[u8], is_live: impl Fn(usize) -> bool) -> Option<usize> {
        let found = match &self.method {
            Method::Modulo(table) => table.shards(key).find(|&shard| is_live(shard)),
            Method::Ketama(ring) => ring.shards(crc32fast::hash(key)).find(|&shard| is_live(shard)),
        };
        found.or_else(|| self.any_live(crc32fast::hash(key), is_live))
    }

    /// Return the hash that places a key: CRC-32 for ketama, its bits 16 to 30 for modulo.
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u32 {
        match &self.method {
            Method::Modulo(_) => modulo::hash(0, key),
            Method::Ketama(_) => crc32fast::hash(key),
        }
    }

    fn any_live(&self, hash: u32, is_live: impl Fn(usize) -> bool) -> Option<usize> {
        let start = hash as usize % self.shards;
        let shard_at = |place: usize| match &self.method {
            Method::Modulo(_) => place,
            Method::Ketama(ring) => ring.by_name(place),
        };
        (start..self.shards).chain(0..start).map(shard_at).find(|&shard| is_live(shard))
    }
}

fn check(shards: &[Shard]) -> Result<(), PlacementError> {
    if shards.is_empty() {
        return Err(PlacementError::Empty);
    }
    let mut places = HashMap::with_capacity(shards.len());
    for (index, shard) in shards.iter().enumerate() {
        if shard.weight == 0 {
            return Err(PlacementError::NoWeight { index, name: shard.name.clone() });
        }
        if let Some(first) = places.insert(ring::split(shard.name.as_bytes()), shard) {
            return Err(PlacementError::SamePlace { index, first: first.name.clone(), second: shard.name.clone() });
        }
    }
    let total = shards.iter().map(|shard| u64::from(shard.weight)).sum::<u64>();
    if total > u64::from(WEIGHT_TOTAL_MAX) {
        return Err(PlacementError::TooHeavy { total });
    }
    Ok(())
}
