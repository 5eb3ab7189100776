//! Header lists for the tables of tests.

use super::{Fields, Request};
use httparse::Header;

/// Borrow pairs of name and value as fields.
pub(super) fn headers<'a>(fields: &'a [(&'a str, &'a str)]) -> Vec<Header<'a>> {
    fields.iter().map(|&(name, value)| Header { name, value: value.as_bytes() }).collect()
}

/// A GET with these fields.
pub(super) fn get<'a>(fields: &'a [Header<'a>]) -> Request<'a> {
    Request { method: "GET", fields: Fields(fields), has_body: false, is_upgrade: false }
}
