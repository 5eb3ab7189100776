//! What RESP3 has beside the types of RESP2.

use super::Limits;
use super::number::number;
use super::reply::{Pause, data_end, line};

/// Bytes before the data of a verbatim string that say what it is, such as `txt:`.
pub(super) const FORMAT_BYTES: usize = 4;

/// An element, or the head of what has elements.
pub(super) enum Newer {
    /// It ends there.
    Whole { end: usize },
    /// A set, or a map: so many elements follow.
    Open { count: i64, end: usize },
    /// The same of an attribute: behind them follows what it belongs to.
    Attribute { count: i64, end: usize },
    /// The same of a push.
    Push { count: i64, end: usize },
}

/// Read the element that begins at `start`, or its head; `seen` is how much of its line was looked at before.
#[cold]
pub(super) fn element(bytes: &[u8], start: usize, limits: &Limits, seen: &mut usize) -> Result<Newer, Pause> {
    let mark = bytes[start];
    match mark {
        b'_' | b'#' | b',' | b'(' => {
            let end = line(bytes, start, limits, seen)?;
            if is_scalar(mark, &bytes[start + 1..end - 2]) { Ok(Newer::Whole { end }) } else { Err(Pause::Stray) }
        }
        b'!' | b'=' => {
            let (length, data) = number(bytes, start + 1)?;
            let end = data_end(bytes, length, data, limits)?;
            let has_format = mark == b'!' || bytes[data..end - 2].get(FORMAT_BYTES - 1) == Some(&b':');
            if has_format { Ok(Newer::Whole { end }) } else { Err(Pause::Stray) }
        }
        b'~' | b'%' | b'|' | b'>' => {
            let (count, end) = number(bytes, start + 1)?;
            let each = if matches!(mark, b'%' | b'|') { 2 } else { 1 };
            let count = count.checked_mul(each).filter(|&count| count >= 0).ok_or(Pause::Stray)?;
            Ok(match mark {
                b'|' => Newer::Attribute { count, end },
                b'>' => Newer::Push { count, end },
                _ => Newer::Open { count, end },
            })
        }
        _ => Err(Pause::Stray),
    }
}

fn is_scalar(mark: u8, text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match mark {
        b'_' => text.is_empty(),
        b'#' => matches!(text, b"t" | b"f"),
        b'(' => digits(text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text)),
        // `inf`, `-inf` and `nan` among them.
        _ => std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok()),
    }
}
