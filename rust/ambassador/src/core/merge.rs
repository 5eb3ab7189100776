//! How the parts of a Redis command become its answer.

use alongside_protocols::resp::commands::Split;
use alongside_protocols::resp::{Elements, Reply, Type, element_bytes};
use alongside_protocols::write_decimal;

use super::Why;
use super::words::{write_array, write_error};

/// What is kept of a merge that is used again.
const KEPT_BYTES: usize = 32 * 1024;

/// A split command that waits for its parts.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) split: Option<Split>,
    /// MGET: for each key, the part that has it.
    pub(crate) parts_of_keys: Vec<u32>,
    /// Whether one failed part is the whole answer's failure, as with twemproxy.
    pub(crate) is_strict: bool,
    parts: Vec<Part>,
    /// The parts' elements; of parts that each have all, what they say together.
    bytes: Vec<u8>,
    /// Where each of these elements ends in the answer of its part, part after part.
    ends: Vec<usize>,
    sum: i64,
    /// The first error, as a whole line.
    error: Vec<u8>,
}

/// Where a part's next element begins among the bytes, and which of the ends are its own.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    at: usize,
    /// Where its answer would begin, modulo what a number holds: the head that is before its elements is left out.
    start: usize,
    next: usize,
    last: usize,
    /// Where the error is that stands for each of its keys; 0 bytes if there is none.
    error: (usize, usize),
}

impl Merge {
    /// Begin with so many parts.
    pub(crate) fn begin(&mut self, split: Split, parts: usize, is_strict: bool) {
        self.split = Some(split);
        self.is_strict = is_strict;
        self.parts.clear();
        self.parts.resize(parts, Part::default());
    }

    /// Forget everything; tell whether it is worth keeping.
    pub(crate) fn clear(&mut self) -> bool {
        self.split = None;
        self.sum = 0;
        self.parts.clear();
        self.parts_of_keys.clear();
        self.bytes.clear();
        self.ends.clear();
        self.error.clear();
        let ends_bytes = self.ends.capacity() * size_of::<usize>();
        let parts_bytes = self.parts_of_keys.capacity() * size_of::<u32>();
        self.bytes.capacity().max(ends_bytes).max(parts_bytes) <= KEPT_BYTES
    }

    /// Return the bytes of memory that wait here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    /// Take a part's answer, and where its first elements end. A part that is answered otherwise than it should be has failed.
    pub(crate) fn take(&mut self, part: u32, answer: &Reply<'_>, ends: &[usize]) {
        match (self.split, answer.kind) {
            (_, Type::Error | Type::BulkError) => self.fail_with(part, answer.bytes),
            (Some(Split::Mget), Type::Array) => self.take_elements(part, answer, ends),
            (Some(Split::Sum), Type::Integer) => self.sum = self.sum.saturating_add(answer.integer().unwrap_or(0)),
            (Some(Split::Mset), Type::Simple) => {}
            (Some(Split::Same), _) if self.bytes.is_empty() => self.bytes.extend_from_slice(answer.bare()),
            (Some(Split::Same), _) if self.bytes == answer.bare() => {}
            (Some(Split::Least), Type::Array) if self.bytes.is_empty() => self.bytes.extend_from_slice(answer.bare()),
            (Some(Split::Least), Type::Array) if self.lessen(answer) => {}
            _ => self.fail(part, Why::Stray),
        }
    }

    /// Take a part's elements. `ends` has where the first of them end in the answer; what is more than there are keys is no
    /// key's.
    fn take_elements(&mut self, part: u32, answer: &Reply<'_>, ends: &[usize]) {
        let Some(part) = self.parts.get_mut(part as usize) else { return };
        let elements = answer.elements();
        let (count, rest) = (elements.len().min(self.parts_of_keys.len()), elements.rest());
        let head_bytes = answer.bytes.len() - rest.len();
        let (at, next) = (self.bytes.len(), self.ends.len());
        let known = &ends[..ends.len().min(count)];
        self.ends.extend_from_slice(known);
        let mut end = known.last().copied().unwrap_or(head_bytes);
        for _ in known.len()..count {
            let Some(bytes) = answer.bytes.get(end..).and_then(element_bytes) else { break };
            end += bytes;
            self.ends.push(end);
        }
        self.bytes.extend_from_slice(rest);
        *part = Part { at, start: at.wrapping_sub(head_bytes), next, last: self.ends.len(), error: (0, 0) };
    }

    /// Take the lesser of each number that is there and an answer's; tell whether both have the same form.
    fn lessen(&mut self, answer: &Reply<'_>) -> bool {
        let known = Elements::new(&self.bytes[head_bytes(&self.bytes)..], answer.elements().len());
        let mut least = Vec::with_capacity(self.bytes.len());
        write_array(&mut least, known.len());
        for (one, other) in known.zip(answer.elements()) {
            let is_less = other.integer() < one.integer();
            least.extend_from_slice(if is_less { other.bytes } else { one.bytes });
        }
        let is_alike = least.len() == self.bytes.len() && least.len() == answer.bare().len();
        if is_alike {
            self.bytes = least;
        }
        is_alike
    }

    /// A part failed.
    pub(crate) fn fail(&mut self, part: u32, why: Why) {
        let mut line = Vec::new();
        write_error(&mut line, why.text().as_bytes());
        self.fail_with(part, &line);
    }

    fn fail_with(&mut self, part: u32, line: &[u8]) {
        if self.error.is_empty() {
            self.error.extend_from_slice(line);
        }
        if let Some(part) = self.parts.get_mut(part as usize) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(line);
            *part = Part { error: (start, self.bytes.len()), ..Part::default() };
        }
    }

    /// Append the answer, now that all parts are there.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.split {
            Some(Split::Mget) if !self.is_strict || self.error.is_empty() => self.finish_mget(out),
            _ if !self.error.is_empty() => out.extend_from_slice(&self.error),
            Some(Split::Sum) => {
                out.push(b':');
                write_decimal(self.sum.unsigned_abs(), out);
                out.extend_from_slice(b"\r\n");
            }
            Some(Split::Same | Split::Least) => out.extend_from_slice(&self.bytes),
            _ => out.extend_from_slice(b"+OK\r\n"),
        }
    }

    fn finish_mget(&mut self, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len());
        write_array(out, self.parts_of_keys.len());
        for &part in &self.parts_of_keys {
            let Some(part) = self.parts.get_mut(part as usize) else { continue };
            match self.ends.get(part.next) {
                Some(&end) if part.next < part.last => {
                    let end = part.start.wrapping_add(end);
                    out.extend_from_slice(self.bytes.get(part.at..end).unwrap_or_default());
                    (part.at, part.next) = (end, part.next + 1);
                }
                _ if part.error.1 > part.error.0 => out.extend_from_slice(&self.bytes[part.error.0..part.error.1]),
                // A server that answers with fewer elements than it was asked for.
                _ => write_error(out, Why::Stray.text().as_bytes()),
            }
        }
    }
}

fn head_bytes(array: &[u8]) -> usize {
    memchr::memchr(b'\n', array).map_or(array.len(), |end| end + 1)
}
