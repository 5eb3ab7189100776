//! How long a body is, and the line that says so.

/// How a message's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// Exactly so many bytes; may be 0 where `content-length: 0` was said.
    Length(u64),
    /// Chunks, by [`crate::chunked::Decoder`].
    Chunked,
    /// Everything until the upstream closes (answers only).
    UntilClose,
}

/// Append the one line that frames `body`; nothing for `None` and `UntilClose`.
pub fn write_framing(body: Body, out: &mut Vec<u8>) {
    match body {
        Body::None | Body::UntilClose => {}
        Body::Length(bytes) => {
            out.extend_from_slice(b"content-length: ");
            write_decimal(bytes, out);
            out.extend_from_slice(b"\r\n");
        }
        Body::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

/// Append a number in decimal digits.
pub fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // The remainder is below 10.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Return the value of a Content-Length field: digits only, at most 2^63 − 1.
///
/// Leading zeros are legal; the number is written anew, so they end here.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 64 {
        return None;
    }
    let mut length: u64 = 0;
    for &byte in value {
        if !byte.is_ascii_digit() {
            return None;
        }
        length = length.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    i64::try_from(length).ok().map(|_| length)
}
