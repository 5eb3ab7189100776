//! A pool as its document says, made ready: shared by all threads.

use std::sync::Arc;

use alongside_document::{KeyHash, Pool, PoolFunction, PoolPlacedAs};
use alongside_placement::twemproxy::{self, Continuum, Distribution, Hash, Signedness};
use alongside_placement::{Function, Placement, Shard};

use crate::counters::{PoolCounters, ServerCounters, Standing};

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The password, any bytes.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a pool's keys cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// twemproxy's rules do not allow the servers.
    #[error(transparent)]
    Twemproxy(#[from] twemproxy::ContinuumError),
    /// nginx' rules do not allow the servers.
    #[error(transparent)]
    Nginx(#[from] alongside_placement::PlacementError),
    /// The hash tag is not two ASCII characters.
    #[error("the hash tag {0:?} is not two ASCII characters; write such as \"{{}}\"")]
    Tag(String),
    /// nginx has no such function.
    #[error("nginx places no keys at random; choose ketama or modulo, or twemproxy's placement")]
    Random,
}

impl TermsError {
    /// Return the index of the server that is at fault, or `None` where it is the list or the placement.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match self {
            TermsError::Twemproxy(error) => error.index(),
            TermsError::Nginx(error) => error.index(),
            TermsError::Tag(_) | TermsError::Random => None,
        }
    }
}

/// A pool with what its files say, its placement and its counters: immutable.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The document's part.
    pub pool: Pool,
    /// Who clients must say they are; everybody may come where there is none.
    pub users: Vec<Credentials>,
    /// As whom servers are told we come.
    pub server_user: Option<Credentials>,
    pub(crate) place: Place,
    /// What all threads count.
    pub counters: Arc<PoolCounters>,
    /// The same for each server, in the document's order.
    pub servers: Vec<Arc<ServerCounters>>,
}

impl Terms {
    /// Make a pool ready. Give the same counters to its next document: they go on.
    ///
    /// # Errors
    /// See [`TermsError`].
    pub fn new(
        pool: Pool,
        users: Vec<Credentials>,
        server_user: Option<Credentials>,
        counters: Arc<PoolCounters>,
    ) -> Result<Terms, TermsError> {
        let place = Place::new(&pool)?;
        let servers = pool.servers.iter().map(|server| counters.server(server.name.as_str())).collect();
        Ok(Terms { pool, users, server_user, place, counters, servers })
    }

    /// Return where a key belongs while all servers are there.
    #[must_use]
    pub fn explain(&self, key: &[u8]) -> Explained {
        let home = self.place.server(key, 0, |_| true).unwrap_or(0);
        Explained {
            home,
            server: Some(home),
            standing: self.servers.get(home).map_or(Standing::Good, |server| server.standing()),
            hash: self.place.hash(key),
            tagged: self.place.tagged(key).to_vec(),
        }
    }
}

/// Where a key goes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The index of the server that has it while all are there.
    pub home: usize,
    /// The index of the server that gets it now; `None` when all are ejected.
    pub server: Option<usize>,
    /// How that home stands.
    pub standing: Standing,
    /// The key's hash.
    pub hash: u32,
    /// What of the key was hashed.
    pub tagged: Vec<u8>,
}

/// Which server has a key.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Twemproxy(Box<Continuum>),
    Nginx(Box<Placement>, Option<[u8; 2]>),
}

impl Place {
    fn new(pool: &Pool) -> Result<Place, TermsError> {
        let tag = pool.placement.hash_tag.as_deref().map(tag).transpose()?;
        if pool.placement.compatible_with == PoolPlacedAs::Nginx {
            let function = match pool.placement.function {
                PoolFunction::Ketama => Function::Ketama,
                PoolFunction::Modulo => Function::Modulo,
                PoolFunction::Random => return Err(TermsError::Random),
            };
            let shard = |server: &alongside_document::Server| Shard {
                name: server.name.as_str().to_owned(),
                weight: server.weight,
            };
            let shards: Vec<Shard> = pool.servers.iter().map(shard).collect();
            return Ok(Place::Nginx(Box::new(Placement::new(function, &shards)?), tag));
        }
        let terms = twemproxy::Terms {
            hash: hash(pool.placement.hash),
            signedness: if pool.placement.is_signed { Signedness::Signed } else { Signedness::Unsigned },
            distribution: match pool.placement.function {
                PoolFunction::Ketama => Distribution::Ketama,
                PoolFunction::Modulo => Distribution::Modula,
                PoolFunction::Random => Distribution::Random,
            },
            tag,
        };
        let server = |server: &alongside_document::Server| twemproxy::Server {
            name: server.name.as_str().to_owned(),
            weight: server.weight,
        };
        let servers: Vec<twemproxy::Server> = pool.servers.iter().map(server).collect();
        Ok(Place::Twemproxy(Box::new(Continuum::new(terms, &servers)?)))
    }

    /// Return what chooses while only those servers are live; `None` when none is.
    pub(crate) fn among(&self, is_live: impl Fn(usize) -> bool) -> Option<Place> {
        match self {
            Place::Twemproxy(continuum) => continuum.among(is_live).map(|live| Place::Twemproxy(Box::new(live))),
            // nginx asks who is live for each key.
            Place::Nginx(..) => Some(self.clone()),
        }
    }

    /// Return the index of a key's server, the next live one where nginx looks for one.
    #[inline]
    pub(crate) fn server(&self, key: &[u8], random: u32, is_live: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Place::Twemproxy(continuum) => Some(continuum.server(key, random)),
            Place::Nginx(placement, tag) => placement.shard_among(inside(key, *tag), is_live),
        }
    }

    fn hash(&self, key: &[u8]) -> u32 {
        match self {
            Place::Twemproxy(continuum) => continuum.hash(key),
            Place::Nginx(placement, tag) => placement.hash(inside(key, *tag)),
        }
    }

    fn tagged<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        match self {
            Place::Twemproxy(continuum) => continuum.tagged(key),
            Place::Nginx(_, tag) => inside(key, *tag),
        }
    }
}

/// Return what is within a key's tag, else all.
fn inside(key: &[u8], tag: Option<[u8; 2]>) -> &[u8] {
    tag.and_then(|tag| twemproxy::inside(key, tag)).unwrap_or(key)
}

fn tag(text: &str) -> Result<[u8; 2], TermsError> {
    match *text.as_bytes() {
        [open, close] if text.is_ascii() => Ok([open, close]),
        _ => Err(TermsError::Tag(text.to_owned())),
    }
}

fn hash(hash: KeyHash) -> Hash {
    match hash {
        KeyHash::OneAtATime => Hash::OneAtATime,
        KeyHash::Md5 => Hash::Md5,
        KeyHash::Crc16 => Hash::Crc16,
        KeyHash::Crc32 => Hash::Crc32,
        KeyHash::Crc32a => Hash::Crc32a,
        KeyHash::Fnv164 => Hash::Fnv1_64,
        KeyHash::Fnv1a64 => Hash::Fnv1a_64,
        KeyHash::Fnv132 => Hash::Fnv1_32,
        KeyHash::Fnv1a32 => Hash::Fnv1a_32,
        KeyHash::Hsieh => Hash::Hsieh,
        KeyHash::Murmur => Hash::Murmur,
        KeyHash::Jenkins => Hash::Jenkins,
    }
}
