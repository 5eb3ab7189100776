//! Words of a line, and numbers as memcached reads them.

/// The words of a line, which spaces part, as memcached parts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// Return the words of a line without its end.
    #[must_use]
    pub fn new(line: &'a [u8]) -> Words<'a> {
        Words { rest: line }
    }

    /// Return what is left of the line.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|&byte| byte != b' ')?;
        let rest = &self.rest[start..];
        let (word, rest) = rest.split_at(space(rest));
        self.rest = rest;
        Some(word)
    }
}

/// Every byte of eight.
const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// Return where the first space is, or how long the text is. Words are too short for a search that must be set up.
#[inline]
fn space(text: &[u8]) -> usize {
    let (eights, rest) = text.as_chunks();
    let mut at = 0;
    for eight in eights {
        let eight = u64::from_le_bytes(*eight) ^ (EACH * u64::from(b' '));
        let hits = eight.wrapping_sub(EACH) & !eight & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    rest.iter().position(|&byte| byte == b' ').map_or(text.len(), |more| at + more)
}

/// Return where the first byte is that ends a key or that few keys have, a space or a control, or how long the text is.
#[inline]
pub(super) fn key_end(text: &[u8]) -> usize {
    let (eights, rest) = text.as_chunks();
    let mut at = 0;
    for eight in eights {
        let eight = u64::from_le_bytes(*eight);
        let hits = eight.wrapping_sub(EACH * u64::from(b' ' + 1)) & !eight & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    rest.iter().position(|&byte| byte <= b' ').map_or(text.len(), |more| at + more)
}

/// Return a number of digits alone, at most `max`.
pub(super) fn number(word: &[u8], max: u64) -> Option<u64> {
    // Twenty digits hold any of 64 bits; memcached reads as many leading zeros as one likes, which nobody sends.
    if word.is_empty() || word.len() > 20 {
        return None;
    }
    let mut number = 0_u64;
    for &byte in word {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (number <= max).then_some(number)
}

/// Tell whether a word is a number of 32 bits that may be negative, as times of expiry are.
pub(super) fn is_time(word: &[u8]) -> bool {
    let (digits, max) = match word {
        [b'-', digits @ ..] => (digits, 1 << 31),
        digits => (digits, (1 << 31) - 1),
    };
    number(digits, max).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_keys_end_where_they_end() {
        let words: Vec<_> = Words::new(b"  a bb   cccccccccccccccc \x80\xa0\x20\x1f ").collect();
        assert_eq!(words, [b"a".as_slice(), b"bb", b"cccccccccccccccc", b"\x80\xa0", b"\x1f"]);
        for length in 0..40 {
            let key = vec![b'!'; length];
            assert_eq!((key_end(&key), space(&key)), (length, length));
            for byte in 0..=255 {
                let text = [&key[..], &[byte], b"\xff \x80"].concat();
                let end = text.iter().position(|&byte| byte <= b' ').unwrap();
                assert_eq!(key_end(&text), end, "{byte} at {length}");
                assert_eq!(space(&text), text.iter().position(|&byte| byte == b' ').unwrap());
            }
        }
    }

    #[test]
    fn numbers_are_digits_within_their_limit() {
        assert_eq!(number(b"18446744073709551615", u64::MAX), Some(u64::MAX));
        assert_eq!(number(b"0042", 42), Some(42));
        for word in [b"".as_slice(), b"43", b"-1", b"+1", b"4x", b"0x2", b"18446744073709551616", &[b'0'; 21]] {
            assert_eq!(number(word, 42), None, "{}", word.escape_ascii());
        }
        assert!(is_time(b"-2147483648") && is_time(b"2147483647") && is_time(b"-0"));
        assert!(!is_time(b"2147483648") && !is_time(b"-2147483649") && !is_time(b"--1") && !is_time(b"-"));
    }
}
