//! Words that the ambassador writes itself.

use alongside_document::PoolProtocol;
use alongside_protocols::write_decimal;

use super::Why;

/// Append an error of Redis.
pub(crate) fn write_error(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"-ERR ");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// Append the error that tells why a server did not answer.
pub(crate) fn write_failure(out: &mut Vec<u8>, protocol: PoolProtocol, why: Why) {
    match protocol {
        PoolProtocol::Memcache => {
            out.extend_from_slice(b"SERVER_ERROR ");
            out.extend_from_slice(why.text().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        PoolProtocol::Redis => write_error(out, why.text().as_bytes()),
    }
}

/// Append an argument of Redis.
pub(crate) fn write_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    write_decimal(bytes.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Append how an array of so many begins.
pub(crate) fn write_array(out: &mut Vec<u8>, count: usize) {
    out.push(b'*');
    write_decimal(count as u64, out);
    out.extend_from_slice(b"\r\n");
}

/// Append a command of Redis.
pub(crate) fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    write_array(out, words.len());
    words.iter().for_each(|word| write_bulk(out, word));
}
