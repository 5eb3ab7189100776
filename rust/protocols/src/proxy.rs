//! The PROXY protocol's header, versions 1 and 2: who the client of a balancer in front is.
//!
//! Source: HAProxy's `proxy-protocol.txt`, of 2020 (sections 2.1 and 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its line's end included.
const TEXT_BYTES_MAX: usize = 107;

/// The shortest of version 1, `PROXY UNKNOWN`; version 2 has one byte more.
const TEXT_BYTES_MIN: usize = 15;

/// How version 1 begins.
const TEXT_START: &[u8] = b"PROXY ";

/// How version 2 begins.
const BINARY_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of version 2 before the addresses.
const BINARY_HEAD_BYTES: usize = 16;

/// The longest header of version 2: addresses of any family, and room for what a balancer adds.
pub const HEADER_BYTES_MAX: usize = 2048;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A client's connection.
    Client {
        /// The client's address and port.
        from: SocketAddr,
        /// The address and port that it came to.
        to: SocketAddr,
    },
    /// Nobody's connection but the balancer's own, such as a look at our health: the peer is the client.
    Own,
}

/// The bytes are no header that is let in. The word is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They begin with something else.
    Missing,
    /// They are broken, or too long.
    Broken,
    /// A transport or family that cannot be here.
    Family,
}

impl Refused {
    /// Return the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::Missing => "proxy_header_missing",
            Refused::Broken => "proxy_header_broken",
            Refused::Family => "proxy_header_family",
        }
    }
}

/// Return what the header says that `bytes` start with and how long it is, `None` while it is incomplete.
///
/// # Errors
/// There is none, or none that is let in; close the connection.
pub fn header(bytes: &[u8]) -> Result<Option<(Said, usize)>, Refused> {
    if starts_so(bytes, BINARY_START) {
        binary(bytes)
    } else if starts_so(bytes, TEXT_START) {
        text(bytes)
    } else {
        Err(Refused::Missing)
    }
}

/// Return how many bytes the header lacks at least that these are the beginning of, which is not refused: at least one,
/// and none that can be behind it.
#[must_use]
pub fn missing(bytes: &[u8]) -> usize {
    if bytes.len() < TEXT_BYTES_MIN {
        return TEXT_BYTES_MIN - bytes.len();
    }
    match bytes.first_chunk::<BINARY_HEAD_BYTES>() {
        Some(&[b'\r', .., high, low]) => {
            let length = BINARY_HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
            length.saturating_sub(bytes.len()).max(1)
        }
        _ => 1,
    }
}

/// Tell whether bytes start with `start`, or may yet.
fn starts_so(bytes: &[u8], start: &[u8]) -> bool {
    let seen = bytes.len().min(start.len());
    bytes[..seen] == start[..seen]
}

fn text(bytes: &[u8]) -> Result<Option<(Said, usize)>, Refused> {
    let seen = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return if seen.len() == TEXT_BYTES_MAX { Err(Refused::Broken) } else { Ok(None) };
    };
    let line = seen[..end].strip_suffix(b"\r").ok_or(Refused::Broken)?;
    let line = std::str::from_utf8(line).map_err(|_| Refused::Broken)?;
    let mut words = line.split(' ').skip(1);
    let said = match words.next() {
        //= proxy-protocol.txt section 2.1: what follows UNKNOWN is ignored up to the line's end.
        Some("UNKNOWN") => Said::Own,
        Some("TCP4") => text_client::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => text_client::<Ipv6Addr>(&mut words)?,
        _ => return Err(Refused::Family),
    };
    Ok(Some((said, end + 1)))
}

fn text_client<'w, A>(words: &mut impl Iterator<Item = &'w str>) -> Result<Said, Refused>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut word = || words.next().ok_or(Refused::Broken);
    let address = |text: &str| text.parse::<A>().map_err(|_| Refused::Broken);
    let (from, to) = (address(word()?)?, address(word()?)?);
    let (from_port, to_port) = (port(word()?)?, port(word()?)?);
    if words.next().is_some() {
        return Err(Refused::Broken);
    }
    Ok(Said::Client { from: (from.into(), from_port).into(), to: (to.into(), to_port).into() })
}

/// Return a port: digits alone, none of them leading zeros.
fn port(text: &str) -> Result<u16, Refused> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(Refused::Broken)
}

fn binary(bytes: &[u8]) -> Result<Option<(Said, usize)>, Refused> {
    let Some(head) = bytes.first_chunk::<BINARY_HEAD_BYTES>() else { return Ok(None) };
    let [.., kind, family, high, low] = *head;
    let length = BINARY_HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(Refused::Broken);
    }
    let is_own = match kind {
        0x20 => true,
        0x21 => false,
        _ => return Err(Refused::Broken),
    };
    let Some(addresses) = bytes.get(BINARY_HEAD_BYTES..length) else { return Ok(None) };
    let said = match family {
        _ if is_own => Said::Own,
        //= proxy-protocol.txt section 2.2: of an unspecified family the real addresses count.
        0x00 => Said::Own,
        0x11 => binary_client(addresses, |octets: [u8; 4]| Ipv4Addr::from(octets).into())?,
        0x21 => binary_client(addresses, |octets: [u8; 16]| Ipv6Addr::from(octets).to_canonical())?,
        _ => return Err(Refused::Family),
    };
    Ok(Some((said, length)))
}

/// Return the client that stands in `N` bytes for its address, as many for the one that it came to, and two ports.
fn binary_client<const N: usize>(body: &[u8], address: fn([u8; N]) -> IpAddr) -> Result<Said, Refused> {
    let ports = body.get(2 * N..).and_then(<[u8]>::first_chunk::<4>);
    let (Some(from), Some(to), Some(&[a, b, c, d])) =
        (body.first_chunk(), body.get(N..).and_then(<[u8]>::first_chunk), ports)
    else {
        return Err(Refused::Broken);
    };
    let whole = |octets: &[u8; N], port: [u8; 2]| (address(*octets), u16::from_be_bytes(port)).into();
    Ok(Said::Client { from: whole(from, [a, b]), to: whole(to, [c, d]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(kind: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = BINARY_START.to_vec();
        bytes.extend([kind, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn tcp4() -> Vec<u8> {
        v2(0x21, 0x11, &[192, 0, 2, 7, 127, 0, 0, 1, 0x1f, 0x90, 0, 80])
    }

    #[test]
    fn both_versions_tell_the_client() {
        let mut tcp6 = vec![0; 36];
        tcp6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        tcp6[31] = 1;
        tcp6[32..36].copy_from_slice(&[1, 0xbb, 0, 80]);
        let cases: [(&[u8], &str, &str); 4] = [
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\r\n", "192.0.2.7:8080", "127.0.0.1:80"),
            (b"PROXY TCP6 2001:db8::7 ::1 443 80\r\n", "[2001:db8::7]:443", "[::1]:80"),
            (&tcp4(), "192.0.2.7:8080", "127.0.0.1:80"),
            (&v2(0x21, 0x21, &tcp6), "[2001:db8::7]:443", "[::1]:80"),
        ];
        for (bytes, from, to) in cases {
            let whole = [bytes, b"GET / HTTP/1.1\r\n"].concat();
            let expected = Said::Client { from: from.parse().unwrap(), to: to.parse().unwrap() };
            assert_eq!(header(&whole), Ok(Some((expected, bytes.len()))), "{from}");
        }
    }

    #[test]
    fn a_header_may_come_in_drops() {
        for bytes in [tcp4(), b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\r\n".to_vec(), v2(0x20, 0, b"")] {
            for end in 0..bytes.len() {
                assert_eq!(header(&bytes[..end]), Ok(None), "{end}");
            }
            assert!(matches!(header(&bytes), Ok(Some((_, length))) if length == bytes.len()));
        }
    }

    #[test]
    fn who_reads_what_is_missing_reads_the_header_alone() {
        for bytes in [
            tcp4(),
            b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\r\n".to_vec(),
            v2(0x20, 0, b""),
            b"PROXY UNKNOWN\r\n".to_vec(),
        ] {
            let mut read = 0;
            while header(&bytes[..read]).unwrap().is_none() {
                read += missing(&bytes[..read]);
                assert!(read <= bytes.len());
            }
            assert_eq!(read, bytes.len());
        }
    }

    #[test]
    fn the_balancers_own_connections_are_its_own() {
        let cases: [&[u8]; 4] = [
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
            &v2(0x20, 0x11, &[0; 12]),
            &v2(0x21, 0x00, b"whatever"),
        ];
        for bytes in cases {
            assert_eq!(header(bytes), Ok(Some((Said::Own, bytes.len()))), "{bytes:?}");
        }
    }

    #[test]
    fn what_lies_behind_the_addresses_is_passed_over_up_to_a_limit() {
        let body = |bytes: usize| [&[192, 0, 2, 7, 127, 0, 0, 1, 0x1f, 0x90, 0, 80][..], &vec![9; bytes]].concat();
        let long = v2(0x21, 0x11, &body(HEADER_BYTES_MAX - BINARY_HEAD_BYTES - 12));
        assert_eq!(long.len(), HEADER_BYTES_MAX);
        assert!(matches!(header(&long), Ok(Some((Said::Client { .. }, HEADER_BYTES_MAX)))));
        let longer = v2(0x21, 0x11, &body(HEADER_BYTES_MAX - BINARY_HEAD_BYTES - 11));
        assert_eq!(header(&longer[..BINARY_HEAD_BYTES]), Err(Refused::Broken));
    }

    #[test]
    fn anything_else_is_refused_as_soon_as_it_shows() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 96]].concat();
        let cases: [(&[u8], Refused); 14] = [
            (b"GET / HTTP/1.1\r\n", Refused::Missing),
            (b"\r\n\r\nx", Refused::Missing),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80\n", Refused::Broken),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 8080\r\n", Refused::Broken),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 8080 80 1\r\n", Refused::Broken),
            (b"PROXY TCP4  192.0.2.7 127.0.0.1 8080 80\r\n", Refused::Broken),
            (b"PROXY TCP4 ::1 ::1 8080 80\r\n", Refused::Broken),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 08080 80\r\n", Refused::Broken),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 65536 80\r\n", Refused::Broken),
            (b"PROXY UDP4 192.0.2.7 127.0.0.1 8080 80\r\n", Refused::Family),
            (&long, Refused::Broken),
            (&v2(0x22, 0x11, &[0; 12]), Refused::Broken),
            (&v2(0x21, 0x12, &[0; 12]), Refused::Family),
            (&v2(0x21, 0x11, &[0; 11]), Refused::Broken),
        ];
        for (bytes, refused) in cases {
            assert_eq!(header(bytes), Err(refused), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
