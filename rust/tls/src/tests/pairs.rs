//! Pairs: what is taken, and what each bad one is told.

use super::{Authority, Folder, Leaf, ders};
use crate::files::{PAIR_BYTES_MAX, Part, Reason};
use crate::pair::{Pair, Place};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

fn check(place: &Place) -> Result<Pair, (Part, Reason)> {
    let now_s = i64::try_from(crate::now_s()).unwrap();
    let files = place.read().map_err(|fault| (fault.part, fault.reason))?;
    Pair::check(&files, &crate::config::provider(), now_s).map_err(|fault| (fault.part, fault.reason))
}

fn at(path: PathBuf) -> Place {
    Place { path, key: None, staple: None }
}

/// Returns what is said of a folder whose files were changed.
fn refusal(change: impl FnOnce(&Folder, &Path, &Leaf)) -> (Part, String) {
    let (folder, leaf) = (Folder::new(), Authority::new("authority").leaf(&["a.example"]));
    let path = folder.pair("pair", &leaf);
    assert!(check(&at(path.clone())).is_ok());
    change(&folder, &path, &leaf);
    let (part, reason) = check(&at(path)).err().unwrap();
    assert!(!reason.remedy().is_empty());
    (part, reason.to_string())
}

fn half(text: &str) -> &str {
    &text[..text.len() / 2]
}

#[test]
fn each_bad_pair_is_told_what_is_wrong_with_it() {
    let crt =
        |content: fn(&Leaf) -> String| refusal(|folder, _, leaf| drop(folder.write("pair/tls.crt", content(leaf))));
    let key =
        |content: fn(&Leaf) -> String| refusal(|folder, _, leaf| drop(folder.write("pair/tls.key", content(leaf))));
    let dated = |from: i32, to: i32| {
        refusal(|folder, _, _| {
            let leaf = Authority::new("authority").leaf_by(&["a.example"], |params| {
                params.not_before = rcgen::date_time_ymd(from, 1, 1);
                params.not_after = rcgen::date_time_ymd(to, 1, 1);
            });
            folder.pair("pair", &leaf);
        })
    };
    let cases = [
        ("cut chain", crt(|leaf| half(&leaf.chain).to_owned()), Part::Chain, "is broken: it is cut off"),
        ("cut key", key(|leaf| half(&leaf.key).to_owned()), Part::Key, "is broken: it is cut off"),
        ("empty chain", crt(|_| String::new()), Part::Chain, "is empty"),
        ("empty key", key(|_| String::new()), Part::Key, "is empty"),
        ("blank chain", crt(|_| "\n\n".to_owned()), Part::Chain, "holds no certificate in PEM"),
        ("no chain", crt(|leaf| leaf.key.clone()), Part::Chain, "holds no certificate in PEM"),
        ("no key", key(|leaf| leaf.chain.clone()), Part::Key, "holds no private key in PEM"),
        ("no base64", crt(|leaf| leaf.chain.replace("\nMI", "\n!!")), Part::Chain, "is broken: base64"),
        ("no DER", crt(|_| pem("CERTIFICATE", "AAAA")), Part::Chain, "is broken: "),
        ("no key in DER", key(|_| pem("PRIVATE KEY", "AAAA")), Part::Key, "is broken: "),
        (
            "other key",
            key(|_| Authority::new("other").leaf(&["a.example"]).key),
            Part::Key,
            "holds no key of the certi",
        ),
        ("other chain", crt(|_| Authority::new("other").leaf(&["a.example"]).chain), Part::Key, "holds no key of the"),
        (
            "locked key",
            key(|_| pem("ENCRYPTED PRIVATE KEY", "AAAA")),
            Part::Key,
            "holds a key that is encrypted under a",
        ),
        (
            "locked key of old",
            key(|_| pem("EC PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA")),
            Part::Key,
            "holds a key that is encrypted under a",
        ),
        ("expired", dated(2000, 2001), Part::Chain, "holds a certificate that expired at Mon, 01 Jan 2001"),
        ("not begun", dated(2150, 2151), Part::Chain, "holds a certificate that is not valid before Thu, 01 Jan 2150"),
    ];
    for (case, (part, reason), expected_part, expected) in cases {
        assert_eq!(part, expected_part, "{case}");
        assert!(reason.starts_with(expected), "{case}: {reason}");
    }
}

fn pem(kind: &str, inside: &str) -> String {
    format!("-----BEGIN {kind}-----\n{inside}\n-----END {kind}-----\n")
}

#[test]
fn what_is_no_readable_file_is_neither_waited_for_nor_read_whole() {
    let replaced = |name: &'static str, by: fn(&Path)| {
        refusal(|_, path, _| {
            std::fs::remove_file(path.join(name)).unwrap();
            by(&path.join(name));
        })
    };
    let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let huge = |path: &Path| std::fs::File::create(path).unwrap().set_len(PAIR_BYTES_MAX + 1).unwrap();
    let cases = [
        (replaced("tls.crt", |_| {}), Part::Chain, "is not there"),
        (replaced("tls.key", |_| {}), Part::Key, "is not there"),
        (replaced("tls.crt", fifo), Part::Chain, "is no regular file"),
        (replaced("tls.key", fifo), Part::Key, "is no regular file"),
        (replaced("tls.crt", |path| std::fs::create_dir(path).unwrap()), Part::Chain, "is no regular file"),
        (replaced("tls.crt", |path| symlink("/dev/zero", path).unwrap()), Part::Chain, "is no regular file"),
        (replaced("tls.crt", |path| symlink("tls.crt", path).unwrap()), Part::Chain, "cannot be read: "),
        (replaced("tls.crt", huge), Part::Chain, "is larger than 1048576 bytes"),
        (replaced("tls.key", huge), Part::Key, "is larger than 1048576 bytes"),
    ];
    for ((part, reason), expected_part, expected) in cases {
        assert_eq!(part, expected_part, "{reason}");
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn a_pair_lies_in_a_folder_in_one_file_in_two_or_behind_a_link_that_is_swapped() {
    let (folder, leaf) = (Folder::new(), Authority::new("authority").leaf(&["a.example", "*.b.example", "192.0.2.1"]));
    let both = folder.write("both.pem", format!("{}{}", leaf.key, leaf.chain));
    let chain = folder.write("chain.pem", &leaf.chain);
    let key = folder.write("key.pem", &leaf.key);
    folder.pair("secret/..1", &leaf);
    symlink("..1", folder.0.join("secret/..data")).unwrap();
    symlink("..data/tls.crt", folder.0.join("secret/tls.crt")).unwrap();
    symlink("..data/tls.key", folder.0.join("secret/tls.key")).unwrap();
    let places =
        [at(folder.pair("pair", &leaf)), at(both), Place { key: Some(key), ..at(chain) }, at(folder.0.join("secret"))];
    for place in places {
        let pair = check(&place).unwrap();
        assert_eq!(*pair.holds.names, ["a.example".into(), "*.b.example".into()]);
        assert_eq!(*pair.holds.addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
        assert!(pair.expires_s > 0 && pair.unstapled.is_none());
    }
}

#[test]
fn a_file_in_the_place_of_a_link_is_read_and_not_what_the_link_led_to() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    folder.pair("secret/..1", &authority.leaf(&["a.example"]));
    symlink("..1", folder.0.join("secret/..data")).unwrap();
    symlink("..data/tls.crt", folder.0.join("secret/tls.crt")).unwrap();
    folder.write("secret/tls.key", authority.leaf(&["a.example"]).key);
    assert!(check(&at(folder.0.join("secret"))).is_err(), "the key is of another certificate");
}

#[test]
fn a_chain_in_any_order_is_shown_in_its_own() {
    let root = Authority::new("root");
    let (outer, folder) = (root.below("outer"), Folder::new());
    let inner = outer.below("inner");
    let leaf = inner.leaf(&["a.example"]);
    let expected = ders(&[&*leaf.chain, &inner.pem(), &outer.pem(), &root.pem()].concat());
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let parts = [leaf.chain.clone(), inner.pem(), outer.pem(), root.pem()];
        let chain: String = order.iter().map(|&at| &*parts[at]).collect();
        let path = folder.pair("pair", &Leaf { chain, key: leaf.key.clone() });
        assert_eq!(check(&at(path)).unwrap().certified.cert, expected, "{order:?}");
    }
}
