//! A 304 from the origin: whether it speaks of the stored response, and what it changes.

use super::Fields;
use super::conditional::{Validators, is_strong, is_strong_match, is_weak_match};
use httparse::Header;

/// Whether a 304 confirms this stored response.
///
/// If not, forget the stored one and fetch anew without conditions.
///
//= RFC 9111 section 4.3.4: a strong validator must be that of the stored response, a weak one must correspond,
// and a 304 without any confirms the one response that was asked about.
#[must_use]
pub fn confirms(stored: Validators<'_>, update: Fields<'_>) -> bool {
    let new = Validators::read(update);
    match (stored.etag, new.etag) {
        (Some(stored), Some(new)) if is_strong(new) => is_strong_match(stored, new),
        (Some(stored), Some(new)) => is_weak_match(stored, new),
        (None, Some(_)) => false,
        (_, None) if update.has("etag") => false,
        (_, None) => !update.has("last-modified") || new.last_modified == stored.last_modified,
    }
}

/// Return the stored fields as a 304 changes them; decide about them with [`super::store()`] as if they had come
/// with the stored status, then keep the stored body under them (or forget it).
///
//= RFC 9111 section 3.2: each field of the 304 replaces all stored ones of its name.
#[must_use]
pub fn merge<'a>(stored: Fields<'a>, update: Fields<'a>) -> Vec<Header<'a>> {
    let is_new = |name: &str| is_replaced(name) && update.has(name);
    let kept = stored.0.iter().filter(|field| !is_new(field.name) && !is_of_its_time(field.name));
    let new = update.0.iter().filter(|field| is_replaced(field.name));
    kept.chain(new).copied().collect()
}

/// Whether a 304 may change a field.
///
//= RFC 9111 section 3.2: not Content-Length, nor what section 3.1 keeps out of the store; fields that describe
// the bytes of the body stay with the body they came with.
#[must_use]
pub fn is_replaced(name: &str) -> bool {
    const STAYS: [&str; 15] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-digest",
    ];
    !STAYS.iter().any(|stays| name.eq_ignore_ascii_case(stays))
}

/// Whether a stored field says when the stored response was made, and is gone with a newer one.
fn is_of_its_time(name: &str) -> bool {
    name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("age")
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    fn check(stored: &[(&str, &str)], update: &[(&str, &str)], expected: bool) {
        let (stored_list, update_list) = (headers(stored), headers(update));
        let found = confirms(Validators::read(Fields(&stored_list)), Fields(&update_list));
        assert_eq!(found, expected, "{stored:?} {update:?}");
    }

    #[test]
    fn confirms_only_the_response_it_speaks_of() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        let tag = ("etag", "\"a\"");
        let date = ("last-modified", DATE);
        check(&[tag], &[tag], true);
        check(&[tag], &[], true);
        check(&[tag, date], &[tag, ("last-modified", AFTER)], true);
        check(&[tag], &[("etag", "\"b\"")], false);
        check(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], true);
        check(&[("etag", "W/\"a\"")], &[tag], false);
        check(&[tag], &[("etag", "W/\"a\"")], true);
        check(&[date], &[date], true);
        check(&[date], &[("last-modified", AFTER)], false);
        check(&[date], &[tag], false);
        check(&[tag], &[("etag", "broken")], false);
        check(&[date], &[("last-modified", "broken")], false);
        check(&[tag], &[date], false);
    }

    #[test]
    fn replaces_fields_by_name() {
        let stored = headers(&[
            ("Content-Type", "text/plain"),
            ("Cache-Control", "max-age=1"),
            ("X-A", "1"),
            ("x-a", "2"),
            ("Date", "old"),
            ("x-b", "kept"),
        ]);
        let update = headers(&[
            ("cache-control", "max-age=9"),
            ("x-A", "3"),
            ("content-length", "0"),
            ("content-type", "text/html"),
            ("connection", "close"),
        ]);
        let merged = merge(Fields(&stored), Fields(&update));
        let expected =
            headers(&[("Content-Type", "text/plain"), ("x-b", "kept"), ("cache-control", "max-age=9"), ("x-A", "3")]);
        assert_eq!(merged, expected);
    }
}
