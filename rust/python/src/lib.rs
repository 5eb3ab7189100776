//! Give Python the pure functions of the data plane: `alongside._native`.
//!
//! In:    bytes, texts, lists.
//! Out:   indexes, keys, problems, the schema, all from the crates that place requests.
//! Not:   any logic of its own; any file, socket or thread.
//! Next:  `python/alongside/native.py` is the one door to it; `_native.pyi` is its stub.

mod twemproxy;

use std::net::IpAddr;

use alongside_placement::key::{Key as Expression, Request, find_cookie, find_query, path_of};
use alongside_placement::{Function, Placement as Placed, Shard};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Shards with the function that chooses among them; immutable.
///
/// Args:
///     function: `modulo` or `ketama`.
///     shards: (name, weight) pairs, weights from 1, 65,536 in all.
///
/// Raises:
///     ValueError: the function is not known, the list is empty, a weight is 0, the weights are too
///         heavy, or two names have the same place on the ring.
#[pyclass(frozen, module = "alongside._native")]
struct Placement {
    placed: Placed,
    shards: usize,
}

#[pymethods]
impl Placement {
    #[new]
    fn new(function: &str, shards: Vec<(String, u32)>) -> PyResult<Placement> {
        let function = match function {
            "modulo" => Function::Modulo,
            "ketama" => Function::Ketama,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "function {function:?} is not known; write \"modulo\" or \"ketama\""
                )));
            }
        };
        let shards: Vec<Shard> = shards.into_iter().map(|(name, weight)| Shard { name, weight }).collect();
        let placed = Placed::new(function, &shards).map_err(refuse)?;
        Ok(Placement { placed, shards: shards.len() })
    }

    /// Return the index of a key's shard in the list; ketama chooses the same name in any order.
    fn shard(&self, key: &[u8]) -> usize {
        self.placed.shard(key)
    }

    /// Return the index of each key's shard.
    fn shards(&self, py: Python<'_>, keys: Vec<Vec<u8>>) -> Vec<usize> {
        py.detach(|| keys.iter().map(|key| self.placed.shard(key)).collect())
    }

    /// Return the index of the first live shard in nginx's order for a key, None if none is live.
    ///
    /// Raises:
    ///     ValueError: `live` has not one truth for each shard.
    fn shard_among(&self, key: &[u8], live: Vec<bool>) -> PyResult<Option<usize>> {
        if live.len() != self.shards {
            let message = format!("{} shards need as many truths; got {}", self.shards, live.len());
            return Err(PyValueError::new_err(message));
        }
        Ok(self.placed.shard_among(key, |index| live[index]))
    }

    /// Return the hash that places a key, 0 to 2^32 - 1.
    fn hash(&self, key: &[u8]) -> u32 {
        self.placed.hash(key)
    }
}

/// A checked key expression; `str()` writes it in its one form.
///
/// Args:
///     text: such as `request.path + request.headers["x-user"]`.
///
/// Raises:
///     ValueError: it is none; says what, where and what to write instead.
#[pyclass(frozen, module = "alongside._native")]
struct Key {
    expression: Expression,
}

#[pymethods]
impl Key {
    #[new]
    fn new(text: &str) -> PyResult<Key> {
        Expression::parse(text).map(|expression| Key { expression }).map_err(refuse)
    }

    /// Return the bytes that are hashed for a request.
    ///
    /// Args:
    ///     uri: the target as sent, path and query.
    ///     headers: names in any case, and values; the first of a name counts.
    ///     ip: the client's address, without a port.
    ///
    /// Raises:
    ///     ValueError: `ip` is no address.
    fn evaluate(&self, uri: &[u8], headers: Vec<(String, Vec<u8>)>, ip: &str) -> PyResult<Vec<u8>> {
        let ip = ip
            .parse()
            .map_err(|_| PyValueError::new_err(format!("{ip:?} is no IP address; write it without a port")))?;
        let mut key = Vec::new();
        self.expression.evaluate(&Plain { uri, headers, ip }, &mut key);
        Ok(key)
    }

    fn __str__(&self) -> String {
        self.expression.to_string()
    }
}

/// A request told in plain values.
struct Plain<'a> {
    uri: &'a [u8],
    headers: Vec<(String, Vec<u8>)>,
    ip: IpAddr,
}

impl Plain<'_> {
    fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &[u8]> + use<'_, 'n> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
}

impl Request for Plain<'_> {
    fn uri(&self) -> &[u8] {
        self.uri
    }

    fn path(&self) -> &[u8] {
        path_of(self.uri)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.values("cookie").find_map(|field| find_cookie(field, name))
    }

    fn query(&self, name: &str) -> Option<&[u8]> {
        find_query(self.uri, name)
    }

    fn ip(&self) -> IpAddr {
        self.ip
    }
}

fn refuse(error: impl std::error::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::twemproxy::{TwemproxyPlacement, twemproxy_hash};
    #[pymodule_export]
    use super::{Key, Placement};

    /// Return how this extension was built: `release` or `debug`.
    #[pyfunction]
    fn build_profile() -> &'static str {
        if cfg!(debug_assertions) { "debug" } else { "release" }
    }

    /// Return every problem of a document as (path, message); none means that the data plane takes it.
    #[pyfunction]
    fn check_document(document: &[u8]) -> Vec<(String, String)> {
        let problems = alongside_document::parse(document).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.path.clone(), problem.message())).collect()
    }

    /// Return the JSON Schema of a document as JSON text.
    #[pyfunction]
    fn document_schema() -> String {
        format!("{:#}", alongside_document::schema())
    }

    /// Return this extension's version.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
