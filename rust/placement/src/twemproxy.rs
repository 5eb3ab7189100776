//! Say which server of a pool has a key, as twemproxy (nutcracker) would.
//!
//! In:    a pool's hash, distribution and hash tag; servers with weights; a key; which servers are ejected.
//! Out:   the key's hash, the index of its server.
//! Not:   reading `nutcracker.yaml`; when a server is ejected, or comes back.
//! Next:  the ambassador asks here for every key; docs/decisions/0012-twemproxy-placement.md holds the rules and traps.

mod hash;
mod ketama;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use hash::{Hash, Signedness};

use crate::points::Points;
use ketama::Digests;

/// The most servers of a pool: ketama's ring then has 10.5 million points, 100 MB.
pub const SERVERS_MAX: usize = 65_536;

/// The most that the weights of a `modula` pool may sum to: a table of 16 MiB.
pub const MODULA_WEIGHT_MAX: u32 = 1 << 22;

/// The longest name of a server; twemproxy would cut longer ones off, and read behind what it cut.
pub const NAME_BYTES_MAX: usize = 255;

/// How a key's hash chooses a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// The next of about 160 points a server, by weight, on a ring made of the servers' names.
    Ketama,
    /// The hash modulo the sum of weights, over the servers in the order of their names.
    Modula,
    /// Any server; key and weights do not matter.
    Random,
}

/// A text that names no hash or no distribution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {word:?} is not known; write one of {known}")]
pub struct UnknownWord {
    /// `hash` or `distribution`.
    pub kind: &'static str,
    /// What was written.
    pub word: String,
    /// What could be.
    pub known: String,
}

impl Distribution {
    /// Every distribution, the default first.
    pub const ALL: [Distribution; 3] = [Distribution::Ketama, Distribution::Modula, Distribution::Random];

    /// Return twemproxy's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Distribution::Ketama => "ketama",
            Distribution::Modula => "modula",
            Distribution::Random => "random",
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Distribution {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Distribution, UnknownWord> {
        known("distribution", word, &Distribution::ALL, Distribution::as_str)
    }
}

fn known<T: Copy>(
    kind: &'static str,
    word: &str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, UnknownWord> {
    let unknown = || {
        let known = all.iter().map(|&one| as_str(one)).collect::<Vec<_>>().join(", ");
        UnknownWord { kind, word: word.to_owned(), known }
    };
    all.iter().copied().find(|&one| as_str(one) == word).ok_or_else(unknown)
}

/// Where keys go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// The bytes of the ring: the name that the file gives, else the host, with `:PORT` unless that is 11211.
    pub name: String,
    /// Its share relative to the others, at least 1.
    pub weight: u32,
}

/// How a pool places keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `hash`.
    pub hash: Hash,
    /// How bytes from 0x80 are read by the hashes that read characters.
    pub signedness: Signedness,
    /// `distribution`.
    pub distribution: Distribution,
    /// `hash_tag`: what of a key stands between these two is hashed alone.
    pub tag: Option<[u8; 2]>,
}

/// Why keys cannot be placed on servers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContinuumError {
    /// The list is empty.
    #[error("there are no servers; name at least one")]
    Empty,
    /// The list is too long.
    #[error("there are {count} servers; at most {SERVERS_MAX} are allowed, so make several pools")]
    TooMany {
        /// Its length.
        count: usize,
    },
    /// A weight is 0.
    #[error("server {name:?} has weight 0; give it at least 1, or leave it out")]
    NoWeight {
        /// The server's index.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A name is too long.
    #[error("server {name:?} has a name of {} bytes; at most {NAME_BYTES_MAX} are allowed", name.len())]
    LongName {
        /// The server's index.
        index: usize,
        /// Its name.
        name: String,
    },
    /// Two servers have one name.
    #[error("two servers have the name {name:?}; rename one")]
    SameName {
        /// The later one's index.
        index: usize,
        /// Their name.
        name: String,
    },
    /// The weights are too large for twemproxy's arithmetic, or for `modula`'s table.
    #[error("the weights sum to {total}; at most {total_max} are allowed, so divide them all")]
    TooHeavy {
        /// Their sum.
        total: u64,
        /// What it may be.
        total_max: u32,
    },
}

impl ContinuumError {
    /// Return the index of the server that is at fault, or `None` where it is the list.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match *self {
            ContinuumError::Empty | ContinuumError::TooMany { .. } | ContinuumError::TooHeavy { .. } => None,
            ContinuumError::NoWeight { index, .. }
            | ContinuumError::LongName { index, .. }
            | ContinuumError::SameName { index, .. } => Some(index),
        }
    }
}

/// The servers of a pool, or those of them that are live, with the terms that choose among them: immutable.
#[derive(Clone, Debug)]
pub struct Continuum {
    terms: Terms,
    /// All servers of the pool, as they were given.
    servers: Arc<[Server]>,
    /// Indexes of all servers in twemproxy's order: shorter names first, then by bytes.
    order: Arc<[u32]>,
    /// Those that are live.
    live: Vec<u32>,
    /// What ketama's rings are made of.
    digests: Option<Arc<Digests>>,
    choice: Choice,
}

#[derive(Clone, Debug)]
enum Choice {
    /// One server has every key, whatever its hash.
    Only,
    Ketama(Points),
    /// Every unit of weight with its server.
    Modula(Vec<u32>),
    Random,
}

impl Continuum {
    /// Prepare the terms over servers, all of them live. The order of the list does not matter.
    ///
    /// O(P log P) for ketama's P points, 160 times the servers at most; O(sum of weights) for modula.
    ///
    /// # Errors
    /// See [`ContinuumError`]; the first that is found.
    pub fn new(terms: Terms, servers: &[Server]) -> Result<Continuum, ContinuumError> {
        check(terms.distribution, servers)?;
        let mut order: Vec<u32> = (0..).zip(servers).map(|(index, _)| index).collect();
        order.sort_unstable_by_key(|&index| {
            let name = servers[index as usize].name.as_bytes();
            (name.len(), name)
        });
        let digests = (terms.distribution == Distribution::Ketama).then(|| Digests::new(servers, &order).into());
        let prepared = Continuum {
            terms,
            servers: servers.into(),
            order: order.as_slice().into(),
            live: Vec::new(),
            digests,
            choice: Choice::Random,
        };
        Ok(prepared.over(order))
    }

    /// Return what remains when only some of all the pool's servers are live, or `None` when none is.
    ///
    /// As twemproxy after an ejection: the shares are made anew of the live servers, so that where weights differ, or
    /// the number of servers is one of the odd ones, keys may also move between live servers. O(P) as [`Continuum::new`],
    /// which hashed most of what is needed.
    #[must_use]
    pub fn among(&self, is_live: impl Fn(usize) -> bool) -> Option<Continuum> {
        let live: Vec<u32> = self.order.iter().copied().filter(|&index| is_live(index as usize)).collect();
        (!live.is_empty()).then(|| self.over(live))
    }

    /// Return the same pool over those of its servers that are live, in twemproxy's order.
    fn over(&self, live: Vec<u32>) -> Continuum {
        let choice = match (self.terms.distribution, &self.digests) {
            _ if live.len() == 1 => Choice::Only,
            (_, Some(digests)) => Choice::Ketama(digests.ring(&self.servers, &live)),
            (Distribution::Modula, _) => Choice::Modula(units(&self.servers, &live)),
            _ => Choice::Random,
        };
        Continuum {
            terms: self.terms,
            servers: self.servers.clone(),
            order: self.order.clone(),
            live,
            digests: self.digests.clone(),
            choice,
        }
    }

    /// Return the index of a key's server in the list given to [`Continuum::new`].
    ///
    /// The whole key is given, the tag is looked for here. `random` is any number where the distribution is
    /// [`Distribution::Random`], and not looked at elsewhere.
    #[inline]
    #[must_use]
    pub fn server(&self, key: &[u8], random: u32) -> usize {
        match &self.choice {
            Choice::Only => self.live[0] as usize,
            Choice::Ketama(points) => points.owner_at(self.hash(key)),
            Choice::Modula(units) => units[self.hash(key) as usize % units.len()] as usize,
            Choice::Random => self.live[random as usize % self.live.len()] as usize,
        }
    }

    /// Append the index of each key's server, in the order of the keys; not for [`Distribution::Random`].
    ///
    /// What is the same for all keys is looked at once where the terms are twemproxy's own: first all are hashed, so that a
    /// processor may begin with the next key while it waits for the one before.
    #[inline]
    pub fn servers<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, found: &mut Vec<u32>) {
        debug_assert!(!matches!(self.choice, Choice::Random), "chance needs a number for each key");
        let Terms { hash, signedness, tag, .. } = self.terms;
        match (&self.choice, hash, signedness, tag) {
            (Choice::Ketama(points), Hash::Fnv1a_64, Signedness::Signed, None) => {
                let first = found.len();
                found.extend(keys.map(Hash::of_default));
                points.owners_at(&mut found[first..]);
            }
            _ => found.extend(keys.map(|key| self.server(key, 0) as u32)),
        }
    }

    /// Return the hash of a key, or of what is inside its tag. O(bytes).
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u32 {
        match self.terms {
            Terms { hash: Hash::Fnv1a_64, signedness: Signedness::Signed, .. } => Hash::of_default(self.tagged(key)),
            Terms { hash, signedness, .. } => hash.of(self.tagged(key), signedness),
        }
    }

    /// Return what of a key is hashed: what is between the first opening character of the tag and the first closing one
    /// behind it, if both are there and something is between them, else all.
    #[inline]
    #[must_use]
    pub fn tagged<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        self.terms.tag.and_then(|tag| inside(key, tag)).unwrap_or(key)
    }

    /// Return the terms it was made with.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Return for each server of the pool how many of the equally likely places are its own: points on ketama's ring,
    /// units of modula's table, 1 for random; 0 where it is not live, or where its weight is too small for a point.
    #[must_use]
    pub fn points(&self) -> Vec<u32> {
        let mut counts = vec![0; self.servers.len()];
        let total = total_weight(&self.servers, &self.live);
        for &index in &self.live {
            let weight = self.servers[index as usize].weight;
            counts[index as usize] = match self.terms.distribution {
                Distribution::Ketama => ketama::points_of(weight, total, self.live.len()),
                Distribution::Modula => weight,
                Distribution::Random => 1,
            };
        }
        counts
    }
}

/// Return what is between the first opening character of a tag and the first closing one behind it; `None` where that
/// is nothing.
#[must_use]
pub fn inside(key: &[u8], [open, close]: [u8; 2]) -> Option<&[u8]> {
    let start = key.iter().position(|&byte| byte == open)? + 1;
    let length = key[start..].iter().position(|&byte| byte == close)?;
    (length > 0).then(|| &key[start..start + length])
}

fn units(servers: &[Server], live: &[u32]) -> Vec<u32> {
    live.iter().flat_map(|&index| std::iter::repeat_n(index, servers[index as usize].weight as usize)).collect()
}

/// Return the sum of live weights, which was checked to fit.
fn total_weight(servers: &[Server], live: &[u32]) -> u32 {
    live.iter().map(|&index| servers[index as usize].weight).sum()
}

fn check(distribution: Distribution, servers: &[Server]) -> Result<(), ContinuumError> {
    if servers.is_empty() {
        return Err(ContinuumError::Empty);
    }
    if servers.len() > SERVERS_MAX {
        return Err(ContinuumError::TooMany { count: servers.len() });
    }
    let mut names = HashMap::with_capacity(servers.len());
    for (index, Server { name, weight }) in servers.iter().enumerate() {
        if *weight == 0 {
            return Err(ContinuumError::NoWeight { index, name: name.clone() });
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(ContinuumError::LongName { index, name: name.clone() });
        }
        if names.insert(name.as_str(), index).is_some() {
            return Err(ContinuumError::SameName { index, name: name.clone() });
        }
    }
    let total_max = if distribution == Distribution::Modula { MODULA_WEIGHT_MAX } else { u32::MAX };
    let total = servers.iter().map(|server| u64::from(server.weight)).sum::<u64>();
    if total > u64::from(total_max) {
        return Err(ContinuumError::TooHeavy { total, total_max });
    }
    Ok(())
}
