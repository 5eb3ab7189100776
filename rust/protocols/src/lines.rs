//! Field lines written for the next hop.

use httparse::Header;
use std::ops::Range;

/// Append `name: value` and the line's end.
pub(crate) fn write_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Append a line whose name stands in `start` with its colon and space.
pub(crate) fn write_known(start: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(start);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Append the fields that are not in the mask `skipped` and that `is_kept`, each as `name: value`.
///
/// Neighbours that stand in `bytes` just as they would be written are copied at once.
pub(crate) fn write_kept(
    bytes: &[u8],
    fields: &[Header<'_>],
    mut skipped: u128,
    is_kept: impl Fn(&Header<'_>) -> bool,
    out: &mut Vec<u8>,
) {
    let mut run = 0..0;
    for field in fields {
        let is_skipped = skipped & 1 != 0;
        skipped >>= 1;
        if is_skipped || !is_kept(field) {
            continue;
        }
        match plain_line(bytes, field) {
            Some(line) if line.start == run.end => run.end = line.end,
            Some(line) => {
                out.extend_from_slice(&bytes[run]);
                run = line;
            }
            None => {
                out.extend_from_slice(&bytes[run]);
                run = 0..0;
                write_line(field.name.as_bytes(), field.value, out);
            }
        }
    }
    out.extend_from_slice(&bytes[run]);
}

/// Return where a field stands in `bytes` as exactly `name: value` and CRLF, if it does.
fn plain_line(bytes: &[u8], field: &Header<'_>) -> Option<Range<usize>> {
    let base = bytes.as_ptr().addr();
    let start = field.name.as_ptr().addr().wrapping_sub(base);
    let value = field.value.as_ptr().addr().wrapping_sub(base);
    let (colon, end) = (start.wrapping_add(field.name.len()), value.wrapping_add(field.value.len()));
    let is_plain = value == colon.wrapping_add(2)
        && bytes.get(colon..value) == Some(b": ")
        && bytes.get(end..end.wrapping_add(2)) == Some(b"\r\n");
    is_plain.then(|| start..end + 2)
}
