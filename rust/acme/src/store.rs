//! What lies in the folder: the account, pairs of which one is in force, what failed, what is due, and a lock.
//!
//! Everything is replaced by rename. A pair is a folder of its own, and the link `..data` leads to the one in force, as in
//! Kubernetes' volumes: nobody reads the key of one and the chain of another.

use crate::challenges::Due;
use crate::schedule::{Held, Tries};
use instant_acme::AccountCredentials;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The link to the pair in force.
const DATA: &str = "..data";
/// The pairs that are kept: the one in force, and the one before for whoever reads it now.
const PAIRS_KEPT: usize = 2;
/// The most bytes of a file that is read.
const BYTES_MAX: u64 = 1024 * 1024;
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const ACCOUNT: &str = "account.json";
const TRIES: &str = "tries.json";
const DUE: &str = "challenges.json";
const LOCK: &str = "lock";

/// The folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Held by the one who orders, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// An account and whose it is.
#[derive(Deserialize, Serialize)]
pub struct Account {
    /// The address of the authority's directory.
    pub directory: String,
    /// Whom the authority writes to.
    pub contacts: Vec<String>,
    /// Its name and key.
    pub credentials: AccountCredentials,
}

/// What was ordered and did not come, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
struct Noted {
    directory: String,
    domains: BTreeSet<String>,
    count: u32,
    tried_s: i64,
    not_before_s: Option<i64>,
}

/// A certificate that is there, whole and with its key.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What the schedule asks.
    pub held: Held,
    /// The certificate itself.
    pub leaf: CertificateDer<'static>,
}

impl Store {
    /// Makes the folder where it is missing, for this user alone, and tries whether it can be written.
    ///
    /// # Errors
    /// [`io::Error`]: it cannot.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let store = Self { folder: folder.to_owned() };
        store.lock_file()?;
        let trial = store.folder.join(format!(".trial-{}", std::process::id()));
        private(&trial)?;
        fs::remove_file(trial)?;
        Ok(store)
    }

    /// What changes where others order.
    pub fn paths(&self) -> Vec<PathBuf> {
        [DATA, DUE].map(|name| self.folder.join(name)).into()
    }

    fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.folder.join(LOCK))
    }

    /// Returns the lock, or nothing where somebody has it.
    ///
    /// # Errors
    /// [`io::Error`]: the file cannot be locked.
    pub fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the certificate that is there; nothing where there is none that could be shown, were it not for its time.
    #[must_use]
    pub fn kept(&self, domains: &BTreeSet<String>) -> Option<Kept> {
        let folder = self.folder.join(DATA).canonicalize().unwrap_or_else(|_| self.folder.clone());
        let chain = bytes(&folder.join(CHAIN)).ok()?;
        let kept = kept(&chain, &bytes(&folder.join(KEY)).ok()?, domains)?;
        let got_s =
            fs::metadata(folder.join(CHAIN)).and_then(|it| it.modified()).map_or(kept.held.begins_s, crate::seconds);
        Some(Kept { held: Held { got_s, ..kept.held }, ..kept })
    }

    /// Puts a pair in force in the stead of the one before.
    ///
    /// # Errors
    /// [`io::Error`]: the one before is still in force.
    pub fn install(&self, chain: &[u8], key: &[u8]) -> io::Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("..{:011}.{:09}", now.as_secs(), now.subsec_nanos());
        let folder = self.folder.join(&name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        for (name, bytes) in [(CHAIN, chain), (KEY, key)] {
            let mut file = private(&folder.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        File::open(&folder)?.sync_all()?;
        for inner in [CHAIN, KEY] {
            // Whoever looks here without knowing of the link finds the pair too.
            match symlink(Path::new(DATA).join(inner), self.folder.join(inner)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let link = self.folder.join("..data_tmp");
        let _ = fs::remove_file(&link);
        symlink(&name, &link)?;
        fs::rename(&link, self.folder.join(DATA))?;
        File::open(&self.folder)?.sync_all()?;
        self.remove_old(&name);
        Ok(())
    }

    fn remove_old(&self, newest: &str) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_pair = |name: &String| {
            name.strip_prefix("..").is_some_and(|it| it.starts_with(|sign: char| sign.is_ascii_digit()))
        };
        let mut pairs: Vec<String> = names.filter(is_pair).filter(|name| name != newest).collect();
        pairs.sort();
        for old in pairs.iter().rev().skip(PAIRS_KEPT - 1) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(self.folder.join(old));
        }
    }

    /// Returns the account of a directory.
    #[must_use]
    pub fn account(&self, directory: &str) -> Option<Account> {
        self.read::<Account>(ACCOUNT).filter(|account| account.directory == directory)
    }

    /// Keeps an account.
    ///
    /// # Errors
    /// [`io::Error`]: it is not kept.
    pub fn keep_account(&self, account: &Account) -> io::Result<()> {
        self.write(ACCOUNT, account)
    }

    /// Returns what was tried for these hosts at this authority since it was done last.
    #[must_use]
    pub fn tries(&self, directory: &str, domains: &BTreeSet<String>) -> Tries {
        let noted = self.read::<Noted>(TRIES).filter(|it| it.directory == directory && it.domains == *domains);
        noted.map_or_else(Tries::default, |it| Tries {
            count: it.count,
            tried_s: it.tried_s,
            not_before_s: it.not_before_s,
        })
    }

    /// Notes what was tried.
    ///
    /// # Errors
    /// [`io::Error`]: it is not noted.
    pub fn note(&self, directory: &str, domains: &BTreeSet<String>, tries: &Tries) -> io::Result<()> {
        let (directory, domains) = (directory.to_owned(), domains.clone());
        let Tries { count, tried_s, not_before_s } = *tries;
        self.write(TRIES, &Noted { directory, domains, count, tried_s, not_before_s })
    }

    /// Returns the answers that the one who orders wants to be shown.
    #[must_use]
    pub fn due(&self) -> Vec<Due> {
        self.read(DUE).unwrap_or_default()
    }

    /// Tells all others which answers are to be shown.
    ///
    /// # Errors
    /// [`io::Error`]: they are not told.
    pub fn announce(&self, due: &[Due]) -> io::Result<()> {
        if due.is_empty() {
            match fs::remove_file(self.folder.join(DUE)) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                result => result,
            }
        } else {
            self.write(DUE, &due)
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        // What is broken counts as missing: it is made anew.
        serde_json::from_slice(&bytes(&self.folder.join(name)).ok()?).ok()
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let new = self.folder.join(format!(".{name}.new"));
        let _ = fs::remove_file(&new);
        let mut file = private(&new)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))
    }
}

/// Makes a file that only this user reads.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns what a chain and a key are; nothing where they are none, or do not belong together.
#[must_use]
pub fn kept(chain: &[u8], key: &[u8], domains: &BTreeSet<String>) -> Option<Kept> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().ok()?;
    let leaf = chain.first()?.clone();
    let key = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(key).ok()?).ok()?;
    CertifiedKey::new(chain, key).keys_match().ok()?;
    let (_, certificate) = X509Certificate::from_der(&leaf).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let hosts: BTreeSet<String> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let (begins_s, ends_s) =
        (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let held = Held { is_wanted: hosts == *domains, begins_s, ends_s, got_s: begins_s };
    Some(Kept { held, leaf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder that goes with its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("alongside-acme-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn pair(hosts: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn hosts(hosts: &[&str]) -> BTreeSet<String> {
        hosts.iter().map(|&host| host.to_owned()).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_pair_is_swapped_whole_and_seen_by_nobody_else() {
        let outer = Folder::new("pairs");
        let folder = outer.0.join("a/b");
        let store = Store::open(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert!(store.kept(&hosts(&["a.example"])).is_none());
        for round in 0..5 {
            let host = format!("{round}.example");
            let (chain, key) = pair(&[&host]);
            store.install(chain.as_bytes(), key.as_bytes()).unwrap();
            assert!(store.kept(&hosts(&[&host])).unwrap().held.is_wanted);
            assert!(!store.kept(&hosts(&[&host, "other.example"])).unwrap().held.is_wanted);
            assert_eq!(fs::read_to_string(folder.join(KEY)).unwrap(), key);
            assert_eq!((mode(&folder.join(KEY)), mode(&folder.join(CHAIN))), (0o600, 0o600));
        }
        let pairs = fs::read_dir(&folder).unwrap().flatten().filter(|it| it.file_type().unwrap().is_dir()).count();
        assert_eq!(pairs, PAIRS_KEPT);
    }

    #[test]
    fn what_does_not_belong_together_is_no_certificate() {
        let ((chain, key), (_, other)) = (pair(&["a.example"]), pair(&["a.example"]));
        let wanted = hosts(&["a.example"]);
        assert!(kept(chain.as_bytes(), key.as_bytes(), &wanted).is_some());
        assert!(kept(chain.as_bytes(), other.as_bytes(), &wanted).is_none());
        assert!(kept(&chain.as_bytes()[..100], key.as_bytes(), &wanted).is_none());
        assert!(kept(b"", key.as_bytes(), &wanted).is_none());
        assert!(kept(chain.as_bytes(), b"", &wanted).is_none());
    }

    #[test]
    fn what_failed_counts_for_the_same_order_only() {
        let folder = Folder::new("tries");
        let store = Store::open(&folder.0).unwrap();
        let tries = Tries { count: 3, tried_s: 5, not_before_s: Some(9) };
        store.note("https://a/", &hosts(&["a.example"]), &tries).unwrap();
        assert_eq!(store.tries("https://a/", &hosts(&["a.example"])), tries);
        assert_eq!(store.tries("https://b/", &hosts(&["a.example"])), Tries::default());
        assert_eq!(store.tries("https://a/", &hosts(&["b.example"])), Tries::default());
        assert_eq!(mode(&folder.0.join(TRIES)), 0o600);
        fs::write(folder.0.join(TRIES), "{").unwrap();
        assert_eq!(store.tries("https://a/", &hosts(&["a.example"])), Tries::default());
    }

    #[test]
    fn one_has_the_lock_at_a_time_and_answers_are_told_to_all() {
        let folder = Folder::new("lock");
        let (store, other) = (Store::open(&folder.0).unwrap(), Store::open(&folder.0).unwrap());
        let lock = store.try_lock().unwrap().unwrap();
        assert!(other.try_lock().unwrap().is_none());
        drop(lock);
        assert!(other.try_lock().unwrap().is_some());
        let due = [Due { host: "a.example".into(), token: "t".into(), answer: "t.k".into() }];
        store.announce(&due).unwrap();
        assert_eq!(other.due(), due);
        store.announce(&[]).unwrap();
        store.announce(&[]).unwrap();
        assert_eq!(other.due(), []);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_refused() {
        let folder = Folder::new("refused");
        let file = folder.0.join("file");
        fs::write(&file, "").unwrap();
        assert!(Store::open(&file.join("below")).is_err());
    }
}
