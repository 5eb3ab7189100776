//! The binary's few arguments; people use `alongside`, which has the many.

use crate::habits::{Habits, VERBOSITY_MAX};
use crate::render::Render;
use crate::source::Source;
use crate::standby::Standby;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What `--help` prints.
pub const HELP: &str = "\
alongside-dataplane --document PATH|fd:N [--state DIR] [--standby[=SOCKET]] [--log PATH] [--pid-file PATH]
                    [--verbosity N] [--tell fd:N]
alongside-dataplane --render COMMAND --watch PATH... [--document PATH|fd:N [--made-of STATE]] [the others]
alongside-dataplane and words that others see, then -- and all of that
alongside-dataplane --check PATH|fd:N
alongside-dataplane --version

  --document  what to serve; a file is followed when it changes, a descriptor is read once
  --render    a command that prints what to serve, its words between blanks, quoted as in a shell; it is run anew when a
              watched file holds something else. Of --document only the start is served then
  --watch     a file that the command reads; may be given more than once
  --made-of   what the watched file was when --document was made of it, MTIME_NS:BYTES:INODE: where it still is, the
              command is not run before it changes
  --state     a directory for the last good document, used where the given one cannot be read at a start
  --standby   let nobody in before POST /serve at the admin door: for a successor on the sockets of one that still serves,
              whose own admin door is SOCKET; where the process that started it is gone, it drains that one and serves
  --log       the file that stderr is: SIGHUP opens it anew
  --pid-file  a file with this process's number, which is removed at the end
  --verbosity 0 to 11: 4 leaves out what is no warning, 3 and less what is no error. SIGTTIN and SIGTTOU make it more and less
  --tell      a pipe where somebody waits: a zero byte is written there when the process serves, or why it does not
  --check     read a document and the certificates that it names, print what is wrong with them, exit 0 or 2

Listening sockets are taken from LISTEN_FDS and LISTEN_FDNAMES where a name or an address matches, else bound. One that
nothing serves any more is kept for whoever passed it, or is closed where LISTEN_GIVER=gone.
SIGTERM and SIGINT drain and end; SIGHUP reads the document, or runs the command, again.";

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print the version.
    Version,
    /// Print the help.
    Help,
    /// Check a document.
    Check(Source),
    /// Serve.
    Run(Args),
}

/// How to serve.
#[derive(Debug)]
pub struct Args {
    /// Where the document comes from.
    pub document: Source,
    /// Where the first one comes from, if from elsewhere.
    pub first: Option<Source>,
    /// Where the last good document is kept.
    pub state: Option<PathBuf>,
    /// How to wait for the word before connections are let in, where it is to.
    pub standby: Option<Standby>,
    /// What is expected of it by its name.
    pub habits: Habits,
}

/// Reads the command line, the program's name first.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_iter(words);
    let (mut document, mut state, mut standby) = (None, None, None);
    let (mut render, mut watched, mut made_of) = (None, Vec::new(), None);
    let mut habits = Habits::default();
    while let Some(word) = parser.next().map_err(|error| error.to_string())? {
        match word {
            Long("version") => return Ok(Command::Version),
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("check") => return Ok(Command::Check(source(&mut parser)?)),
            Long("document") => document = Some(source(&mut parser)?),
            Long("render") => render = Some(text(&mut parser)?),
            Long("watch") => watched.push(path(&mut parser)?),
            Long("made-of") => made_of = Some(text(&mut parser)?),
            Long("log") => habits.log = Some(path(&mut parser)?),
            Long("pid-file") => habits.pid_file = Some(path(&mut parser)?),
            Long("verbosity") => habits.verbosity = Some(verbosity(&mut parser)?),
            Long("standby") => standby = Some(Standby::new(parser.optional_value().map(PathBuf::from))),
            Long("tell") => habits.waits = Some(descriptor(&text(&mut parser)?)?),
            Long("state") => state = Some(path(&mut parser)?),
            other => return Err(format!("{}; see --help", other.unexpected())),
        }
    }
    let (document, first) = match (render, document) {
        (Some(command), first) => (command_of(&command, watched, made_of)?, first),
        (None, _) if !watched.is_empty() || made_of.is_some() => {
            return Err("--watch and --made-of go with --render alone; see --help".to_owned());
        }
        (None, Some(document)) => (document, None),
        (None, None) => return Err("--document is missing: what should be served? see --help".to_owned()),
    };
    Ok(Command::Run(Args { document, first, state, standby, habits }))
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    Ok(PathBuf::from(parser.value().map_err(|error| error.to_string())?))
}

fn verbosity(parser: &mut lexopt::Parser) -> Result<u8, String> {
    let value = text(parser)?;
    let number = value.parse().ok().filter(|number| *number <= VERBOSITY_MAX);
    number.ok_or_else(|| format!("--verbosity {value:?} is no number from 0 to {VERBOSITY_MAX}"))
}

fn command_of(command: &str, watched: Vec<PathBuf>, made_of: Option<String>) -> Result<Source, String> {
    Ok(Source::Command(Arc::new(Render::new(command, watched)?.made_of(made_of))))
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.into_string().map_err(|value| format!("{} is no text in UTF-8", value.display()))
}

fn source(parser: &mut lexopt::Parser) -> Result<Source, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    match value.to_str().filter(|text| text.starts_with("fd:")) {
        Some(text) => Ok(Source::Descriptor(descriptor(text)?)),
        None => Ok(Source::File(PathBuf::from(value))),
    }
}

fn descriptor(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("fd:").and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{text} names no descriptor; write fd:3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Command, String> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn reads_files_and_descriptors() {
        assert!(matches!(
            words("x --document a.json --state s"),
            Ok(Command::Run(Args { document: Source::File(_), state: Some(_), standby: None, .. }))
        ));
        assert!(matches!(
            words("x --document fd:3 --standby"),
            Ok(Command::Run(Args { document: Source::Descriptor(3), state: None, standby: Some(_), .. }))
        ));
        assert!(words("x --standby=a.sock --document fd:3").is_ok());
        assert!(matches!(words("x --check fd:3"), Ok(Command::Check(Source::Descriptor(3)))));
    }

    #[test]
    fn reads_a_command_and_what_it_reads() {
        let command = || words("x --render render --watch a --watch b --document fd:3");
        let Ok(Command::Run(Args { document: Source::Command(render), first, .. })) = command() else { panic!() };
        assert_eq!((render.files().len(), first), (2, Some(Source::Descriptor(3))));
        assert!(words("x --document a --watch b").unwrap_err().contains("--render"));
    }

    #[test]
    fn reads_what_is_expected_by_its_name() {
        let Ok(Command::Run(args)) = words("x --document a --log l --pid-file p --verbosity 7 --tell fd:9") else {
            panic!()
        };
        let expected = Habits { log: Some("l".into()), pid_file: Some("p".into()), verbosity: Some(7), waits: Some(9) };
        assert_eq!(args.habits, expected);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(words("x --document a --verbosity 12").unwrap_err().contains("0 to 11"));
        assert!(words("x").unwrap_err().contains("--document"));
        assert!(words("x --document fd:x").unwrap_err().contains("fd:x"));
        assert!(words("x --nothing").unwrap_err().contains("--nothing"));
    }
}
