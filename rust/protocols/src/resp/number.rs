//! Numbers that end a line: counts and lengths.

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
    // Most counts and lengths have one digit.
    if let Some(&[digit @ b'0'..=b'9', b'\r', b'\n']) = bytes.get(at..at + 3) {
        return Ok((i64::from(digit - b'0'), at + 3));
    }
    long_number(bytes, at)
}

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
