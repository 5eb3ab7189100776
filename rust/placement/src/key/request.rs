//! Find what keys name in a request's raw bytes.

/// Return a target's path: everything before the first `?` or `#`.
#[must_use]
pub fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    &target[..end]
}

/// Return the first value of a parameter in a target's query, undecoded; a parameter without `=` is empty.
#[must_use]
pub fn find_query<'a>(target: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let target = target.split(|&byte| byte == b'#').next()?;
    let start = target.iter().position(|&byte| byte == b'?')? + 1;
    target[start..]
        .split(|&byte| byte == b'&')
        .map(pair)
        .find(|(found, _)| *found == name.as_bytes())
        .map(|(_, value)| value)
}

/// Return the first value of a cookie in the value of a Cookie field, undecoded: from its `=`, spaces skipped, to the
/// next `;`, as nginx does.
#[must_use]
pub fn find_cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let cookies = field.split(|&byte| byte == b';').filter(|cookie| cookie.contains(&b'=')).map(pair);
    let mut trimmed = cookies.map(|(found, value)| (found.trim_ascii(), value.trim_ascii_start()));
    trimmed.find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}

/// Split at the first `=`.
fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&text[..equals], &text[equals + 1..]),
        None => (text, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_where_the_query_starts() {
        for (target, path) in [("/a?b?c", "/a"), ("/a#b?c", "/a"), ("/%2F", "/%2F"), ("*", "*"), ("", "")] {
            assert_eq!(path_of(target.as_bytes()), path.as_bytes(), "{target}");
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_is_found_undecoded() {
        for (target, found) in [
            ("/?id=1&id=2", Some("1")),
            ("/?x=id=9&id=a%20b+c", Some("a%20b+c")),
            ("/?ID=1", None),
            ("/?xid=1", None),
            ("/?id", Some("")),
            ("/?id=", Some("")),
            ("/?id=a=b", Some("a=b")),
            ("/?id=1#id=2", Some("1")),
            ("/#?id=1", None),
            ("/id=1", None),
            ("/?a=/?id=1", None),
        ] {
            assert_eq!(find_query(target.as_bytes(), "id"), found.map(str::as_bytes), "{target}");
        }
    }

    #[test]
    fn the_first_cookie_of_a_name_is_found_undecoded() {
        for (field, found) in [
            ("sid=1; sid=2", Some("1")),
            ("a=sid=3;sid=4", Some("4")),
            ("  sid = x ;b=c", Some("x ")),
            ("sid=\"a b\"", Some("\"a b\"")),
            ("Sid=1", None),
            ("sid", None),
            ("xsid=1; sidx=2", None),
            ("sid=", Some("")),
            ("", None),
        ] {
            assert_eq!(find_cookie(field.as_bytes(), "sid"), found.map(str::as_bytes), "{field}");
        }
    }
}
