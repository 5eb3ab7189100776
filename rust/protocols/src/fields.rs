//! Field names: which end at this hop, which tell who the client is, and list values.

/// What a field's name means to this hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Goes on as it is.
    EndToEnd,
    /// Ends here: hop-by-hop, one of ours, or a spelling with `_` of a special name.
    Dropped,
    /// Tells who the client is or what it asked; believed from inner peers only.
    Forwarding,
    /// The rest end here too, and the guard reads their values.
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
}

/// Every byte in lower case, `_` and `.` as `-`.
static FOLDED: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let is_dash = byte == b'_' as usize || byte == b'.' as usize;
        table[byte] = if is_dash { b'-' } else { (byte as u8).to_ascii_lowercase() };
        byte += 1;
    }
    table
};

/// Return whether a name is `folded` in any case, `_` and `.` counting as `-`.
fn folds_to(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && name.iter().zip(folded).all(|(&byte, &want)| FOLDED[usize::from(byte)] == want)
}

fn folds_to_start(name: &[u8], folded: &[u8]) -> bool {
    name.get(..folded.len()).is_some_and(|start| folds_to(start, folded))
}

/// Return what a name means; one dispatch on length and first letter before any comparison.
///
/// A name that only `_` or `.` makes different from a special one is dropped: programs behind may read
/// both spellings as one (CGI, WSGI), so it could say what the special name may not.
pub(crate) fn kind(name: &[u8]) -> Kind {
    let Some(&first) = name.first() else { return Kind::Dropped };
    match (name.len(), first | 0x20) {
        (9.., b'x') => kind_of_x(name),
        (2, b't') => named(name, b"TE", b"te", Kind::Dropped),
        (4, b'h') => named(name, b"Host", b"host", Kind::Host),
        // Programs by CGI take it for the proxy that they are to ask through (HTTP_PROXY).
        (5, b'p') => named(name, b"Proxy", b"proxy", Kind::Dropped),
        (6, b'e') => named(name, b"Expect", b"expect", Kind::Expect),
        (7, b'u') => named(name, b"Upgrade", b"upgrade", Kind::Upgrade),
        (7, b't') => named(name, b"Trailer", b"trailer", Kind::Dropped),
        (9, b'f') => named(name, b"Forwarded", b"forwarded", Kind::Forwarding),
        (9, b'c') => named(name, b"Client-IP", b"client-ip", Kind::Forwarding),
        (11, b'r') => named(name, b"Remote-User", b"remote-user", Kind::Forwarding),
        (11, b'c') => named(name, b"Client-Cert", b"client-cert", Kind::Forwarding),
        (12, b'r') => named(name, b"Remote-Email", b"remote-email", Kind::Forwarding),
        (13, b'f') => named(name, b"Forwarded-For", b"forwarded-for", Kind::Forwarding),
        (13, b'r') => named(name, b"Remote-Groups", b"remote-groups", Kind::Forwarding),
        (14, b't') => named(name, b"True-Client-IP", b"true-client-ip", Kind::Forwarding),
        (16, b'f') => named(name, b"Fastly-Client-IP", b"fastly-client-ip", Kind::Forwarding),
        (16, b'c') => named(name, b"CF-Connecting-IP", b"cf-connecting-ip", Kind::Forwarding),
        (17, b'c') => named(name, b"Client-Cert-Chain", b"client-cert-chain", Kind::Forwarding),
        (10, b'c') => named(name, b"Connection", b"connection", Kind::Connection),
        (10, b'k') => named(name, b"Keep-Alive", b"keep-alive", Kind::Dropped),
        (14, b'c') => named(name, b"Content-Length", b"content-length", Kind::ContentLength),
        (14, b'h') => named(name, b"HTTP2-Settings", b"http2-settings", Kind::Dropped),
        (16, b'p') => named(name, b"Proxy-Connection", b"proxy-connection", Kind::Dropped),
        (17, b't') => named(name, b"Transfer-Encoding", b"transfer-encoding", Kind::TransferEncoding),
        (18, b'p') => named(name, b"Proxy-Authenticate", b"proxy-authenticate", Kind::Dropped),
        (19, b'p') => named(name, b"Proxy-Authorization", b"proxy-authorization", Kind::Dropped),
        (12.., b's') if folds_to_start(name, b"ssl-client-") => unless_misspelt(name, Kind::Forwarding),
        _ => Kind::EndToEnd,
    }
}

/// Return `kind` where a name is `folded` in some spelling.
///
/// Of two known lengths bytes are compared without a loop, which is cheaper than folding; nearly everybody writes one of these two.
#[inline]
fn named<const N: usize>(name: &[u8], usual: &[u8; N], folded: &[u8; N], kind: Kind) -> Kind {
    if name.as_array().is_some_and(|name| name == usual || name == folded) { kind } else { respelt(name, folded, kind) }
}

#[cold]
fn respelt(name: &[u8], folded: &[u8], kind: Kind) -> Kind {
    if folds_to(name, folded) { unless_misspelt(name, kind) } else { Kind::EndToEnd }
}

/// How names begin that say who a client is, and that programs have no other use for.
const CLIENT: [&[u8]; 5] =
    [b"x-client-ip", b"x-client-cert", b"x-client-dn", b"x-client-verify", b"x-cluster-client-ip"];

fn kind_of_x(name: &[u8]) -> Kind {
    let kind = match FOLDED[usize::from(name[2])] {
        b'a' if folds_to_start(name, b"x-alongside-") => Kind::Dropped,
        b'f' if folds_to(name, b"x-forwarded") || folds_to_start(name, b"x-forwarded-") => Kind::Forwarding,
        b'o' if folds_to_start(name, b"x-original-") => Kind::Forwarding,
        b'r' if folds_to(name, b"x-real-ip") || folds_to(name, b"x-rewrite-url") => Kind::Forwarding,
        b'h' if folds_to(name, b"x-http-method-override") || folds_to(name, b"x-http-method") => Kind::Forwarding,
        b'm' if folds_to(name, b"x-method-override") => Kind::Forwarding,
        b'a' if folds_to_start(name, b"x-auth-request-") || folds_to_start(name, b"x-authenticated-") => {
            Kind::Forwarding
        }
        b'c' if CLIENT.iter().any(|start| folds_to_start(name, start)) => Kind::Forwarding,
        b'r' if folds_to_start(name, b"x-remote-") => Kind::Forwarding,
        b's' if folds_to_start(name, b"x-ssl-client-") => Kind::Forwarding,
        b'w' if folds_to_start(name, b"x-webauth-") => Kind::Forwarding,
        _ => return Kind::EndToEnd,
    };
    unless_misspelt(name, kind)
}

fn unless_misspelt(name: &[u8], kind: Kind) -> Kind {
    if name.iter().any(|byte| matches!(byte, b'_' | b'.')) { Kind::Dropped } else { kind }
}

/// Names that Connection must not nominate: without them a message means something else.
///
//= RFC 9110 section 7.6.1: a connection option never names a field meant for all recipients.
const PROTECTED: [&[u8]; 14] = [
    b"authorization",
    b"cookie",
    b"set-cookie",
    b"cache-control",
    b"content-type",
    b"content-encoding",
    b"content-range",
    b"vary",
    b"expires",
    b"date",
    b"age",
    b"etag",
    b"location",
    b"range",
];

/// Return whether Connection must not nominate a name.
pub(crate) fn is_protected(name: &[u8]) -> bool {
    match kind(name) {
        Kind::Host | Kind::ContentLength | Kind::Forwarding => true,
        Kind::Dropped => folds_to_start(name, b"x-"),
        _ => PROTECTED.iter().any(|protected| folds_to(name, protected)),
    }
}

/// Names that have no business after a body, besides all special ones.
///
//= RFC 9110 section 6.5.1: no trailer for framing, routing, authentication, request modifiers, response controls or content format.
const NOT_IN_TRAILERS: [&[u8]; 16] = [
    b"max-forwards",
    b"pragma",
    b"www-authenticate",
    b"accept-ranges",
    b"retry-after",
    b"content-location",
    b"content-language",
    b"content-disposition",
    b"warning",
    b"allow",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"if-range",
    b"origin",
];

/// Return whether a trailer with this name may go on.
pub(crate) fn is_trailer(name: &[u8]) -> bool {
    let is_in = |list: &[&[u8]]| list.iter().any(|other| folds_to(name, other));
    kind(name) == Kind::EndToEnd && !is_in(&PROTECTED) && !is_in(&NOT_IN_TRAILERS)
}

/// Return whether bytes are a token of RFC 9110 section 5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !bytes.is_empty() && bytes.iter().all(|&byte| is_good(byte))
}

/// Return whether a byte may stand in a field's value: no control but tab.
pub(crate) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
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

#[cfg(test)]
mod tests;
