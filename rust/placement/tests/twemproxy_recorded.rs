//! What twemproxy 0.5.0 and libmemcached 1.1.4 did, recorded from the live programs.
//! `tests/agreement/test_twemproxy_placement.py` asks the live twemproxy many thousand times.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use alongside_placement::twemproxy::{Continuum, Distribution, Hash, Server, Signedness, Terms};

const SERVERS: [(&str, u32); 3] = [("alpha", 1), ("beta", 2), ("gamma", 1)];
const KEYS: [&str; 5] = ["foo", "bar", "user:1", "user:{42}:name", "café"];

/// The hash of a key, its server by ketama, its server by modula.
type Placed = (u32, usize, usize);

const PLACED: [(Hash, [Placed; 5]); 12] = [
    (
        Hash::OneAtATime,
        [(596015325, A, B), (2151715081, B, B), (2773942091, A, G), (2943448602, B, A), (3650908318, B, A)],
    ),
    (Hash::Md5, [(3675831724, B, B), (421377335, B, G), (282964413, G, B), (3895573093, B, B), (3833532679, B, G)]),
    (Hash::Crc16, [(205303702, G, A), (1276220357, B, B), (3580783130, A, A), (4193931094, G, A), (4129724007, A, G)]),
    (Hash::Crc32, [(3187, A, G), (30463, A, G), (31653, A, B), (16096, A, B), (6317, A, B)]),
    (
        Hash::Crc32a,
        [(2356372769, A, B), (1996459178, B, A), (2074460802, B, A), (3202416040, B, B), (2561491637, B, B)],
    ),
    (
        Hash::Fnv1_64,
        [(1805727027, A, G), (1806514304, A, B), (3376212627, G, G), (2463323743, B, G), (2315714289, A, B)],
    ),
    (
        Hash::Fnv1a_64,
        [(4275688823, G, G), (322520602, G, A), (1963465963, A, G), (2586002863, G, G), (3472276361, B, B)],
    ),
    (Hash::Fnv1_32, [(1083137555, B, G), (513390112, A, B), (13403571, B, G), (3976222335, G, G), (3598905713, B, B)]),
    (
        Hash::Fnv1a_32,
        [(2851307223, B, G), (1991736602, G, A), (1830439627, A, G), (1009282959, A, G), (1970454601, A, B)],
    ),
    (Hash::Hsieh, [(1993659431, B, G), (2197238083, B, G), (3888060454, A, A), (183126618, G, A), (3728705621, B, B)]),
    (Hash::Murmur, [(3303027599, A, G), (516654467, A, G), (3587224931, A, G), (2319559350, A, A), (3658586143, B, G)]),
    (
        Hash::Jenkins,
        [(2583187353, G, B), (2006320315, G, G), (936206289, A, B), (4086919218, B, A), (3412207021, B, B)],
    ),
];
const A: usize = 0;
const B: usize = 1;
const G: usize = 2;

fn servers(named: &[(&str, u32)]) -> Vec<Server> {
    named.iter().map(|&(name, weight)| Server { name: name.to_owned(), weight }).collect()
}

fn terms(hash: Hash, distribution: Distribution) -> Terms {
    Terms { hash, distribution, signedness: Signedness::Signed, tag: None }
}

fn continuum(hash: Hash, distribution: Distribution, named: &[(&str, u32)]) -> Continuum {
    Continuum::new(terms(hash, distribution), &servers(named)).unwrap()
}

#[test]
fn keys_are_hashed_and_placed_as_twemproxy_did() {
    for (hash, placed) in PLACED {
        let ketama = continuum(hash, Distribution::Ketama, &SERVERS);
        let modula = continuum(hash, Distribution::Modula, &SERVERS);
        for (key, expected) in KEYS.iter().zip(placed) {
            let key = key.as_bytes();
            let found = (ketama.hash(key), ketama.server(key, 0), modula.server(key, 0));
            assert_eq!(found, expected, "{hash} {}", String::from_utf8_lossy(key));
        }
    }
}

/// From twemproxy's own tests.
#[test]
fn every_hash_of_one_word_is_as_published() {
    let published = [
        (Hash::OneAtATime, 2297466611),
        (Hash::Md5, 3195025439),
        (Hash::Crc16, 3662830516),
        (Hash::Crc32, 10542),
        (Hash::Crc32a, 2838417488),
        (Hash::Fnv1_32, 67176023),
        (Hash::Fnv1a_32, 280767167),
        (Hash::Fnv1_64, 473199127),
        (Hash::Fnv1a_64, 1488911807),
        (Hash::Hsieh, 3738850110),
        (Hash::Jenkins, 1442444624),
        (Hash::Murmur, 4142305122),
    ];
    for (hash, expected) in published {
        assert_eq!(hash.of(b"apple", Signedness::Signed), expected, "{hash}");
        assert_eq!(hash.of(b"apple", Signedness::Unsigned), expected, "{hash}: no byte is above 0x7f");
        assert_eq!(hash.of(b"", Signedness::Signed), 0, "{hash}: an empty key is not hashed");
    }
}

#[test]
fn bytes_above_0x7f_are_read_as_the_processor_would() {
    let key = "café".as_bytes();
    let expected = [
        (Hash::Fnv1a_64, 3483635081),
        (Hash::OneAtATime, 2425794034),
        (Hash::Fnv1_64, 2315665649),
        (Hash::Fnv1_32, 1719915377),
        (Hash::Fnv1a_32, 2821410889),
    ];
    for (hash, unsigned) in expected {
        assert_eq!(hash.of(key, Signedness::Unsigned), unsigned, "{hash}");
    }
    for hash in [Hash::Md5, Hash::Crc16, Hash::Crc32, Hash::Crc32a, Hash::Murmur, Hash::Jenkins] {
        assert_eq!(hash.of(key, Signedness::Unsigned), hash.of(key, Signedness::Signed), "{hash}");
    }
}

#[test]
fn what_is_inside_a_tag_is_hashed_alone() {
    let tagged = |tag: Option<[u8; 2]>| {
        let terms = Terms { tag, ..terms(Hash::Fnv1a_64, Distribution::Ketama) };
        Continuum::new(terms, &servers(&SERVERS)).unwrap()
    };
    let braces = tagged(Some(*b"{}"));
    assert_eq!(braces.hash(b"user:{42}:name"), 3031536163);
    assert_eq!(braces.server(b"user:{42}:name", 0), G);
    let cases: [(&[u8; 2], &str, &str); 9] = [
        (b"{}", "{}x", "{}x"),
        (b"{}", "{{a}}", "{a"),
        (b"{}", "}a{b}c", "b"),
        (b"{}", "a{b", "a{b"),
        (b"{}", "a}b", "a}b"),
        (b"{}", "{}{a}", "{}{a}"),
        (b"{}", "{a}{b}", "a"),
        (b"||", "x|a|b|", "a"),
        (b"{}", "", ""),
    ];
    for (tag, key, inside) in cases {
        assert_eq!(tagged(Some(*tag)).tagged(key.as_bytes()), inside.as_bytes(), "{key}");
        assert_eq!(tagged(None).tagged(key.as_bytes()), key.as_bytes(), "{key}");
    }
}

#[test]
fn a_tiny_weight_has_no_point_and_no_key() {
    let ketama = continuum(Hash::Fnv1a_64, Distribution::Ketama, &[("tiny", 1), ("huge", 9999)]);
    assert_eq!(ketama.points()[0], 0);
    assert!((0..5000_u32).all(|number| ketama.server(&number.to_le_bytes(), 0) == 1));
    let alone = ketama.among(|index| index == 0).unwrap();
    assert_eq!((alone.points(), alone.server(b"a", 0)), (vec![160, 0], 0));
}

#[test]
fn points_follow_weights() {
    assert_eq!(continuum(Hash::Md5, Distribution::Ketama, &SERVERS).points(), [120, 240, 120]);
    assert_eq!(continuum(Hash::Md5, Distribution::Modula, &SERVERS).points(), [1, 2, 1]);
    let without = continuum(Hash::Md5, Distribution::Ketama, &SERVERS).among(|index| index != B).unwrap();
    assert_eq!(without.points(), [160, 0, 160]);
}

#[test]
fn words_are_read_as_they_are_written_and_others_refused() {
    for hash in Hash::ALL {
        assert_eq!(hash.as_str().parse(), Ok(hash));
    }
    for distribution in Distribution::ALL {
        assert_eq!(distribution.as_str().parse(), Ok(distribution));
    }
    let error = "crc64".parse::<Hash>().unwrap_err().to_string();
    assert!(error.starts_with("hash \"crc64\" is not known; write one of one_at_a_time, md5, "), "{error}");
    let error = "modulo".parse::<Distribution>().unwrap_err().to_string();
    assert_eq!(error, "distribution \"modulo\" is not known; write one of ketama, modula, random");
}

/// libmemcached 1.1.4 with `KETAMA_WEIGHTED` and MD5; it chose alike in 30,000 other keys.
#[test]
fn md5_and_ketama_are_those_of_libmemcached() {
    let servers = [("10.0.0.1", 1), ("10.0.0.2:11212", 3), ("cache-c", 2), ("cache-d:7000", 5)];
    let chosen = [
        ("foo", 3),
        ("bar", 1),
        ("user:1", 2),
        ("user:{42}:name", 1),
        ("café", 3),
        ("a", 1),
        ("photo-1.jpg", 3),
        ("session:9f", 1),
    ];
    let ketama = continuum(Hash::Md5, Distribution::Ketama, &servers);
    for (key, expected) in chosen {
        assert_eq!(ketama.server(key.as_bytes(), 0), expected, "{key}");
    }
}
