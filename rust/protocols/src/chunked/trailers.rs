//! The fields after the last chunk: bounded, checked like any field, and mostly not let through.

use crate::refusal::Reason;
use crate::{Limits, fields};

/// The most bytes of a trailer section, dropped lines included.
const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// The most lines of a trailer section, dropped lines included.
const TRAILER_LINES_MAX: usize = 32;

/// A trailer section while it arrives: checked lines, then the one that is not over yet.
#[derive(Debug)]
pub(super) struct Trailers {
    text: Vec<u8>,
    /// Where the unfinished line starts in `text`.
    line_at: usize,
    bytes_left: usize,
    lines_left: usize,
}

impl Trailers {
    pub(super) fn new(limits: &Limits) -> Trailers {
        Trailers {
            text: Vec::new(),
            line_at: 0,
            bytes_left: TRAILER_BYTES_MAX.min(limits.head_bytes_max),
            lines_left: TRAILER_LINES_MAX.min(limits.fields_max),
        }
    }

    /// Take one byte of a line, anything but its end.
    pub(super) fn push(&mut self, byte: u8) -> Result<(), Reason> {
        if self.bytes_left == 0 || !fields::is_value_byte(byte) {
            return Err(Reason::Trailer);
        }
        self.bytes_left -= 1;
        self.text.push(byte);
        Ok(())
    }

    /// End a line; return whether it was the empty one that ends the section.
    pub(super) fn end_line(&mut self) -> Result<bool, Reason> {
        let line = &self.text[self.line_at..];
        if line.is_empty() {
            return Ok(true);
        }
        let colon = memchr::memchr(b':', line).ok_or(Reason::Trailer)?;
        let name = &line[..colon];
        if !fields::is_token(name) || self.lines_left == 0 {
            return Err(Reason::Trailer);
        }
        self.lines_left -= 1;
        if fields::is_trailer(name) {
            self.text.extend_from_slice(b"\r\n");
        } else {
            self.text.truncate(self.line_at);
        }
        self.line_at = self.text.len();
        Ok(false)
    }

    /// Return the lines that may go on.
    pub(super) fn lines(&self) -> &[u8] {
        &self.text[..self.line_at]
    }
}
