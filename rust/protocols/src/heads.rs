//! Short numbers that end a line, which are seen at once: the lengths of nearly all that comes.

/// Return the number of one to four digits that stands between `MARK`, which `bytes` begin with, and the line's end, and how
/// many bytes the line has. `None` says nothing: the number may be longer, begin with 0, or there may be less than eight bytes.
#[inline(always)]
pub(crate) fn number_behind<const MARK: u8>(bytes: &[u8]) -> Option<(usize, usize)> {
    let seen: &[u8; 8] = bytes.first_chunk()?;
    let is_end = |at: usize| seen[at..at + 2] == b"\r\n"[..];
    if seen[0] != MARK {
        None
    } else if is_end(3) {
        Some((first(seen[1])? * 10 + digit(seen[2])?, 5))
    } else if is_end(4) {
        Some(((first(seen[1])? * 10 + digit(seen[2])?) * 10 + digit(seen[3])?, 6))
    } else if is_end(2) {
        Some((digit(seen[1])?, 4))
    } else if is_end(5) {
        let tens = (first(seen[1])? * 10 + digit(seen[2])?) * 10 + digit(seen[3])?;
        Some((tens * 10 + digit(seen[4])?, 7))
    } else {
        None
    }
}

/// Reads numbers of many lines as [`number_behind`] does, and knows the last line. The next one is often the same: that is seen
/// at once, and what follows does not wait for its digits.
#[derive(Debug)]
pub(crate) struct Heads<const MARK: u8> {
    /// The last line, and which of eight bytes are its.
    line: u64,
    mask: u64,
    number: usize,
    line_bytes: usize,
}

impl<const MARK: u8> Heads<MARK> {
    /// Begin without a line.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        // Where no byte counts, none are 1.
        Heads { line: 1, mask: 0, number: 0, line_bytes: 0 }
    }

    /// Return the same as [`number_behind`]; for a line like the last one also where that leaves it to others, because of what is
    /// behind the line.
    #[inline(always)]
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let seen = u64::from_le_bytes(*bytes.first_chunk()?);
        if seen & self.mask != self.line {
            let (number, line_bytes) = number_behind::<MARK>(bytes)?;
            let mask = u64::MAX >> (u64::BITS - u8::BITS * line_bytes as u32);
            *self = Heads { line: seen & mask, mask, number, line_bytes };
        }
        Some((self.number, self.line_bytes))
    }
}

#[inline(always)]
fn digit(byte: u8) -> Option<usize> {
    let digit = usize::from(byte).wrapping_sub(usize::from(b'0'));
    if digit <= 9 { Some(digit) } else { None }
}

/// Return a digit that a number of several begins with.
#[inline(always)]
fn first(byte: u8) -> Option<usize> {
    let digit = usize::from(byte).wrapping_sub(usize::from(b'0'));
    if digit.wrapping_sub(1) < 9 { Some(digit) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_what_they_say() {
        for number in 0..10_000_usize {
            let line = format!("${number}\r\nrest..");
            assert_eq!(number_behind::<b'$'>(line.as_bytes()), Some((number, line.len() - 6)));
            assert_eq!(number_behind::<b' '>(line.as_bytes()), None);
        }
        assert_eq!(number_behind::<b'$'>(b"$12\r\nabc"), Some((12, 5)));
        assert_eq!(number_behind::<b'$'>(b"$12\r\nab"), None, "too few bytes to look at");
    }

    #[test]
    fn a_line_like_the_last_one_says_the_same_and_another_what_it_says() {
        // What begins with a line's end is left to others at first, and known where it comes once more.
        let mut heads = Heads::<b'$'>::new();
        let found = ["$7\r\n\r\n..", "$7\r\n....", "$7\r\n\r\n.."].map(|line| heads.next(line.as_bytes()));
        assert_eq!(found, [None, Some((7, 4)), Some((7, 4))]);
        let lines = [
            "$7\r\n7777",
            "$7\r\n8888",
            "$77\r\n777",
            "$7\r\n....",
            "$17\r\n...",
            "$17\r\r...",
            "$17\n\n...",
            "$177\r\n..",
            "$17\r\n",
            "$17\r\n$17",
            "$1777\r\n.",
            "$1777\r\n$",
            "$1778\r\n$",
            "$-1\r\n...",
            "+17\r\n...",
            "$01\r\n...",
            "",
        ];
        let mut heads = Heads::<b'$'>::new();
        for (one, other) in lines.iter().flat_map(|one| lines.map(|other| (*one, other))) {
            for line in [one, other] {
                assert_eq!(heads.next(line.as_bytes()), number_behind::<b'$'>(line.as_bytes()), "{line:?}");
            }
        }
    }

    #[test]
    fn without_a_last_line_nothing_is_like_it() {
        for line in [[0; 8], [1, 0, 0, 0, 0, 0, 0, 0], [1; 8], [255; 8]] {
            assert_eq!(Heads::<b'$'>::new().next(&line), None);
        }
    }

    #[test]
    fn what_is_no_short_number_is_left_to_others() {
        for line in
            ["$10000\r\n", "$01\r\n....", "$00\r\n....", "$-1\r\n....", "$\r\n......", "$1\n......", "$1\rx....."]
        {
            assert_eq!(number_behind::<b'$'>(line.as_bytes()), None, "{line:?}");
        }
        for digits in 1..=4 {
            for at in 0..digits {
                for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
                    let mut line = [&b"$"[..], &b"1111"[..digits], b"\r\n......"].concat();
                    line[1 + at] = byte;
                    assert_eq!(number_behind::<b'$'>(&line), None, "{}", line.escape_ascii());
                }
            }
        }
    }
}
