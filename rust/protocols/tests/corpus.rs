//! The kept corpus of the fuzz targets, run over the same checks on the stable toolchain.

#[path = "../../../fuzz/src/checks.rs"]
mod checks;

#[path = "../../../fuzz/src/caches.rs"]
mod caches;

use std::path::Path;

#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
fn feed(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut fed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        fed += 1;
    }
    assert!(fed >= 8, "the corpus of {target} has only {fed} inputs");
}

#[test]
fn the_corpus_of_heads_holds() {
    feed("head", checks::head);
}

#[test]
fn the_corpus_of_chunks_holds() {
    feed("chunks", checks::chunks);
}

#[test]
fn the_corpus_of_the_guard_holds() {
    feed("guard", checks::guard);
}

#[test]
fn the_corpus_of_memcache_holds() {
    feed("memcache", caches::memcache);
}

#[test]
fn the_corpus_of_redis_holds() {
    feed("resp", caches::resp);
}
