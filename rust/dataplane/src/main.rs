//! Run the data plane: one binary that serves what a document says.
//!
//! In:    a document (file, inherited descriptor, a command's output, admin socket); inherited sockets; SIGTERM, SIGINT, SIGHUP.
//! Out:   listeners that serve; two doors; log lines on stderr; exit codes 0, 1, 2, 3.
//! Not:   any decision about the fleet; any protocol of its own.
//! Next:  `alongside-http` and `alongside-cache` do the work; python/alongside/components starts this binary.

mod apply;
mod args;
mod compile;
mod control;
mod doors;
mod explain;
mod figures;
mod habits;
mod log;
mod pools;
mod refused;
mod render;
mod series;
mod serve;
mod source;
mod standby;
mod status;
mod worker;

use args::{Args, Command};
use rustix::process::Resource;
use std::process::ExitCode;

/// How a run ended, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    AddressTaken = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

fn main() -> ExitCode {
    let (program, words) = habits::part(std::env::args_os());
    program.iter().for_each(habits::go_by);
    match args::parse(words) {
        Ok(Command::Version) => {
            log::say(concat!("alongside-dataplane ", env!("CARGO_PKG_VERSION")));
            Exit::Done.into()
        }
        Ok(Command::Help) => {
            log::say(args::HELP);
            Exit::Done.into()
        }
        Ok(Command::Check(source)) => check(&source).into(),
        Ok(Command::Run(args)) => {
            log::start();
            let pid_file = args.habits.pid_file.clone();
            let exit = run(args);
            pid_file.iter().for_each(|path| habits::take_away(path));
            log::flush();
            habits::told_exit(exit, program.is_some()).into()
        }
        Err(message) => {
            log::complain(&message);
            Exit::Usage.into()
        }
    }
}

fn check(source: &source::Source) -> Exit {
    let problems = source.read().map_or_else(|problems| problems, |document| compile::problems_of_files(&document));
    problems.iter().for_each(|problem| log::complain(&problem.to_string()));
    if problems.is_empty() { Exit::Done } else { Exit::Usage }
}

fn run(args: Args) -> Exit {
    raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(event = "start_failed", error = %error);
            args.habits.tell_why(&error.to_string());
            return Exit::Failed;
        }
    };
    runtime.block_on(control::run(args))
}

/// Each connection takes a descriptor: the process may use as many as it is allowed to.
fn raise_descriptor_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit) {
        tracing::warn!(event = "descriptor_limit_not_raised", error = %error);
    }
}
