//! Files that change while clients come in.

use super::{Authority, Folder, Leaf, Server, client, ders, document, meet};
use crate::{Acceptor, Metrics, Refused};
use alongside_document::Tls;
use prometheus_client::registry::Registry;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const LABEL: &str = "listener=\"web\",certificate=\"a\"";

impl Server {
    /// Looks once, as who follows does, each time a bit later.
    pub fn look(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.acceptor.look_once(crate::now_s() as i64 * 1000 + self.looks.get() * 2000)
    }

    fn stale(&self) -> String {
        self.metric(&format!("alongside_tls_certificate_stale{{{LABEL}}}"))
    }

    fn reloads(&self, outcome: &str) -> String {
        self.metric(&format!("alongside_tls_reloads_total{{{LABEL},outcome=\"{outcome}\"}}"))
    }
}

async fn shown(server: &Server, authority: &Authority) -> CertificateDer<'static> {
    meet(server, &Arc::new(client(authority)), "a.example").await.1.unwrap().certificate
}

fn first(leaf: &Leaf) -> CertificateDer<'static> {
    ders(&leaf.chain).remove(0)
}

#[tokio::test]
async fn each_bad_swap_keeps_the_old_pair_says_so_once_and_recovers() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let old = authority.leaf(&["a.example"]);
    let server = Server::new(&document(&[("a", folder.pair("pair", &old))], json!({})));
    let other = authority.leaf(&["a.example"]);
    let expired = authority.leaf_by(&["a.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let bad: [(&str, &dyn Fn()); 6] = [
        ("cut", &|| drop(folder.write("pair/tls.crt", &other.chain[..200]))),
        ("empty", &|| drop(folder.write("pair/tls.key", ""))),
        ("mismatch", &|| drop(folder.write("pair/tls.key", &other.key))),
        ("expired", &|| drop(folder.pair("pair", &expired))),
        ("deleted", &|| std::fs::remove_file(folder.0.join("pair/tls.crt")).unwrap()),
        ("folder deleted", &|| std::fs::remove_dir_all(folder.0.join("pair")).unwrap()),
    ];
    let mut now = old;
    for (number, (case, swap)) in bad.into_iter().enumerate() {
        swap();
        assert!(server.look(), "{case}: somebody may be writing");
        assert_eq!(server.stale(), "0");
        assert!(!server.look());
        for _ in 0..2 {
            assert!(!server.look());
            assert_eq!((server.stale(), server.reloads("refused")), ("1".into(), (number + 1).to_string()), "{case}");
        }
        assert_eq!(shown(&server, &authority).await, first(&now), "{case}");
        now = authority.leaf(&["a.example"]);
        folder.pair("pair", &now);
        server.look();
        assert_eq!((server.stale(), server.reloads("taken")), ("0".into(), (number + 1).to_string()), "{case}");
        assert_eq!(shown(&server, &authority).await, first(&now), "{case}");
    }
}

#[tokio::test]
async fn what_is_replaced_file_by_file_is_never_said_to_be_bad() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let server = Server::new(&document(&[("a", folder.pair("pair", &authority.leaf(&["a.example"])))], json!({})));
    let new = authority.leaf(&["a.example"]);
    folder.write("pair/tls.key", &new.key);
    assert!(server.look());
    folder.write("pair/tls.crt", &new.chain);
    assert!(!server.look());
    assert_eq!(
        (server.stale(), server.reloads("refused"), server.reloads("taken")),
        ("0".into(), "0".into(), "1".into())
    );
    assert_eq!(shown(&server, &authority).await, first(&new));
    // Written again with the same content: nothing happened.
    folder.pair("pair", &new);
    assert!(!server.look());
    assert_eq!(server.reloads("taken"), "1");
}

/// Makes a folder as Kubernetes does, with the pair behind a link, or swaps that link to another pair.
fn publish(folder: &Folder, version: &str, leaf: &Leaf) {
    folder.pair(&format!("secret/{version}"), leaf);
    symlink(version, folder.0.join("secret/..tmp")).unwrap();
    std::fs::rename(folder.0.join("secret/..tmp"), folder.0.join("secret/..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let _ = symlink(Path::new("..data").join(name), folder.0.join("secret").join(name));
    }
}

#[tokio::test]
async fn who_follows_takes_swapped_links_and_folders_that_come_back() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    publish(&folder, "..1", &authority.leaf(&["a.example"]));
    let server = Server::new(&document(&[("a", folder.0.join("secret"))], json!({})));
    let following = tokio::spawn(server.acceptor.follow());
    let until = async |what: &Leaf| {
        let seen = async {
            while shown(&server, &authority).await != first(what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
    };
    for version in 2..6 {
        let new = authority.leaf(&["a.example"]);
        publish(&folder, &format!("..{version}"), &new);
        until(&new).await;
        std::fs::remove_dir_all(folder.0.join(format!("secret/..{}", version - 1))).unwrap();
    }
    let until_stale = async || {
        let seen = async {
            while server.stale() != "1" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
    };
    // Written over where it lies, behind the links.
    std::fs::write(folder.0.join("secret/..5/tls.crt"), "").unwrap();
    until_stale().await;
    let next = authority.leaf(&["a.example"]);
    publish(&folder, "..6", &next);
    until(&next).await;
    assert_eq!(server.stale(), "0");
    std::fs::remove_dir_all(folder.0.join("secret")).unwrap();
    until_stale().await;
    let back = authority.leaf(&["a.example"]);
    publish(&folder, "..9", &back);
    until(&back).await;
    assert_eq!(server.stale(), "0");
    drop(server);
    tokio::time::timeout(Duration::from_secs(20), following).await.unwrap().unwrap();
}

fn open(tls: &Tls, before: Option<&Arc<Acceptor>>) -> Result<Arc<Acceptor>, Vec<(String, String)>> {
    let metrics = Metrics::register(&mut Registry::default());
    let said = |problems: Vec<alongside_document::Problem>| problems.into_iter().map(|it| (it.path, it.what)).collect();
    Acceptor::open("web", tls, before, &metrics).map_err(said)
}

#[test]
fn a_start_says_all_that_is_wrong_and_a_reload_keeps_what_was_good() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let (a, b) = (folder.pair("a", &authority.leaf(&["a.example"])), folder.pair("b", &authority.leaf(&["b.example"])));
    let tls = document(&[("a", a.clone()), ("b", b.clone())], json!({}));
    let before = open(&tls, None).unwrap();
    std::fs::remove_file(a.join("tls.crt")).unwrap();
    folder.write("b/tls.key", "");
    let problems = open(&tls, None).err().unwrap();
    assert_eq!(problems[0], ("certificates[0].path".into(), format!("{} is not there", a.join("tls.crt").display())));
    assert_eq!(problems[1], ("certificates[1].path".into(), format!("{} is empty", b.join("tls.key").display())));
    assert_eq!(open(&tls, Some(&before)).unwrap().expiry_s().count(), 2);
    let moved = document(&[("a", a), ("b", folder.0.join("elsewhere"))], json!({}));
    let problems = open(&moved, Some(&before)).err().unwrap();
    assert_eq!((problems.len(), &*problems[0].0), (1, "certificates[1].path"));
    let key = folder.write("chain.pem", authority.leaf(&["c.example"]).chain);
    let tls: Tls = serde_json::from_value(json!({ "certificates": [{
        "name": "c", "path": key, "key": folder.0.join("none.key"), "staple": folder.0.join("none")
    }]}))
    .unwrap();
    assert_eq!(open(&tls, None).err().unwrap()[0].0, "certificates[0].key");
    let both = authority.leaf(&["c.example"]);
    folder.write("chain.pem", [&*both.chain, &both.key].concat());
    let tls: Tls = serde_json::from_value(json!({ "certificates": [{
        "name": "c", "path": folder.0.join("chain.pem"), "staple": folder.0.join("none")
    }]}))
    .unwrap();
    assert_eq!(open(&tls, None).err().unwrap()[0].0, "certificates[0].staple");
}

#[tokio::test]
async fn a_certificate_of_an_authority_is_awaited_and_taken_when_it_comes() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let acme = json!({ "directory": "https://authority.test/directory", "domains": ["a.example"],
                       "folder": folder.0.join("acme/web") });
    let server = Server::new(&document(&[], json!({ "acme": acme })));
    let config = Arc::new(client(&authority));
    assert!(matches!(meet(&server, &config, "a.example").await.0, Err(Refused::NoCertificate)));
    assert!(server.acceptor.is_ready().unwrap_err().contains("has no certificate \"acme\" yet"));
    assert!(!server.look() && !server.look());
    let leaf = authority.leaf(&["a.example"]);
    folder.pair("acme/web", &leaf);
    server.look();
    assert_eq!(shown(&server, &authority).await, first(&leaf));
    assert_eq!(server.acceptor.is_ready(), Ok(()));
}

#[test]
fn says_for_how_long_certificates_are_good_and_is_not_ready_near_the_end() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let leaf = authority.leaf_by(&["a.example"], |params| params.not_after = rcgen::date_time_ymd(2100, 1, 1));
    let path = folder.pair("pair", &leaf);
    let server = Server::new(&document(&[("a", path.clone())], json!({ "ready_expiry_s": 3600 })));
    let expected = 4_102_444_800 - crate::now_s() as i64;
    let (name, left_s) = server.acceptor.expiry_s().next().unwrap();
    assert!(name == "a" && (expected - 60..=expected).contains(&left_s));
    server.acceptor.refresh_metrics();
    let shown: i64 = server.metric(&format!("alongside_tls_certificate_expiry_seconds{{{LABEL}}}")).parse().unwrap();
    assert!((expected - 60..=expected).contains(&shown));
    assert_eq!(server.acceptor.is_ready(), Ok(()));
    assert_eq!(server.acceptor.is_ready_at(4_102_444_800 - 3600), Ok(()));
    let reason = server.acceptor.is_ready_at(4_102_444_800 - 3599).unwrap_err();
    assert_eq!(reason, "listener \"web\": certificate \"a\" expires in 3599 s");
    assert!(Server::new(&document(&[("a", path)], json!({}))).acceptor.is_ready_at(i64::MAX).is_ok());
}
