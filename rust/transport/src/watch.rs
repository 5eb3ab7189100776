//! Noticing that a path leads to something else: another file, or another link on the way.

use notify::{RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// Links that are followed on the way to a file; the kernel's limit.
const LINKS_MAX: usize = 40;
/// How soon to look again where the system lets nothing be watched.
const LOOK_UNWATCHED: Duration = Duration::from_secs(1);

/// The ways to some files, watched as far as the system allows.
pub struct Watch {
    paths: Vec<PathBuf>,
    changed: Arc<Notify>,
    watched: Option<Watched>,
    is_told: bool,
}

/// The directories on the ways to the files, watched.
struct Watched {
    directories: Directories,
    _watcher: notify::RecommendedWatcher,
}

/// Directories by their paths: a path may lead to another one without any link that changes.
type Directories = BTreeMap<PathBuf, Option<Directory>>;

/// Which directory it is: device and number, and when it was made, since a number is given again.
type Directory = (u64, u64, Option<SystemTime>);

impl Watch {
    /// Returns a watch that has not begun; what changes is told to `changed`.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, changed: &Arc<Notify>) -> Self {
        Self { paths, changed: Arc::clone(changed), watched: None, is_told: false }
    }

    /// Waits until it is time to look: something has changed, or the time is over; of that a second is left where the
    /// system lets nothing be watched.
    pub async fn changed(&self, wait: Duration) {
        let is_blind = self.watched.is_none() && !self.paths.is_empty();
        let wait = if is_blind { wait.min(LOOK_UNWATCHED) } else { wait };
        // Both ends mean a look.
        let _ = tokio::time::timeout(wait, self.changed.notified()).await;
    }

    /// Begins to watch the ways to the files, or goes on where they are still the same. Look first: a new watch takes
    /// its time, and asks for another look once it is there.
    pub fn renew(&mut self) {
        self.renew_by(watcher);
    }

    fn renew_by(
        &mut self,
        watcher: impl FnOnce(&mut Directories, Arc<Notify>) -> notify::Result<notify::RecommendedWatcher>,
    ) {
        let paths: BTreeSet<PathBuf> = self.paths.iter().flat_map(|path| directories(path)).collect();
        let which = |path: PathBuf| (path.metadata().ok().map(|it| (it.dev(), it.ino(), it.created().ok())), path);
        let mut directories: Directories = paths.into_iter().map(which).map(|(which, path)| (path, which)).collect();
        let is_same = self.watched.as_ref().is_some_and(|before| before.directories == directories);
        if is_same || self.paths.is_empty() {
            return;
        }
        self.watched = match watcher(&mut directories, Arc::clone(&self.changed)) {
            Ok(watcher) => {
                self.is_told = false;
                // What happened before the watch began was not noticed.
                self.changed.notify_one();
                Some(Watched { directories, _watcher: watcher })
            }
            Err(error) => {
                // The files are looked at now and then even so.
                if !self.is_told {
                    tracing::warn!(event = "watch_failed", error = %error);
                }
                self.is_told = true;
                None
            }
        };
    }
}

/// Returns what watches these directories. One that is gone meanwhile is taken out: the next renewal finds what is there.
fn watcher(directories: &mut Directories, changed: Arc<Notify>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    })?;
    let mut gone = Vec::new();
    for directory in directories.keys() {
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            Err(notify::Error { kind: notify::ErrorKind::PathNotFound, .. }) => gone.push(directory.clone()),
            Err(error) => return Err(error),
        }
    }
    directories.retain(|directory, _| !gone.contains(directory));
    Ok(watcher)
}

/// Returns the real directories in which a name must change for the path to lead elsewhere: those of the file and of
/// each link on the way; of a directory that is not there, the nearest one above it that is.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut ways = vec![path.clone()];
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
    // What is written over where it lies leads nowhere else, and has changed even so.
    found.extend(path.canonicalize().ok().as_deref().and_then(Path::parent).map(Path::to_owned));
    found.extend(path.ancestors().skip(1).find_map(|above| above.canonicalize().ok()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("alongside-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        root.canonicalize().unwrap()
    }

    #[test]
    fn finds_the_directories_of_the_file_and_of_each_link() {
        let root = root("watch");
        std::fs::create_dir_all(root.join("v1/sub")).unwrap();
        std::fs::write(root.join("v1/sub/real.json"), "{}").unwrap();
        symlink("real.json", root.join("v1/sub/a.json")).unwrap();
        std::fs::create_dir(root.join("links")).unwrap();
        symlink("../v1", root.join("links/current")).unwrap();
        let found = directories(&root.join("links/current/sub/a.json"));
        let expected: BTreeSet<PathBuf> = [root.join("links"), root.join("v1/sub")].into();
        assert_eq!(found, expected);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn finds_the_directory_where_the_file_really_lies_behind_links() {
        let root = root("watch-behind");
        std::fs::create_dir_all(root.join("..1")).unwrap();
        std::fs::write(root.join("..1/tls.crt"), "").unwrap();
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
        assert_eq!(directories(&root.join("tls.crt")), BTreeSet::from([root.clone(), root.join("..1")]));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn waits_in_the_nearest_directory_for_one_that_is_not_there() {
        let root = root("watch-absent");
        assert_eq!(directories(&root.join("a/b/tls.crt")), BTreeSet::from([root.clone()]));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        assert_eq!(directories(&root.join("a/b/tls.crt")), BTreeSet::from([root.join("a/b")]));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[tokio::test]
    async fn a_watch_that_cannot_be_made_does_not_ask_to_look_again() {
        let changed = Arc::new(Notify::new());
        let mut watch = Watch::new(vec![PathBuf::from("/tmp/document.json")], &changed);
        let is_told = |changed: Arc<Notify>| async move {
            tokio::time::timeout(std::time::Duration::ZERO, changed.notified()).await.is_ok()
        };
        for _ in 0..2 {
            watch.renew_by(|_, _| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
            assert!(!is_told(Arc::clone(&changed)).await);
        }
        watch.renew();
        assert!(is_told(changed).await);
    }

    /// Waits until nothing is told any more, and returns whether something was.
    async fn settled(changed: &Notify) -> bool {
        let mut is_told = false;
        while tokio::time::timeout(Duration::from_millis(200), changed.notified()).await.is_ok() {
            is_told = true;
        }
        is_told
    }

    #[tokio::test]
    async fn watches_a_directory_that_took_the_place_of_another_one() {
        let (root, changed) = (root("watch-replaced"), Arc::new(Notify::new()));
        let folder = root.join("tls");
        let mut watch = Watch::new(vec![folder.join("tls.crt")], &changed);
        std::fs::create_dir_all(&folder).unwrap();
        watch.renew();
        for swap in [false, true] {
            if swap {
                std::fs::create_dir(root.join("new")).unwrap();
                std::fs::rename(&folder, root.join("old")).unwrap();
                std::fs::rename(root.join("new"), &folder).unwrap();
            } else {
                std::fs::remove_dir_all(&folder).unwrap();
                std::fs::create_dir(&folder).unwrap();
            }
            watch.renew();
            settled(&changed).await;
            std::fs::write(folder.join("tls.crt"), "").unwrap();
            assert!(tokio::time::timeout(Duration::from_secs(20), changed.notified()).await.is_ok(), "{swap}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_directory_that_is_gone_while_the_watch_begins_is_no_failure() {
        let (root, changed) = (root("watch-gone"), Arc::new(Notify::new()));
        let mut watch = Watch::new(vec![root.join("v1/tls.crt")], &changed);
        std::fs::create_dir_all(root.join("v1")).unwrap();
        watch.renew_by(|directories, changed| {
            std::fs::remove_dir(root.join("v1")).unwrap();
            watcher(directories, changed)
        });
        assert!(watch.watched.as_ref().is_some_and(|watched| watched.directories.is_empty()));
        watch.renew();
        let directories = watch.watched.map(|watched| watched.directories).unwrap();
        assert_eq!(directories.keys().collect::<Vec<_>>(), [&root]);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn looks_every_second_where_nothing_can_be_watched() {
        let changed = Arc::new(Notify::new());
        let mut watch = Watch::new(vec![PathBuf::from("/tmp/document.json")], &changed);
        let begun = tokio::time::Instant::now();
        watch.renew_by(|_, _| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        watch.changed(Duration::from_secs(30)).await;
        assert_eq!(begun.elapsed(), LOOK_UNWATCHED);
        Watch::new(Vec::new(), &changed).changed(Duration::from_secs(30)).await;
        assert_eq!(begun.elapsed(), LOOK_UNWATCHED + Duration::from_secs(30));
    }
}
