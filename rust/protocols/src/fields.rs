//! Field names: which end at this hop, which tell who the client is, and list values.

/// What a field's name means to this hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Goes on as it is.
    EndToEnd,
    /// Ends here: a hop-by-hop field without further meaning, one of ours, or a misspelling with `_` of any special name.
    Dropped,
    /// Tells who the client is; believed from inner peers only.
    Forwarding,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
}

/// Every byte in lower case, `_` as `-`.
static FOLD: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0usize;
    while i < 256 {
        table[i] = if i == b'_' as usize { b'-' } else { (i as u8).to_ascii_lowercase() };
        i += 1;
    }
    table
};

fn folds_to(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && name.iter().zip(folded).all(|(&a, &b)| FOLD[a as usize] == b)
}

/// Return what a name means; one dispatch on length and first letter before any comparison.
pub(crate) fn kind(name: &[u8]) -> Kind {
    let Some(&first) = name.first() else { return Kind::Dropped };
    let (folded, kind): (&[u8], Kind) = match (name.len(), first | 0x20) {
        (_, b'x') => return kind_x(name),
        (2, b't') => (b"te", Kind::Dropped),
        (4, b'h') => (b"host", Kind::Host),
        (6, b'e') => (b"expect", Kind::Expect),
        (7, b'u') => (b"upgrade", Kind::Upgrade),
        (7, b't') => (b"trailer", Kind::Dropped),
        (9, b'f') => (b"forwarded", Kind::Forwarding),
        (10, b'c') => (b"connection", Kind::Connection),
        (10, b'k') => (b"keep-alive", Kind::Dropped),
        (14, b'c') => (b"content-length", Kind::ContentLength),
        (14, b'h') => (b"http2-settings", Kind::Dropped),
        (16, b'p') => (b"proxy-connection", Kind::Dropped),
        (17, b't') => (b"transfer-encoding", Kind::TransferEncoding),
        (18, b'p') => (b"proxy-authenticate", Kind::Dropped),
        (19, b'p') => (b"proxy-authorization", Kind::Dropped),
        _ => return Kind::EndToEnd,
    };
    judged(name, folded, kind)
}

/// A name that only `_` makes different from a special one ends here: programs behind may read both as one.
fn judged(name: &[u8], folded: &[u8], kind: Kind) -> Kind {
    if !folds_to(name, folded) {
        Kind::EndToEnd
    } else if memchr::memchr(b'_', name).is_some() {
        Kind::Dropped
    } else {
        kind
    }
}

fn kind_x(name: &[u8]) -> Kind {
    const EXACT: [&[u8]; 5] =
        [b"x-real-ip", b"x-rewrite-url", b"x-http-method-override", b"x-http-method", b"x-method-override"];
    const PREFIXES: [(&[u8], Kind); 3] =
        [(b"x-alongside-", Kind::Dropped), (b"x-forwarded-", Kind::Forwarding), (b"x-original-", Kind::Forwarding)];
    for (prefix, kind) in PREFIXES {
        if name.len() >= prefix.len() && folds_to(&name[..prefix.len()], prefix) {
            return judged(name, name, Kind::EndToEnd).max_drop(name, kind);
        }
    }
    for exact in EXACT {
        if folds_to(name, exact) {
            return judged(name, exact, Kind::Forwarding);
        }
    }
    Kind::EndToEnd
}

impl Kind {
    fn max_drop(self, name: &[u8], kind: Kind) -> Kind {
        let _ = self;
        if memchr::memchr(b'_', name).is_some() { Kind::Dropped } else { kind }
    }
}

/// Return the first value of a field among many.
pub(crate) fn first<'b>(fields: &[httparse::Header<'b>], name: &str) -> Option<&'b [u8]> {
    all(fields, name).next()
}

/// Return all values of a field, in order.
pub(crate) fn all<'s, 'b>(
    fields: &'s [httparse::Header<'b>],
    name: &'s str,
) -> impl Iterator<Item = &'b [u8]> + use<'s, 'b> {
    fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Return whether a name is in a list, in any case.
pub(crate) fn is_one_of(name: &str, list: &[&str]) -> bool {
    list.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Return the members of a comma-separated list, trimmed, empty ones left out. Quotes are not understood.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Return whether a comma-separated list has a token, in any case: `field_has_token(b"close, TE", "te")`.
#[must_use]
pub fn field_has_token(value: &[u8], token: &str) -> bool {
    tokens(value).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}
