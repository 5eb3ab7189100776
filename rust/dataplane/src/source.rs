//! Where documents come from, and the copy of the last good one.

use crate::render::{Render, Watched};
use alongside_document::{DOCUMENT_BYTES_MAX, Document, Problem};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, followed when it changes.
    File(PathBuf),
    /// An inherited descriptor, read once.
    Descriptor(u32),
    /// A command that prints it, run anew when a file changes that it reads.
    Command(Arc<Render>),
}

impl Source {
    /// Returns the paths that are followed; none of a descriptor.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => vec![path.clone()],
            Self::Descriptor(_) => Vec::new(),
            Self::Command(render) => render.files().to_vec(),
        }
    }

    /// Returns what the command's files hold, if that is what the process begins with: a first document that the command is
    /// about to print, or was made of just this.
    pub fn begun_with(&self, is_first: bool) -> Option<Watched> {
        match self {
            Self::Command(render) if is_first => Some(render.watched()),
            Self::Command(render) => render.begun_with(),
            Self::File(_) | Self::Descriptor(_) => None,
        }
    }

    /// Reads and checks the document.
    pub fn read(&self) -> Result<Document, Vec<Problem>> {
        self.bytes().and_then(|bytes| alongside_document::parse(&bytes))
    }

    /// Reads the document as it stands; where a command prints it, it waits for that.
    pub fn bytes(&self) -> Result<Vec<u8>, Vec<Problem>> {
        let path = match self {
            Self::File(path) => path.clone(),
            // Opening the name again starts at the beginning, whatever was read before.
            Self::Descriptor(number) => PathBuf::from(format!("/proc/self/fd/{number}")),
            Self::Command(render) => return render.run().map_err(|unprinted| unprinted.problems),
        };
        read_file(&path)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Vec<Problem>> {
    let mut bytes = Vec::new();
    // One byte over the limit is enough for the check to say so.
    let limit = DOCUMENT_BYTES_MAX as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(vec![Problem::new(
            "",
            format!("{} cannot be read: {error}", path.display()),
            "name a file that this process may read",
        )]),
    }
}

/// The directory in which the last good document is kept.
#[derive(Debug)]
pub struct LastGood {
    path: Option<PathBuf>,
}

impl LastGood {
    /// Keeps the document in that directory, or nowhere.
    pub fn new(directory: Option<&Path>) -> Self {
        Self { path: directory.map(|directory| directory.join("last-good.json")) }
    }

    /// Reads the kept document, if there is a good one.
    pub fn read(&self) -> Option<Document> {
        let bytes = self.path.as_deref().and_then(|path| read_file(path).ok())?;
        alongside_document::parse(&bytes).ok()
    }

    /// Keeps a document: written beside, made durable, then renamed.
    pub fn write(&self, document: &Document) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let beside = path.with_extension("json.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(document)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}
