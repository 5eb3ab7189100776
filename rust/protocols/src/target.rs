//! The request target and the authority: which bytes they may have, and which forms.

use crate::bytes;
use crate::refusal::Reason;

/// Return whether a target may have a byte.
const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f && byte != b'#' && byte != b'\\'
}

/// A target split: what goes on the request line, and the authority of an absolute form.
pub(crate) struct Target<'b> {
    pub(crate) origin: &'b [u8],
    pub(crate) authority: Option<&'b [u8]>,
}

/// Return the target in origin form.
///
/// Refused: anything but visible ASCII, `#`, `\`, authority form, `*` with another method than
/// OPTIONS, another scheme than http(s), and an absolute form with a query but no path.
pub(crate) fn split<'b>(method: &str, target: &'b [u8]) -> Result<Target<'b>, Reason> {
    if !bytes::are_all(target, is_target_byte) {
        return Err(Reason::Target);
    }
    if target.first() == Some(&b'/') {
        return Ok(Target { origin: target, authority: None });
    }
    if target == b"*" {
        return if method == "OPTIONS" { Ok(Target { origin: target, authority: None }) } else { Err(Reason::Target) };
    }
    let rest = without_scheme(target).ok_or(Reason::Target)?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(Reason::Target);
    }
    let origin: &[u8] = match path.first() {
        Some(b'/') => path,
        None if method == "OPTIONS" => b"*",
        None => b"/",
        _ => return Err(Reason::Target),
    };
    Ok(Target { origin, authority: Some(authority) })
}

fn without_scheme(target: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', &target[..target.len().min(6)])?;
    let (scheme, rest) = target.split_at(colon);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    rest.strip_prefix(b"://")
}

/// Which bytes a host's name or IPv4 address may have.
static IS_HOST_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// Return whether bytes are `host[:port]`: letters, digits, `-._~` or a bracketed IPv6 address; no user, not empty.
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    if bytes.len() > 261 {
        return false;
    }
    let (host_is_good, rest) = if let Some(inside) = bytes.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', inside) else { return false };
        let text = std::str::from_utf8(&inside[..end]).unwrap_or("");
        (text.parse::<std::net::Ipv6Addr>().is_ok(), &inside[end + 1..])
    } else {
        // Too short for anything but a plain look at each byte.
        let end = bytes.iter().position(|&byte| !IS_HOST_BYTE[usize::from(byte)]).unwrap_or(bytes.len());
        (end > 0, &bytes[end..])
    };
    host_is_good && (rest.is_empty() || is_port(rest))
}

fn is_port(rest: &[u8]) -> bool {
    let Some(digits) = rest.strip_prefix(b":").filter(|digits| digits.len() <= 5) else { return false };
    let number = digits
        .iter()
        .try_fold(0u32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')));
    number.is_some_and(|port| port <= 65535)
}
