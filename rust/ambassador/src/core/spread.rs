//! Which keys of a command go in which part of it.

/// Keys for which the room is kept.
const KEYS_KEPT: usize = 16 * 1024;
/// No key follows.
const NONE: u32 = u32::MAX;

/// The keys of one command by the parts that its servers get.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    pub(crate) parts: Vec<Part>,
    keys: Vec<Key>,
}

/// What one server gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) server: u32,
    /// How many keys it has.
    pub(crate) keys: u32,
    first: u32,
    last: u32,
    /// Bytes of its keys, with what belongs to them.
    bytes: usize,
}

/// Where a key stands with what belongs to it, and which is the next of its part.
#[derive(Clone, Copy, Debug)]
struct Key {
    start: usize,
    end: usize,
    next: u32,
}

impl Spread {
    /// Begin the part of a server; return its number.
    pub(crate) fn begin(&mut self, server: usize) -> u32 {
        self.parts.push(Part { server: server as u32, keys: 0, first: NONE, last: NONE, bytes: 0 });
        self.parts.len() as u32 - 1
    }

    /// Add the next key to a part.
    #[inline]
    pub(crate) fn add(&mut self, part: u32, start: usize, end: usize) {
        let number = self.keys.len() as u32;
        self.keys.push(Key { start, end, next: NONE });
        let Some(part) = self.parts.get_mut(part as usize) else { return };
        let last = std::mem::replace(&mut part.last, number);
        part.keys += 1;
        part.bytes += end - start;
        match self.keys.get_mut(last as usize) {
            Some(last) => last.next = number,
            None => part.first = number,
        }
    }

    /// Append a part's keys as they stand in the request, in their order.
    pub(crate) fn write(&self, part: Part, request: &[u8], out: &mut Vec<u8>) {
        out.reserve(part.bytes);
        let mut number = part.first;
        while let Some(key) = self.keys.get(number as usize) {
            out.extend_from_slice(&request[key.start..key.end]);
            number = key.next;
        }
    }

    /// Forget everything.
    pub(crate) fn clear(&mut self) {
        if self.keys.capacity() > KEYS_KEPT {
            self.keys = Vec::new();
        }
        self.parts.clear();
        self.keys.clear();
    }
}
