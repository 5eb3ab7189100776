//! Numbers that end a line: counts and lengths.

use super::Limits;
use crate::heads::Heads;

/// The longest number of 64 bits with its sign.
const DIGITS_MAX: usize = 20;

/// A line with a number that is not whole yet, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoNumber {
    /// It is not whole.
    Incomplete,
    /// It is none.
    Broken,
}

/// Return the number whose line goes on at `at`, and where the next line begins.
///
/// As Redis reads it: no plus, no leading zeros, no space.
#[inline]
pub(super) fn number(bytes: &[u8], at: usize) -> Result<(i64, usize), NoNumber> {
    match bytes.get(at..).and_then(short) {
        Some((number, line_bytes)) => Ok((number, at + line_bytes)),
        None => long_number(bytes, at),
    }
}

/// Return where the data of the bulk string start and end that `bytes` begin with, if it is whole and of one to four digits.
/// `None` says nothing: it may be longer, or shorter than is looked at, or none.
#[inline(always)]
pub(super) fn short_bulk(bytes: &[u8], limits: &Limits) -> Option<(usize, usize)> {
    short_bulk_of(&mut Heads::new(), bytes, limits)
}

/// Return the same of the next of many.
#[inline(always)]
pub(super) fn short_bulk_of(heads: &mut Heads<b'$'>, bytes: &[u8], limits: &Limits) -> Option<(usize, usize)> {
    let (length, start) = heads.next(bytes)?;
    let end = start + length;
    let is_good = bytes.get(end..end + 2) == Some(b"\r\n") && length as u64 <= limits.bulk_bytes_max;
    is_good.then_some((start, end))
}

/// Return the number of a line with one to three digits, as most counts and lengths have, and how many bytes the line has.
#[inline]
fn short(line: &[u8]) -> Option<(i64, usize)> {
    let &[first, second, third, ..] = line else { return None };
    let (ones, is_digit) = digit(first);
    if !is_digit {
        return None;
    }
    if second == b'\r' {
        return (third == b'\n').then_some((ones, 3));
    }
    let &[_, _, _, fourth, ..] = line else { return None };
    let (next, is_digit) = digit(second);
    // No number but 0 begins with it.
    if !is_digit || ones == 0 {
        return None;
    }
    let tens = ones * 10 + next;
    if third == b'\r' {
        return (fourth == b'\n').then_some((tens, 4));
    }
    let (next, is_digit) = digit(third);
    let is_whole = is_digit && fourth == b'\r' && line.get(4) == Some(&b'\n');
    is_whole.then_some((tens * 10 + next, 5))
}

#[inline]
fn digit(byte: u8) -> (i64, bool) {
    let digit = byte.wrapping_sub(b'0');
    (i64::from(digit), digit <= 9)
}

#[cold]
fn long_number(bytes: &[u8], at: usize) -> Result<(i64, usize), NoNumber> {
    let rest = bytes.get(at..).unwrap_or_default();
    let rest = &rest[..rest.len().min(DIGITS_MAX + 2)];
    let Some(end) = rest.iter().position(|&byte| byte != b'-' && !byte.is_ascii_digit()) else {
        let is_short = rest.len() < DIGITS_MAX + 2;
        return Err(if is_short { NoNumber::Incomplete } else { NoNumber::Broken });
    };
    match rest[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] => return Err(NoNumber::Incomplete),
        _ => return Err(NoNumber::Broken),
    }
    let number = value(&rest[..end]).ok_or(NoNumber::Broken)?;
    Ok((number, at + end + 2))
}

/// Return a number of 64 bits: digits, before them a minus perhaps.
pub(super) fn value(text: &[u8]) -> Option<i64> {
    let (digits, sign) = match text {
        [b'-', digits @ ..] => (digits, -1),
        digits => (digits, 1),
    };
    let is_plain = match digits {
        [] => false,
        [b'0', ..] => text.len() == 1,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    if !is_plain {
        return None;
    }
    let add = |number: i64, &byte: &u8| number.checked_mul(10)?.checked_add(sign * i64::from(byte - b'0'));
    digits.iter().try_fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_at_first_sight_and_at_the_second() {
        let alphabet = b"-0129\r\nx";
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut last = 0..1;
        for _ in 0..6 {
            let longer = lines[last].iter().flat_map(|line| alphabet.map(|byte| [line.as_slice(), &[byte]].concat()));
            let longer: Vec<Vec<u8>> = longer.collect();
            last = lines.len()..lines.len() + longer.len();
            lines.extend(longer);
        }
        lines.extend(["1000\r\n", "999\r\n$", "123456\r\n", "1024\r", "1024"].map(|line| line.as_bytes().to_vec()));
        for line in lines {
            assert_eq!(number(&line, 0), long_number(&line, 0), "{}", line.escape_ascii());
        }
        assert_eq!(number(b"*14\r\n", 1), Ok((14, 5)));
        assert_eq!(number(b"*100\r\n", 1), Ok((100, 6)));
    }
}
