//! What tools expect of a process that goes by another program's name: its command line, its log file, the file with its
//! number, its signals.

use crate::{Exit, log};
use rustix::process::Signal;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// The word that ends the command line of whom the process stands for; behind it stands the binary's own.
const OWN: &str = "--";
/// What is written at the pipe of who waits when the process serves: no reason holds it.
const SERVES: &[u8] = b"\0";
/// How much of a process is said, at most.
pub const VERBOSITY_MAX: u8 = 11;

/// What is expected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// The file that stderr is, which SIGHUP opens anew: it may have been moved away.
    pub log: Option<PathBuf>,
    /// The file that holds the process's number, and goes with it.
    pub pid_file: Option<PathBuf>,
    /// How much is said, from 0 to [`VERBOSITY_MAX`]: signals make it more and less.
    pub verbosity: Option<u8>,
    /// The descriptor of a pipe at whose end somebody waits until the process serves, or says why it does not.
    pub waits: Option<u32>,
}

/// Parts a command line: the program's name where it stands for another, and the words of its own.
pub fn part(words: impl IntoIterator<Item = OsString>) -> (Option<OsString>, Vec<OsString>) {
    let mut words: Vec<OsString> = words.into_iter().collect();
    match words.iter().rposition(|word| word == OWN) {
        Some(at) => {
            let own = words.split_off(at);
            (words.into_iter().next(), own)
        }
        None => (None, words),
    }
}

/// Goes by a program's name wherever processes are listed by theirs.
pub fn go_by(program: &OsString) {
    let Some(name) = Path::new(program).file_name() else { return };
    // Where there is no such file, the name of the binary stays.
    let _ = std::fs::write("/proc/self/comm", name.as_encoded_bytes());
}

impl Habits {
    /// Begins to answer signals. Must be called where tasks can be started.
    ///
    /// # Errors
    /// A signal cannot be caught.
    pub fn begin(&self) -> io::Result<()> {
        let (file, verbosity) = (self.log.clone(), self.verbosity);
        if file.is_none() && verbosity.is_none() {
            return Ok(());
        }
        answer(SignalKind::hangup(), move || {
            // First, so that the new file has the line.
            file.iter().for_each(|path| reopen(path));
            if verbosity.is_some() {
                say("SIGHUP", "what is followed is read again");
            }
        })?;
        let Some(verbosity) = verbosity else { return Ok(()) };
        log::set_verbosity(verbosity);
        answer(SignalKind::user_defined1(), || say("SIGUSR1", "nothing"))?;
        answer(SignalKind::user_defined2(), || say("SIGUSR2", "nothing"))?;
        // A terminal sends these to whom it does not want to read or write now.
        if !io::stderr().is_terminal() {
            answer(kind(Signal::TTIN), || say("SIGTTIN", &told(1)))?;
            answer(kind(Signal::TTOU), || say("SIGTTOU", &told(-1)))?;
        }
        Ok(())
    }

    /// Tells whoever waits that the process serves.
    pub fn tell(&self) {
        self.write(SERVES);
    }

    /// Tells whoever waits why the process ends before it serves: the log may be nowhere.
    pub fn tell_why(&self, why: &str) {
        self.write(format!("{why}\n").as_bytes());
    }

    fn write(&self, told: &[u8]) {
        let Some(number) = self.waits else { return };
        let opened = OpenOptions::new().write(true).open(format!("/proc/self/fd/{number}"));
        if let Err(error) = opened.and_then(|mut pipe| pipe.write_all(told)) {
            tracing::warn!(event = "start_not_told", error = %error);
        }
    }
}

/// Returns an exit as it is told: whom the process stands for knows but one way to fail.
pub const fn told_exit(exit: Exit, stands_for_another: bool) -> Exit {
    match exit {
        Exit::Usage | Exit::AddressTaken if stands_for_another => Exit::Failed,
        exit => exit,
    }
}

/// Removes a file, where the number of this process stands in it.
pub fn take_away(pid_file: &Path) {
    // Open until it is gone: closing it ends this process's hold on it.
    let Ok(mut held) = File::open(pid_file) else { return };
    let mut text = String::new();
    if held.read_to_string(&mut text).is_ok_and(|_| text.trim().parse() == Ok(std::process::id()))
        && let Err(error) = std::fs::remove_file(pid_file)
    {
        tracing::warn!(event = "pid_file_not_removed", path = %pid_file.display(), error = %error);
    }
}

const fn kind(signal: Signal) -> SignalKind {
    SignalKind::from_raw(signal.as_raw())
}

fn answer(kind: SignalKind, mut does: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            does();
        }
    });
    Ok(())
}

fn say(signal: &str, does: &str) {
    tracing::info!(target: log::ALWAYS_TARGET, event = "signal", signal, does);
}

fn told(step: i8) -> String {
    let level = log::verbosity().saturating_add_signed(step).min(VERBOSITY_MAX);
    log::set_verbosity(level);
    format!("the level of log lines is {level}")
}

/// Lets stderr be the file that is at a path now, made where there is none.
fn reopen(path: &Path) {
    let opened = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
    if let Err(error) = opened.and_then(|file| Ok(rustix::stdio::dup2_stderr(file)?)) {
        tracing::warn!(event = "log_not_opened_anew", path = %path.display(), error = %error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(line: &str) -> (Option<String>, String) {
        let (program, own) = part(line.split(' ').map(OsString::from));
        let own: Vec<_> = own.into_iter().map(|word| word.into_string().unwrap()).collect();
        (program.map(|program| program.into_string().unwrap()), own.join(" "))
    }

    #[test]
    fn what_comes_behind_the_last_dashes_is_the_binarys() {
        assert_eq!(parted("x --document a"), (None, "x --document a".to_owned()));
        let own = "-- --document a".to_owned();
        assert_eq!(parted("nutcracker -c f -- --document a"), (Some("nutcracker".to_owned()), own.clone()));
        assert_eq!(parted("nutcracker -- -c -- --document a"), (Some("nutcracker".to_owned()), own));
    }

    #[test]
    fn a_file_with_another_number_is_left() {
        let path = std::env::temp_dir().join(format!("alongside-pid-{}", std::process::id()));
        std::fs::write(&path, "1").unwrap();
        take_away(&path);
        assert!(path.exists());
        std::fs::write(&path, std::process::id().to_string()).unwrap();
        take_away(&path);
        assert!(!path.exists());
    }
}
