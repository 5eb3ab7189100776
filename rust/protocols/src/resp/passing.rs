//! Replies that are passed over without being kept.

use memchr::memchr;

use super::Stray;

/// The most of a head, such as `$` and a length with its line's end.
const HEAD_BYTES_MAX: usize = 32;

/// How far one reply is passed over. It takes no more room than this however large the reply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Elements to come; those of arrays that come are counted when their heads do.
    left: u64,
    /// Bytes of a bulk string to come.
    bulk: u64,
    /// Whether the rest of a line is to come.
    is_line: bool,
    /// What came of a head.
    head: Vec<u8>,
}

impl Default for Passing {
    fn default() -> Passing {
        Passing { left: 1, bulk: 0, is_line: false, head: Vec::new() }
    }
}

impl Passing {
    /// Tell whether the reply is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.left == 0 && self.bulk == 0 && !self.is_line
    }

    /// Take what came; return how many bytes of it are the reply's.
    ///
    /// # Errors
    /// It is no reply of RESP2.
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

    /// Take the head of an element, or what there is of it.
    fn element(&mut self, rest: &[u8]) -> Result<usize, Stray> {
        let first = *self.head.first().unwrap_or(&rest[0]);
        if matches!(first, b'+' | b'-' | b':') {
            self.left -= 1;
            self.is_line = true;
            return Ok(0);
        }
        if !matches!(first, b'$' | b'*') {
            return Err(Stray);
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
            match first {
                b'$' => self.bulk = length.map_or(0, |length| length.saturating_add(2)),
                _ => self.left = self.left.checked_add(length.unwrap_or(0)).ok_or(Stray)?,
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] = b"*4\r\n$3\r\na\nb\r\n*2\r\n:1\r\n$-1\r\n*0\r\n+OK\r\n";

    #[test]
    fn a_reply_is_passed_over_however_it_comes() {
        for length in 1..=REPLY.len() {
            let (mut passing, mut done) = (Passing::default(), 0);
            let all = [REPLY, b"+next\r\n"].concat();
            for piece in all.chunks(length) {
                let count = passing.pass(piece).unwrap();
                done += count;
                if passing.is_over() {
                    break;
                }
                assert_eq!(count, piece.len());
            }
            assert_eq!((done, passing.is_over()), (REPLY.len(), true), "in pieces of {length}");
        }
    }

    #[test]
    fn arrays_in_arrays_need_no_room() {
        let mut passing = Passing::default();
        for _ in 0..10_000 {
            passing.pass(b"*1\r\n").unwrap();
        }
        assert!(!passing.is_over() && passing.pass(b":7\r\n").is_ok() && passing.is_over());
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for bytes in [&b"x"[..], b"$x\r\n", b"$-2\r\n", b"*1\n", b"*00000000000000000000000000000000001\r\n", b"?1\r\n"]
        {
            assert_eq!(Passing::default().pass(bytes), Err(Stray), "{bytes:?}");
        }
    }
}
