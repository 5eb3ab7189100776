//! What nginx 1.22.1 did, recorded from the live program: for each key the servers it tried, each refusing.
//! `tests/agreement/test_nginx_placement.py` asks the live one a hundred thousand times.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use alongside_placement::{Function, Placement, Shard};

const SERVERS: [(&str, u32); 6] = [
    ("127.0.0.1:9", 2),
    ("127.0.0.2:10009", 1),
    ("127.0.0.3", 3),
    ("[::1]:9", 1),
    ("unix:/nonexistent/a.sock", 5),
    ("0x7f000005:9", 1),
];

/// A key, then the first three servers with `hash $request_uri`, then those with `consistent`.
const TRIED: [(&str, [usize; 3], [usize; 3]); 11] = [
    ("/", [0, 3, 1], [0, 3, 4]),
    ("/a", [2, 4, 1], [4, 0, 5]),
    ("/photos/1.jpg", [1, 3, 4], [0, 4, 2]),
    ("/photos/2.jpg?w=100", [4, 2, 5], [4, 2, 0]),
    ("/index.html", [0, 2, 5], [0, 4, 2]),
    ("/%E2%82%AC", [4, 5, 2], [4, 0, 5]),
    ("/café", [2, 4, 3], [3, 2, 4]),
    ("/user:42", [4, 0, 3], [5, 0, 2]),
    ("/?", [3, 5, 0], [2, 3, 0]),
    ("/x=1&y=2", [5, 4, 0], [2, 0, 1]),
    ("/zz", [4, 0, 2], [0, 4, 2]),
];

fn tried(placement: &Placement, key: &str) -> Vec<usize> {
    let mut dead = Vec::new();
    for _ in 0..3 {
        dead.push(placement.shard_among(key.as_bytes(), |index| !dead.contains(&index)).unwrap());
    }
    dead
}

#[test]
fn keys_and_their_fail_over_are_placed_as_nginx_placed_them() {
    let shards = SERVERS.map(|(name, weight)| Shard { name: name.to_owned(), weight });
    let modulo = Placement::new(Function::Modulo, &shards).unwrap();
    let ketama = Placement::new(Function::Ketama, &shards).unwrap();
    for (key, by_modulo, by_ketama) in TRIED {
        assert_eq!(tried(&modulo, key), by_modulo, "{key} modulo");
        assert_eq!(tried(&ketama, key), by_ketama, "{key} ketama");
        assert_eq!((modulo.shard(key.as_bytes()), ketama.shard(key.as_bytes())), (by_modulo[0], by_ketama[0]));
    }
}
