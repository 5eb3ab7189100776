//! Words that the ambassador writes itself.

use alongside_document::PoolProtocol;
use alongside_protocols::resp::Version;
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

/// Append how a map of so many pairs begins, which RESP2 has as an array.
pub(crate) fn write_map(out: &mut Vec<u8>, version: Version, pairs: usize) {
    match version {
        Version::Two => write_array(out, pairs * 2),
        Version::Three => {
            out.push(b'%');
            write_decimal(pairs as u64, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Append a text for people, which RESP3 tells from a value.
pub(crate) fn write_text(out: &mut Vec<u8>, version: Version, text: &str) {
    match version {
        Version::Two => write_bulk(out, text.as_bytes()),
        Version::Three => {
            let start = out.len();
            write_bulk(out, format!("txt:{text}").as_bytes());
            out[start] = b'=';
        }
    }
}

/// Append that there is no value.
pub(crate) fn write_null(out: &mut Vec<u8>, version: Version) {
    out.extend_from_slice(match version {
        Version::Two => b"$-1\r\n",
        Version::Three => b"_\r\n",
    });
}

/// Append an integer of Redis.
pub(crate) fn write_integer(out: &mut Vec<u8>, number: u64) {
    out.push(b':');
    write_decimal(number, out);
    out.extend_from_slice(b"\r\n");
}

/// Append a command of Redis.
pub(crate) fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    write_array(out, words.len());
    words.iter().for_each(|word| write_bulk(out, word));
}
