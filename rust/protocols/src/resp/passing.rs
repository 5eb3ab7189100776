//! Replies that are passed over without being kept.

use memchr::memchr;

use super::{Stray, Version};

/// The most of a head, such as `$` and a length with its line's end.
const HEAD_BYTES_MAX: usize = 32;

/// How far one reply is passed over. It takes no more room than this however large the reply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    version: Version,
    /// Elements to come; those of arrays that come are counted when their heads do.
    left: u64,
    /// Bytes of a bulk string to come.
    bulk: u64,
    /// Whether the rest of a line is to come.
    is_line: bool,
    /// What came of a head.
    head: Vec<u8>,
}

impl Passing {
    /// Return how a reply begins to be passed over.
    #[must_use]
    pub const fn new(version: Version) -> Passing {
        Passing { version, left: 1, bulk: 0, is_line: false, head: Vec::new() }
    }

    /// Tell whether the reply is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left == 0 && self.bulk == 0 && !self.is_line
    }

    /// Take what came; return how many bytes of it are the reply's.
    ///
    /// # Errors
    /// It is no reply of that version.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, Stray> {
        let mut done = 0;
        while done < bytes.len() && !self.is_over() {
            let rest = &bytes[done..];
            done += if self.bulk > 0 {
                let count = rest.len().min(usize::try_from(self.bulk).unwrap_or(usize::MAX));
                self.bulk -= count as u64;
                count
            } else if self.is_line {
                let end = memchr(b'\n', rest);
                self.is_line = end.is_none();
                end.map_or(rest.len(), |end| end + 1)
            } else {
                self.element(rest)?
            };
        }
        Ok(done)
    }

    /// Pass over what is left of the line.
    fn begin_line(&mut self) -> usize {
        self.left -= 1;
        self.is_line = true;
        0
    }

    /// Take the head of an element, or what there is of it.
    fn element(&mut self, rest: &[u8]) -> Result<usize, Stray> {
        let first = *self.head.first().unwrap_or(&rest[0]);
        let is_newer = self.version == Version::Three;
        match first {
            b'+' | b'-' | b':' => return Ok(self.begin_line()),
            b'_' | b'#' | b',' | b'(' if is_newer => return Ok(self.begin_line()),
            b'$' | b'*' => {}
            b'!' | b'=' | b'~' | b'%' | b'|' if is_newer => {}
            _ => return Err(Stray),
        }
        let end = memchr(b'\n', rest);
        let count = end.map_or(rest.len(), |end| end + 1);
        if self.head.len() + count > HEAD_BYTES_MAX {
            return Err(Stray);
        }
        self.head.extend_from_slice(&rest[..count]);
        if end.is_some() {
            let head = std::mem::take(&mut self.head);
            let text = std::str::from_utf8(&head[1..]).ok().and_then(|text| text.strip_suffix("\r\n"));
            let length: i64 = text.and_then(|text| text.parse().ok()).filter(|&length| length >= -1).ok_or(Stray)?;
            let length = u64::try_from(length).ok();
            self.left -= 1;
            let more = match first {
                b'$' | b'!' | b'=' => {
                    self.bulk = length.map_or(0, |length| length.saturating_add(2));
                    Some(0)
                }
                b'%' => length.unwrap_or(0).checked_mul(2),
                // What an attribute belongs to is still to come.
                b'|' => length.unwrap_or(0).checked_mul(2).and_then(|count| count.checked_add(1)),
                _ => Some(length.unwrap_or(0)),
            };
            self.left = more.and_then(|more| self.left.checked_add(more)).ok_or(Stray)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"*4\r\n$3\r\na\nb\r\n*2\r\n:1\r\n$-1\r\n*0\r\n+OK\r\n";
    const THREE: &[u8] =
        b"|1\r\n+ttl\r\n,1.5\r\n%2\r\n+a\r\n~2\r\n#t\r\n_\r\n=5\r\ntxt:b\r\n*2\r\n(12\r\n!3\r\nE x\r\n";

    #[test]
    fn a_reply_is_passed_over_however_it_comes() {
        for (version, reply) in [(Version::Two, TWO), (Version::Three, TWO), (Version::Three, THREE)] {
            for length in 1..=reply.len() {
                let (mut passing, mut done) = (Passing::new(version), 0);
                let all = [reply, b"+next\r\n"].concat();
                for piece in all.chunks(length) {
                    let count = passing.pass(piece).unwrap();
                    done += count;
                    if passing.is_over() {
                        break;
                    }
                    assert_eq!(count, piece.len());
                }
                assert_eq!((done, passing.is_over()), (reply.len(), true), "in pieces of {length}");
            }
        }
    }

    #[test]
    fn arrays_in_arrays_need_no_room() {
        let mut passing = Passing::new(Version::Two);
        for _ in 0..10_000 {
            passing.pass(b"*1\r\n").unwrap();
        }
        assert!(!passing.is_over() && passing.pass(b":7\r\n").is_ok() && passing.is_over());
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for bytes in [&b"x"[..], b"$x\r\n", b"$-2\r\n", b"*1\n", b"*00000000000000000000000000000000001\r\n", b"?1\r\n"]
        {
            for version in [Version::Two, Version::Three] {
                assert_eq!(Passing::new(version).pass(bytes), Err(Stray), "{bytes:?}");
            }
        }
        for bytes in [&b"%1\r\n"[..], b"_\r\n", b"~0\r\n", b",1\r\n", b"|1\r\n"] {
            assert_eq!(Passing::new(Version::Two).pass(bytes), Err(Stray), "{bytes:?}");
        }
        assert_eq!(Passing::new(Version::Three).pass(b">1\r\n"), Err(Stray));
        assert_eq!(Passing::new(Version::Three).pass(b"%9223372036854775807\r\n*9223372036854775807\r\n"), Err(Stray));
    }
}
