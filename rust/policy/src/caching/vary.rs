//! The secondary key: which request fields chose a response, and their normalised values.

use super::Fields;
use super::fields::{Quotes, is_token, members};
use httparse::Header;

/// The most fields a stored response may vary with.
pub const VARY_NAMES_MAX: usize = 16;

/// The names of a `Vary` field, lower-case, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaryNames(Box<str>);

impl VaryNames {
    /// Whether the response is the same for all requests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Return the names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // A comma is no token character, so it can separate the names.
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// Return the bytes they take, without the allocation's overhead.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

/// Return the names that a response varies with; `None` if it is for its own request only: `*`, a name that is
/// no token, or more than [`VARY_NAMES_MAX`].
///
//= RFC 9111 section 4.1: a Vary that contains "*" never matches.
#[must_use]
pub fn names(response: Fields<'_>) -> Option<VaryNames> {
    let mut names: Vec<String> = Vec::new();
    for member in response.all("vary").flat_map(members) {
        let member = member.ok()?;
        if member == b"*" || !is_token(member) {
            return None;
        }
        let name = String::from_utf8(member.to_ascii_lowercase()).ok()?;
        if let Err(at) = names.binary_search(&name) {
            if names.len() == VARY_NAMES_MAX {
                return None;
            }
            names.insert(at, name);
        }
    }
    Some(VaryNames(names.join(",").into_boxed_str()))
}

/// Append the secondary key of a request: two requests get the same bytes only if their fields of these names
/// say the same.
///
/// A field's lines are joined by a comma, white space around commas is folded; an absent field differs from an
/// empty one. Case and order are kept.
///
//= RFC 9111 section 4.1: fields match when they can be made equal by adding or removing white space where the
// syntax allows it, and by combining lines. Within quoted strings it does not.
pub fn key(names: &VaryNames, request: Fields<'_>, out: &mut Vec<u8>) {
    for name in names.iter() {
        let start = out.len();
        // Room for the length, which keeps one value from running into the next; u64::MAX stands for absent.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        let from = out.len();
        let mut is_present = false;
        for value in request.all(name) {
            if is_present {
                out.push(b',');
            }
            is_present = true;
            fold(value, out);
        }
        if is_present {
            let length = (out.len() - from) as u64;
            out[start..from].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Return request fields that give this secondary key; `None` for bytes that [`key`] would not give for these names.
#[must_use]
pub fn fields<'a>(names: &'a VaryNames, secondary: &'a [u8]) -> Option<Vec<Header<'a>>> {
    let (mut found, mut rest) = (Vec::new(), secondary);
    for name in names.iter() {
        let (length, after) = rest.split_first_chunk::<8>()?;
        rest = after;
        let length = u64::from_le_bytes(*length);
        if length != u64::MAX {
            let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            found.push(Header { name, value });
        }
    }
    let mut again = Vec::with_capacity(secondary.len());
    key(names, Fields(&found), &mut again);
    (again == secondary).then_some(found)
}

/// Append a value without the white space around its commas.
fn fold(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut quotes = Quotes::default();
    // Bytes before this stay: they belong to a quoted string.
    let mut kept = start;
    let mut is_after_comma = true;
    for &byte in value {
        let is_quoted = quotes.is_open();
        quotes.read(byte);
        if is_quoted {
            out.push(byte);
            kept = out.len();
            is_after_comma = false;
        } else if byte == b',' {
            while out.len() > kept && matches!(out.last(), Some(b' ' | b'\t')) {
                out.pop();
            }
            out.push(byte);
            is_after_comma = true;
        } else if !(is_after_comma && matches!(byte, b' ' | b'\t')) {
            out.push(byte);
            is_after_comma = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    fn check_names(lines: &[&str], expected: Option<&str>) {
        let pairs: Vec<(&str, &str)> = lines.iter().map(|line| ("Vary", *line)).collect();
        let found = names(Fields(&headers(&pairs)));
        assert_eq!(found, expected.map(|text| VaryNames(text.into())), "{lines:?}");
    }

    #[test]
    fn orders_the_names() {
        check_names(&[], Some(""));
        check_names(&["", " , "], Some(""));
        check_names(&["B, a", "A,b ,c"], Some("a,b,c"));
        check_names(&["a", "*"], None);
        check_names(&["a b"], None);
        check_names(&["a, \"b\""], None);
        let many: Vec<String> = (0..=VARY_NAMES_MAX).map(|one| format!("x{one}")).collect();
        check_names(&[&many.join(",")], None);
    }

    fn check(one: &[(&str, &str)], other: &[(&str, &str)], is_same: bool) {
        let names = VaryNames("a,b".into());
        let [one_key, other_key] = [one, other].map(|fields| {
            let mut out = Vec::new();
            key(&names, Fields(&headers(fields)), &mut out);
            out
        });
        assert_eq!(one_key == other_key, is_same, "{one:?} {other:?}");
    }

    #[test]
    fn folds_only_what_means_nothing() {
        check(&[("a", "x, y")], &[("A", "x ,\ty ")], true);
        check(&[("a", "x"), ("a", "y")], &[("a", "x,y")], true);
        check(&[("a", "x"), ("c", "1")], &[("a", "x"), ("c", "2")], true);
        check(&[("a", "x"), ("b", "y")], &[("b", "y"), ("a", "x")], true);
        check(&[("a", "x,y")], &[("a", "y,x")], false);
        check(&[("a", "x y")], &[("a", "xy")], false);
        check(&[("a", "X")], &[("a", "x")], false);
        check(&[("a", "\"x, y\"")], &[("a", "\"x,y\"")], false);
        check(&[("a", "\"x \",y")], &[("a", "\"x\",y")], false);
        check(&[("a", "\"x\\\" , y\"")], &[("a", "\"x\\\",y\"")], false);
        check(&[("a", "")], &[], false);
        check(&[("a", "x")], &[("b", "x")], false);
        check(&[("a", "xy")], &[("a", "x"), ("b", "y")], false);
    }

    #[test]
    fn reads_its_own_keys_back_and_no_others() {
        let names = VaryNames("a,b".into());
        let secondary = |list: &[(&str, &str)]| {
            let mut out = Vec::new();
            key(&names, Fields(&headers(list)), &mut out);
            out
        };
        for list in [&[][..], &[("a", "x, y"), ("b", "")], &[("b", "z"), ("b", "\"q , r\"")]] {
            let written = secondary(list);
            let found = fields(&names, &written).unwrap();
            let mut again = Vec::new();
            key(&names, Fields(&found), &mut again);
            assert_eq!(again, written);
            for end in 0..written.len() {
                assert!(fields(&names, &written[..end]).is_none(), "{list:?} {end}");
            }
            assert!(fields(&names, &[&written[..], b"x"].concat()).is_none());
        }
        let unfolded = [&4_u64.to_le_bytes()[..], b"x, y", &u64::MAX.to_le_bytes()].concat();
        assert!(fields(&names, &unfolded).is_none());
        assert!(fields(&VaryNames::default(), b"").unwrap().is_empty());
    }
}
