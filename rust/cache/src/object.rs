//! A stored response and what it costs in memory.

use crate::budget::Charge;
use alongside_policy::caching::{Meta, Validators};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// What stands before the value in an `Arc`: two counts.
const ARC_BYTES: usize = 16;
/// What `Bytes` allocates beside its bytes once it is shared, at most.
const SHARED_BYTES: usize = 40;
/// From here on malloc maps whole pages.
const MAP_BYTES: usize = 128 << 10;
const PAGE_BYTES: usize = 4096;

/// Return what malloc really takes for so many bytes.
///
/// glibc adds a word, rounds up to 16 and takes 32 at least; large ones take whole pages.
pub(crate) fn allocation_bytes(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else if bytes < MAP_BYTES {
        (bytes + 8).next_multiple_of(16).max(32)
    } else {
        (bytes + 16).next_multiple_of(PAGE_BYTES)
    }
}

/// What an `Arc` of so many bytes takes.
pub(crate) fn arc_bytes(bytes: usize) -> usize {
    allocation_bytes(ARC_BYTES + bytes)
}

/// A complete body, in pieces. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Body {
    chunks: Arc<[Bytes]>,
    length: u64,
    held_bytes: usize,
}

impl Body {
    /// Take a body in pieces; empty ones are left out.
    ///
    /// Each piece must own its allocation: a small slice of a large buffer would keep the whole buffer, uncounted.
    /// Few large pieces are better than many small ones: each costs some 100 bytes more than its own.
    #[must_use]
    pub fn new(chunks: Vec<Bytes>) -> Self {
        let chunks: Arc<[Bytes]> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let of_chunk = |chunk: &Bytes| allocation_bytes(chunk.len()) + allocation_bytes(SHARED_BYTES);
        Self {
            length: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            held_bytes: arc_bytes(size_of_val(&*chunks)) + chunks.iter().map(of_chunk).sum::<usize>(),
            chunks,
        }
    }

    /// Return the pieces in order, none of them empty.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Return the bytes of the body.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Return the pieces of a part: from the first position to the last, both included.
    pub fn part(&self, first: u64, last: u64) -> impl Iterator<Item = Bytes> {
        let mut at = 0u64;
        self.chunks.iter().filter_map(move |chunk| {
            let (start, end) = (at, at + chunk.len() as u64);
            at = end;
            let (from, to) = (first.max(start), last.saturating_add(1).min(end));
            // Positions within a chunk fit usize, as its length does.
            (from < to).then(|| chunk.slice((from - start) as usize..(to - start) as usize))
        })
    }
}

/// A response as it is stored; never changed.
#[derive(Debug)]
pub struct Object {
    status: u16,
    head: Bytes,
    body: Body,
    meta: Meta,
    etag: Range<u32>,
    last_modified: Range<u32>,
    charge: Option<Charge>,
}

impl Object {
    /// Take a response.
    ///
    /// `head` is the status line and the end-to-end fields, each line ending in CRLF, as it will be written to
    /// clients: without framing, `Connection`, `Age`, `Cache-Status` and the empty line.
    #[must_use]
    pub fn new(status: u16, head: Vec<u8>, body: Body, meta: Meta) -> Self {
        let mut found = Self {
            status,
            // A boxed slice holds no spare capacity.
            head: Bytes::from(head.into_boxed_slice()),
            body,
            meta,
            etag: 0..0,
            last_modified: 0..0,
            charge: None,
        };
        let fields = found.fields();
        let validators = Validators::read(alongside_policy::caching::Fields(&fields));
        let [etag, last_modified] = [validators.etag, validators.last_modified].map(|value| found.position(value));
        (found.etag, found.last_modified) = (etag, last_modified);
        found
    }

    /// Return the object that a 304 makes of this one: a new head and new times over the same body.
    #[must_use]
    pub fn refreshed(&self, head: Vec<u8>, meta: Meta) -> Self {
        Self::new(self.status, head, self.body.clone(), meta)
    }

    /// Return the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Return the status line and fields, ready to be written.
    #[must_use]
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// Return the body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Return what its freshness is computed from.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Return what identifies it.
    #[must_use]
    pub fn validators(&self) -> Validators<'_> {
        let value =
            |range: &Range<u32>| (!range.is_empty()).then(|| &self.head[range.start as usize..range.end as usize]);
        Validators { etag: value(&self.etag), last_modified: value(&self.last_modified) }
    }

    /// Read the fields back from the head, in order; lines that are no field are left out.
    #[must_use]
    pub fn fields(&self) -> Vec<httparse::Header<'_>> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(field).collect()
    }

    /// Return what it takes in memory, with everything that belongs to it alone, bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let head = allocation_bytes(self.head.len()) + allocation_bytes(SHARED_BYTES);
        arc_bytes(size_of::<Self>()) + head + self.body.held_bytes
    }

    /// Make it count for as long as anyone holds it.
    pub(crate) fn charged(mut self, charge: impl FnOnce(usize) -> Charge) -> Self {
        self.charge = Some(charge(self.held_bytes()));
        self
    }

    fn position(&self, value: Option<&[u8]>) -> Range<u32> {
        let start = value.map(|value| (value.as_ptr().addr() - self.head.as_ptr().addr(), value.len()));
        match start.map(|(start, length)| (u32::try_from(start), u32::try_from(start + length))) {
            Some((Ok(start), Ok(end))) => start..end,
            _ => 0..0,
        }
    }
}

/// Reads a line of a head; nothing where it is no field.
pub(crate) fn field(line: &[u8]) -> Option<httparse::Header<'_>> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some(httparse::Header { name: std::str::from_utf8(&line[..colon]).ok()?, value: line[colon + 1..].trim_ascii() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta { arrived_ms: 0, age_ms: 0, lifetime_ms: 1, date_s: None, always_validate: false, is_shared: false }
    }

    fn body(chunks: &[&'static str]) -> Body {
        Body::new(chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect())
    }

    #[test]
    fn cuts_parts_across_chunks() {
        let body = body(&["abc", "", "de", "f"]);
        assert_eq!((body.length(), body.chunks().len()), (6, 3));
        let check = |first, last, expected: &str| {
            let parts: Vec<u8> = body.part(first, last).flatten().collect();
            assert_eq!(parts, expected.as_bytes(), "{first}-{last}");
        };
        check(0, 5, "abcdef");
        check(2, 3, "cd");
        check(3, 4, "de");
        check(5, u64::MAX, "f");
        check(6, 9, "");
    }

    #[test]
    fn finds_its_validators_in_the_head() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let head = format!("HTTP/1.1 200 OK\r\nETag: W/\"a\" \r\nlast-modified: {date}\r\n");
        let object = Object::new(200, head.into_bytes(), body(&["x"]), meta());
        let found = object.validators();
        assert_eq!(found.etag, Some(&b"W/\"a\""[..]));
        assert_eq!(found.last_modified, Some(date.as_bytes()));
        assert_eq!(object.fields().len(), 2);
        let bare = object.refreshed(b"HTTP/1.1 200 OK\r\netag: broken\r\n".to_vec(), meta());
        assert!(bare.validators().is_empty());
        assert_eq!(bare.body().chunks()[0].as_ptr(), object.body().chunks()[0].as_ptr());
    }

    #[test]
    fn counts_what_malloc_takes() {
        for (asked, taken) in [(0, 0), (1, 32), (24, 32), (25, 48), (1000, 1008), (131_072, 135_168)] {
            assert_eq!(allocation_bytes(asked), taken, "{asked}");
        }
    }
}
