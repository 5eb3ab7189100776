use super::*;

/// Body, trailers, and where it ended.
type Decoded = (Vec<u8>, Vec<u8>, Option<usize>);

fn decoded(bytes: &[u8], step: usize) -> Result<Decoded, Reason> {
    let mut decoder = Decoder::new(&Limits::default());
    let (mut body, mut at) = (Vec::new(), 0);
    for part in bytes.chunks(step) {
        let mut part_at = 0;
        loop {
            let (used, piece) = decoder.decode(&part[part_at..]).map_err(|refusal| refusal.reason)?;
            part_at += used;
            match piece {
                Piece::More => break,
                Piece::Data(data) => body.extend_from_slice(data),
                Piece::End => return Ok((body, decoder.trailers().to_vec(), Some(at + part_at))),
            }
        }
        assert_eq!(part_at, part.len());
        at += part.len();
    }
    Ok((body, decoder.trailers().to_vec(), None))
}

#[test]
fn reads_a_body_at_every_split_and_stops_behind_it() {
    let bytes = b"5;name=\"v\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\nGET /next";
    for step in 1..=bytes.len() {
        let (body, trailers, end) = decoded(bytes, step).unwrap();
        assert_eq!(body, b"hello0123456789");
        assert_eq!(trailers, b"X-Sum: 7\r\n");
        assert_eq!(end, Some(bytes.len() - "GET /next".len()));
    }
}

#[test]
fn refuses_what_is_not_strictly_chunked() {
    for bytes in [
        &b"0x5\r\nhello\r\n0\r\n\r\n"[..],
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b"1000000000000000\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5;a\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"\r\n",
        b";a\r\n",
        b"5;\x00\r\n",
        b"5;\xff\r\n",
        b"5\rhello",
        b"0\r\nbad\r\n\r\n",
        b"0\r\n: x\r\n\r\n",
        b"0\r\nA : x\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"0\r\n\rX",
        b"0\r\n\n",
    ] {
        let whole = decoded(bytes, bytes.len());
        assert!(whole.is_err(), "{}", bytes.escape_ascii());
        assert_eq!(decoded(bytes, 1), whole);
    }
}

#[test]
fn bounds_extensions_and_trailers() {
    let extended = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(bytes)).into_bytes();
    assert!(decoded(&extended(256), 7).is_ok());
    assert_eq!(decoded(&extended(257), 7), Err(Reason::Chunk));
    let flood = format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(82));
    assert_eq!(decoded(flood.as_bytes(), 7), Err(Reason::Chunk));
    let lines = |count: usize| format!("0\r\n{}\r\n", "host: b\r\n".repeat(count)).into_bytes();
    assert!(decoded(&lines(32), 7).is_ok());
    assert_eq!(decoded(&lines(33), 7), Err(Reason::Trailer));
    let long = format!("0\r\na: {}\r\n\r\n", "b".repeat(8192));
    assert_eq!(decoded(long.as_bytes(), 7), Err(Reason::Trailer));
}

#[test]
fn drops_trailers_that_frame_route_or_identify() {
    for name in [
        "Content-Length",
        "transfer_encoding",
        "Host",
        "Authorization",
        "X-Forwarded-For",
        "x_alongside_key",
        "Set-Cookie",
    ] {
        let bytes = format!("0\r\n{name}: x\r\n\r\n");
        assert_eq!(decoded(bytes.as_bytes(), 3), Ok((vec![], vec![], Some(bytes.len()))), "{name}");
    }
}

#[test]
fn repeats_its_refusal() {
    let mut decoder = Decoder::new(&Limits::default());
    assert!(decoder.decode(b"x").is_err());
    assert!(decoder.decode(b"5\r\n").is_err());
    assert!(!decoder.is_done());
}

#[test]
fn uses_nothing_after_the_end() {
    let mut decoder = Decoder::new(&Limits::default());
    assert_eq!(decoder.decode(b"0\r\n\r\nrest"), Ok((5, Piece::End)));
    assert_eq!(decoder.decode(b"rest"), Ok((0, Piece::End)));
    assert!(decoder.is_done());
}

#[test]
fn writes_chunks_that_it_reads() {
    let mut out = Vec::new();
    for bytes in [1, 9, 15, 16, 255, 4096] {
        write_chunk(&vec![b'x'; bytes], &mut out);
    }
    write_chunk(b"", &mut out);
    write_end(b"a: b\r\n", &mut out);
    let total = 1 + 9 + 15 + 16 + 255 + 4096;
    assert_eq!(decoded(&out, 100), Ok((vec![b'x'; total], b"a: b\r\n".to_vec(), Some(out.len()))));
    assert!(out.starts_with(b"1\r\nx\r\n9\r\n"));
}
