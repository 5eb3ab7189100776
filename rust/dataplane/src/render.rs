//! A command that prints the document: it is run anew when a file that it reads has changed.

use alongside_document::{DOCUMENT_BYTES_MAX, Problem};
use rustix::process::{Pid, Signal, kill_process_group};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long the command may take.
const TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether the command has ended, when it has closed its output.
const LOOK: Duration = Duration::from_millis(2);
/// The most of the command's own words that is kept, in bytes, from their end.
const WORDS_BYTES_MAX: usize = 2048;
/// The most that is looked at of a watched file, in bytes.
const WATCHED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A command that prints the document, and the files that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Render {
    words: Vec<String>,
    files: Vec<PathBuf>,
    /// What the first file was when the document was made of it that the process begins with.
    made_of: Option<String>,
}

/// Why a command printed no document.
#[derive(Debug)]
pub struct Unprinted {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// It may print one the next time, though nothing that it reads changes.
    pub is_passing: bool,
}

/// What watched files hold, as one number each; none of one that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Watched(Vec<Option<u64>>);

impl Render {
    /// Returns the command that is written so: words between blanks, where quotes hold a word together as in a shell.
    pub fn new(command: &str, files: Vec<PathBuf>) -> Result<Self, String> {
        let words = split(command).ok_or_else(|| format!("--render {command:?}: a quote is not closed"))?;
        if words.is_empty() {
            return Err("--render names no command".to_owned());
        }
        Ok(Self { words, files, made_of: None })
    }

    /// Says what the first file was when a document was made of it: as [`state`] has it.
    pub fn made_of(self, state: Option<String>) -> Self {
        Self { made_of: state, ..self }
    }

    /// Returns what the watched files hold, if the document is made of just this that the process begins with.
    pub fn begun_with(&self) -> Option<Watched> {
        let watched = self.watched();
        // What they hold is read before: what changes from now on is noticed.
        let [file] = self.files.as_slice() else { return None };
        (state(file).ok().as_deref() == Some(self.made_of.as_deref()?)).then_some(watched)
    }

    /// The files that are watched.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns what the watched files hold now.
    pub fn watched(&self) -> Watched {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let read = |path: &PathBuf| {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(WATCHED_BYTES_MAX).read_to_end(&mut bytes)?;
            io::Result::Ok(KEYS.hash_one(bytes))
        };
        Watched(self.files.iter().map(|path| read(path).ok()).collect())
    }

    /// Returns what the command prints. It waits for it, for half a minute at most.
    pub fn run(&self) -> Result<Vec<u8>, Unprinted> {
        self.run_within(TIME_MAX)
    }

    fn run_within(&self, time_max: Duration) -> Result<Vec<u8>, Unprinted> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Whatever it starts ends with it.
        let mut child = command.process_group(0).spawn().map_err(|error| self.unstarted(&error))?;
        let deadline = Instant::now() + time_max;
        let (printed, said) = (read(child.stdout.take()), read(child.stderr.take()));
        let ended = wait(&mut child, &printed, deadline);
        if ended.is_err() {
            end(&mut child);
        }
        let said = said.recv_timeout(LOOK.max(deadline.saturating_duration_since(Instant::now()))).unwrap_or_default();
        match ended {
            Ok((status, bytes)) if status.success() => Ok(bytes),
            // One that ended by itself has judged what it read, and would again.
            Ok((status, _)) => Err(self.unprinted(&with_words(&status.to_string(), &said), status.code().is_none())),
            Err(why) => Err(self.passing(&with_words(&why, &said))),
        }
    }

    /// Returns that it printed no document for a reason that may pass.
    pub fn passing(&self, why: &str) -> Unprinted {
        self.unprinted(why, true)
    }

    fn unprinted(&self, why: &str, is_passing: bool) -> Unprinted {
        // Its flags are of nobody who mends what it reads.
        let what = format!("{:?} printed no document: {why}", self.words[0]);
        let problems = vec![Problem::new("", what, "mend what it reads; the document in force stays")];
        Unprinted { problems, is_passing }
    }

    /// It may be there in a moment, as where its package is being replaced.
    fn unstarted(&self, error: &io::Error) -> Unprinted {
        let what = format!("{:?} cannot be run: {error}", self.words[0]);
        let remedy = "install it there again; the document in force stays, and it is tried again";
        Unprinted { problems: vec![Problem::new("", what, remedy)], is_passing: true }
    }
}

/// Returns what tells a file from what it was before or is later: when it was changed, its size, its number.
fn state(path: &Path) -> io::Result<String> {
    let file = std::fs::metadata(path)?;
    let changed_ns = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
    Ok(format!("{changed_ns}:{}:{}", file.size(), file.ino()))
}

/// Reads a pipe to its end, or to one byte more than a document may have, in a thread.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (done, bytes) = channel();
    let work = move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What came before an error is what came.
            let _ = pipe.take(DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        }
        let _ = done.send(bytes);
    };
    // Where there is no thread, nothing comes, and the command counts as silent.
    let _ = std::thread::Builder::new().name("render-pipe".to_owned()).spawn(work);
    bytes
}

fn wait(child: &mut Child, printed: &Receiver<Vec<u8>>, deadline: Instant) -> Result<(ExitStatus, Vec<u8>), String> {
    let late = || "it took too long".to_owned();
    let left = || deadline.saturating_duration_since(Instant::now());
    let bytes = printed.recv_timeout(left()).map_err(|error| match error {
        RecvTimeoutError::Timeout => late(),
        RecvTimeoutError::Disconnected => "its output cannot be read".to_owned(),
    })?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("it printed more than {DOCUMENT_BYTES_MAX} bytes"));
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok((status, bytes)),
            Ok(None) if left().is_zero() => return Err(late()),
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // It may have ended by itself in this moment.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    let _ = child.wait();
}

fn with_words(why: &str, said: &[u8]) -> String {
    let start = said.len().saturating_sub(WORDS_BYTES_MAX);
    let words = String::from_utf8_lossy(&said[start..]);
    let words = words.trim();
    if words.is_empty() { why.to_owned() } else { format!("{why}: {words}") }
}

/// Splits a command into words; `None`: a quote is not closed.
fn split(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(letter) = rest.next() {
        match letter {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => {
                let (inside, after) = rest.as_str().split_once(letter)?;
                word.get_or_insert_default().push_str(inside);
                rest = after.chars();
            }
            '\\' => word.get_or_insert_default().push(rest.next()?),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Render {
        Render { words: ["/bin/sh", "-c", script].map(str::to_owned).into(), files: Vec::new(), made_of: None }
    }

    fn why(render: &Render, time_max: Duration) -> String {
        let unprinted = render.run_within(time_max).unwrap_err();
        unprinted.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn splits_as_a_shell_does() {
        assert_eq!(split(r#"a 'b c' "d'e"f \ g ''"#).unwrap(), ["a", "b c", "d'ef", " g", ""]);
        assert!(split("a 'b").is_none());
        assert!(Render::new("  ", Vec::new()).is_err());
    }

    #[test]
    fn returns_what_is_printed_and_says_what_went_wrong() {
        assert_eq!(shell("echo '{}'").run().unwrap(), b"{}\n");
        let failed = why(&shell("echo pools: no such thing >&2; exit 2"), TIME_MAX);
        assert!(failed.contains("exit status: 2: pools: no such thing"), "{failed}");
        let absent = Render::new("/nowhere/alongside render", Vec::new()).unwrap();
        assert!(why(&absent, TIME_MAX).contains("No such file"));
    }

    #[test]
    fn tells_a_judgement_from_what_may_pass() {
        let is_passing = |script: &str| shell(script).run_within(Duration::from_millis(300)).unwrap_err().is_passing;
        assert!(!is_passing("exit 2"));
        assert!(is_passing("kill -9 $$"));
        assert!(is_passing("sleep 600"));
        assert!(Render::new("/nowhere/alongside render", Vec::new()).unwrap().run().unwrap_err().is_passing);
    }

    #[test]
    fn ends_what_takes_too_long_or_prints_too_much() {
        let late = why(&shell("echo slow >&2; sleep 600 & wait"), Duration::from_millis(300));
        assert!(late.contains("too long: slow"), "{late}");
        let much = why(&shell("cat /dev/zero"), TIME_MAX);
        assert!(much.contains("more than"), "{much}");
    }

    #[test]
    fn tells_files_apart_by_what_they_hold() {
        let path = std::env::temp_dir().join(format!("alongside-render-{}", std::process::id()));
        let render = Render::new("true", vec![path.clone()]).unwrap();
        let absent = render.watched();
        std::fs::write(&path, "a").unwrap();
        let first = render.watched();
        std::fs::write(&path, "a").unwrap();
        assert_eq!(first, render.watched());
        std::fs::write(&path, "b").unwrap();
        assert!(first != render.watched() && first != absent);
        assert!(render.begun_with().is_none());
        let begun = render.made_of(state(&path).ok());
        assert!(begun.begun_with().is_some_and(|watched| watched == begun.watched()));
        std::fs::write(&path, "longer").unwrap();
        assert!(begun.begun_with().is_none());
        std::fs::remove_file(&path).unwrap();
    }
}
