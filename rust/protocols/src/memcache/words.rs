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
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(&rest[..end])
    }
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
