//! Small answers for one of ours.

use crate::between;
use crate::flight::FetchError;

/// A small answer for one of ours.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Lines of the head.
    pub lines: Vec<u8>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Returns what tells a sibling that there is no answer, and why.
    pub(crate) fn fault(error: FetchError) -> Self {
        let mut lines = Vec::new();
        between::write_fault(error, &mut lines);
        Self { status: error.answer().0, lines, body: String::new() }
    }

    /// Says whose answers there are.
    pub(crate) fn of_origin(mut self, origin: &str) -> Self {
        between::write_origin(origin, &mut self.lines);
        self
    }
}
