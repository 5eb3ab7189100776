//! twemproxy's placement for Python.

use alongside_placement::twemproxy::{Continuum, Hash, Server, Signedness, Terms};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::refuse;

/// The servers of a pool with what chooses among them as twemproxy does; immutable.
///
/// Args:
///     servers: (name, weight) pairs, weights from 1; their order does not matter.
///     distribution: `ketama`, `modula` or `random`.
///     hash: one of twemproxy's twelve words, such as `fnv1a_64`.
///     tag: two characters of ASCII; what of a key stands between them is hashed alone. None: all of a key is.
///     signed: whether bytes from 0x80 are read as negative numbers, as twemproxy on x86-64 does.
///
/// Raises:
///     ValueError: a word is not known, the tag is not two characters, the list is empty, a weight is 0, the weights
///         are too heavy, a name is too long or stands there twice.
#[pyclass(frozen, module = "alongside._native")]
pub(crate) struct TwemproxyPlacement {
    continuum: Continuum,
    servers: usize,
}

#[pymethods]
impl TwemproxyPlacement {
    #[new]
    #[pyo3(signature = (servers, distribution = "ketama", hash = "fnv1a_64", tag = None, signed = true))]
    fn new(
        servers: Vec<(String, u32)>,
        distribution: &str,
        hash: &str,
        tag: Option<&str>,
        signed: bool,
    ) -> PyResult<TwemproxyPlacement> {
        let terms = Terms {
            hash: hash.parse().map_err(refuse)?,
            signedness: signedness(signed),
            distribution: distribution.parse().map_err(refuse)?,
            tag: tag.map(tag_of).transpose()?,
        };
        let servers: Vec<Server> = servers.into_iter().map(|(name, weight)| Server { name, weight }).collect();
        let continuum = Continuum::new(terms, &servers).map_err(refuse)?;
        Ok(TwemproxyPlacement { continuum, servers: servers.len() })
    }

    /// Return the index of a key's server in the list; `random` is any number, looked at by `random` alone.
    #[pyo3(signature = (key, random = 0))]
    fn server(&self, key: &[u8], random: u32) -> usize {
        self.continuum.server(key, random)
    }

    /// Return the index of each key's server.
    #[pyo3(name = "servers")]
    fn each(&self, py: Python<'_>, keys: Vec<Vec<u8>>) -> Vec<usize> {
        py.detach(|| keys.iter().map(|key| self.continuum.server(key, 0)).collect())
    }

    /// Return the hash of a key, or of what is inside its tag, 0 to 2^32 - 1.
    fn hash(&self, key: &[u8]) -> u32 {
        self.continuum.hash(key)
    }

    /// Return for each server its points on the ring, its units of modula's table, or 1; 0: it gets no key.
    fn points(&self) -> Vec<u32> {
        self.continuum.points()
    }

    /// Return what twemproxy makes of the pool when only some of its servers are not ejected, None when all are.
    ///
    /// Raises:
    ///     ValueError: `live` has not one truth for each server.
    fn among(&self, live: Vec<bool>) -> PyResult<Option<TwemproxyPlacement>> {
        if live.len() != self.servers {
            let message = format!("{} servers need as many truths; got {}", self.servers, live.len());
            return Err(PyValueError::new_err(message));
        }
        let continuum = self.continuum.among(|index| live[index]);
        Ok(continuum.map(|continuum| TwemproxyPlacement { continuum, servers: self.servers }))
    }
}

/// Return twemproxy's hash of a key's bytes, 0 to 2^32 - 1; 0 for an empty key.
///
/// Args:
///     name: one of twemproxy's twelve words.
///     key: what is inside the tag, where there is one.
///     signed: as of `TwemproxyPlacement`.
///
/// Raises:
///     ValueError: the word is not known.
#[pyfunction]
#[pyo3(signature = (name, key, signed = true))]
pub(crate) fn twemproxy_hash(name: &str, key: &[u8], signed: bool) -> PyResult<u32> {
    let hash: Hash = name.parse().map_err(refuse)?;
    Ok(hash.of(key, signedness(signed)))
}

fn signedness(signed: bool) -> Signedness {
    if signed { Signedness::Signed } else { Signedness::Unsigned }
}

fn tag_of(text: &str) -> PyResult<[u8; 2]> {
    let refused =
        || PyValueError::new_err(format!("tag {text:?} is not two characters of ASCII; write such as \"{{}}\""));
    text.as_bytes().try_into().ok().filter(|tag: &[u8; 2]| tag.is_ascii()).ok_or_else(refused)
}
