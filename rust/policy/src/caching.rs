//! RFC 9111 for a shared cache: pure functions from header fields to decisions.
//!
//! A request goes through [`lookup()`], a stored response through [`state`], [`conditional::answer`] and
//! [`range::select`], a response of the origin through [`store()`], a 304 through [`refresh::confirms`],
//! [`refresh::merge`] and then [`store()`] again. Where fields contradict one another, the stricter wins.

pub mod conditional;
pub mod date;
mod directives;
mod fields;
mod freshness;
mod lookup;
pub mod range;
pub mod refresh;
mod status;
mod store;
#[cfg(test)]
mod testing;
pub mod vary;

pub use conditional::Validators;
pub use fields::Fields;
pub use freshness::{Forward, Meta, State, state};
pub use lookup::{Bypass, Lookup, Serve, lookup};
pub use status::{CacheStatus, Outcome};
pub use store::{Keep, Reject, Store, store};

/// A request as the caching rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// All fields, as they came.
    pub fields: Fields<'a>,
    /// Whether a body of one byte or more may follow.
    pub has_body: bool,
    /// Whether the client offers to change the protocol.
    pub is_upgrade: bool,
}

/// A response as the caching rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status, 100 to 599.
    pub status: u16,
    /// All fields, as they came.
    pub fields: Fields<'a>,
}

/// When a response was asked for and when its head came, milliseconds since the UNIX epoch.
///
/// The clock should be read from wall time once and advance monotonically from there.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The request left for the origin.
    pub asked_ms: u64,
    /// The response's head was complete.
    pub arrived_ms: u64,
}
