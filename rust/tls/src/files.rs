//! Reading files that somebody else may replace at any time, and what can be wrong with them.

use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The most bytes of a file with certificates, keys or an OCSP answer.
pub const PAIR_BYTES_MAX: u64 = 1024 * 1024;
/// The most bytes of a file with authorities or lists of the revoked.
pub const CLIENTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Which of the files of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The chain, or the folder.
    Chain,
    /// The key.
    Key,
    /// The OCSP answer.
    Staple,
    /// The authorities that clients come from.
    Authorities,
    /// The lists of what these revoked.
    Revoked,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {reason}", path.display())]
pub struct Fault {
    /// Which file it is.
    pub part: Part,
    /// Where it lies.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: Reason,
}

/// What can be wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is not there.
    #[error("is not there")]
    Absent,
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is a folder, a pipe or a device.
    #[error("is no regular file")]
    NoFile,
    /// It is larger than anything sensible.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// It is not what it should be.
    #[error("is broken: {0}")]
    Broken(String),
    /// It has nothing of what it is read for.
    #[error("holds no {0} in PEM")]
    Nothing(&'static str),
    /// The key asks for a password.
    #[error("holds a key that is encrypted under a password")]
    Encrypted,
    /// The key is not of the certificate.
    #[error("holds no key of the certificate beside it")]
    Mismatch,
    /// The certificate is over.
    #[error("holds a certificate that expired at {0}")]
    Expired(String),
    /// The certificate has not begun.
    #[error("holds a certificate that is not valid before {0}")]
    NotYet(String),
    /// The OCSP answer is about something else.
    #[error("holds no OCSP answer for this certificate")]
    OtherStaple,
    /// Somebody else signed the OCSP answer.
    #[error("holds an OCSP answer that the certificate's authority did not sign")]
    ForeignStaple,
    /// The OCSP answer says that the certificate must not be trusted.
    #[error("holds an OCSP answer that says that the certificate is revoked")]
    Revoked,
    /// The OCSP answer says nothing.
    #[error("holds an OCSP answer whose authority does not know the certificate")]
    UnknownStatus,
    /// The OCSP answer is over.
    #[error("holds an OCSP answer that was good until {0}")]
    OldStaple(String),
    /// The OCSP answer has not begun.
    #[error("holds an OCSP answer that is not good before {0}")]
    EarlyStaple(String),
    /// The list is from somebody who is no authority here.
    #[error("holds a list of {0}, who is not among the authorities")]
    OtherList(String),
}

impl Reason {
    /// Whether what is wrong comes and goes by itself, or by what an authority says: nobody wrote anything wrong.
    #[must_use]
    pub const fn is_of_its_time(&self) -> bool {
        matches!(self, Self::Revoked | Self::UnknownStatus | Self::OldStaple(_) | Self::EarlyStaple(_))
    }

    /// Returns what to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Absent => "name a file, or a folder with tls.crt and tls.key, that is there",
            Self::Unreadable(_) => "let this process's user read it",
            Self::NoFile => "name a regular file",
            Self::TooLarge(_) => "name a file with nothing else in it",
            Self::Empty | Self::Broken(_) => "write it again, whole",
            Self::Nothing(_) => "write one into it, as PEM",
            Self::Encrypted => "decrypt it, such as with openssl pkey, and protect the file by its mode",
            Self::Mismatch => "name the key that the certificate was made for",
            Self::Expired(_) => "renew it",
            Self::NotYet(_) | Self::EarlyStaple(_) => "wait until then, or set the clock",
            Self::Revoked => "get another certificate",
            Self::UnknownStatus | Self::OldStaple(_) => "fetch the authority's answer anew",
            Self::ForeignStaple | Self::OtherStaple => {
                "write the answer for this certificate into it, as DER, or name none"
            }
            Self::OtherList(_) => "add that authority's certificate to the authorities, or leave the list out",
        }
    }
}

/// A file's bytes and where they are from.
#[derive(Clone)]
pub struct Content {
    /// Which file it is.
    pub part: Part,
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Content {
    /// Reads a file of at most `bytes_max`; what is no regular file is not waited for.
    pub fn read(part: Part, path: PathBuf, bytes_max: u64) -> Result<Self, Fault> {
        match bytes(&path, bytes_max) {
            Ok(bytes) => Ok(Self { part, path, bytes }),
            Err(reason) => Err(Fault { part, path, reason }),
        }
    }

    /// Returns a fault of this file.
    pub fn fault(&self, reason: Reason) -> Fault {
        Fault { part: self.part, path: self.path.clone(), reason }
    }
}

fn bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Reason> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Reason::Absent,
        _ => Reason::Unreadable(error.to_string()),
    };
    // Opening a pipe would wait for its writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Reason::NoFile);
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 {
        0 => Err(Reason::Empty),
        size if size > bytes_max => Err(Reason::TooLarge(bytes_max)),
        _ => Ok(bytes),
    }
}

/// Returns a number that differs between contents, within this process.
pub fn digest<'c>(contents: impl IntoIterator<Item = &'c Content>) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(contents.into_iter().map(|content| content.bytes.as_slice()).collect::<Vec<_>>())
}
