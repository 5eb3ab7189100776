//! Noticing that the path of a document leads to something else: another file, or another link on the way.

use crate::source::Source;
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// Links that are followed on the way to a file; the kernel's limit.
const LINKS_MAX: usize = 40;

/// The directories on the way to a document, watched.
pub struct Watch {
    directories: BTreeSet<PathBuf>,
    _watcher: notify::RecommendedWatcher,
}

/// Watches the way to a document, or goes on watching it where it is still the same.
pub fn renew(before: Option<Watch>, source: &Source, changed: &Arc<Notify>) -> Option<Watch> {
    let Source::File(path) = source else { return None };
    let directories = directories(path);
    if before.as_ref().is_some_and(|before| before.directories == directories) {
        return before;
    }
    let noticed = Arc::clone(changed);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            noticed.notify_one();
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        directories
            .iter()
            .try_for_each(|directory| watcher.watch(directory, RecursiveMode::NonRecursive))
            .map(|()| watcher)
    });
    // What happened before the watch began was not noticed.
    changed.notify_one();
    match watched {
        Ok(watcher) => Some(Watch { directories, _watcher: watcher }),
        Err(error) => {
            tracing::warn!(event = "watch_failed", error = %error);
            None
        }
    }
}

/// Returns the real directories in which a name must change for the path to lead elsewhere: those of the file and of
/// each link on the way.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut ways = vec![std::path::absolute(path).unwrap_or_else(|_| path.to_owned())];
    for _ in 0..LINKS_MAX {
        let Some(way) = ways.pop() else { break };
        let mut here = PathBuf::new();
        for part in way.components() {
            let next = here.join(part);
            if let Ok(target) = std::fs::read_link(&next) {
                found.extend(here.canonicalize());
                ways.push(here.join(target));
            }
            here = next;
        }
    }
    found.extend(
        path.parent()
            .map(|parent| if parent == Path::new("") { Path::new(".") } else { parent })
            .and_then(|parent| parent.canonicalize().ok()),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn finds_the_directories_of_the_file_and_of_each_link() {
        let root = std::env::temp_dir().join(format!("alongside-watch-{}", std::process::id()));
        let root = {
            std::fs::create_dir_all(root.join("v1/sub")).unwrap();
            root.canonicalize().unwrap()
        };
        std::fs::write(root.join("v1/sub/real.json"), "{}").unwrap();
        symlink("real.json", root.join("v1/sub/a.json")).unwrap();
        std::fs::create_dir(root.join("links")).unwrap();
        symlink("../v1", root.join("links/current")).unwrap();
        let found = directories(&root.join("links/current/sub/a.json"));
        let expected: BTreeSet<PathBuf> = [root.join("links"), root.join("v1/sub")].into();
        assert_eq!(found, expected);
        std::fs::remove_dir_all(root).unwrap();
    }
}
