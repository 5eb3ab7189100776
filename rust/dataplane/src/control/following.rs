//! Following the document: its file, or a command that prints it.

use super::Control;
use crate::Exit;
use crate::render::{Render, Watched};
use crate::source::Source;
use alongside_document::{Document, Problem, Succession, succeeds};
use alongside_transport::watch::Watch;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};

/// How often a followed file is looked at even if nothing was noticed.
const WATCH_LOOK: Duration = Duration::from_secs(30);

/// How often a document is tried again that was refused for a reason that may pass, such as a taken address.
const RETRY_LOOK: Duration = Duration::from_secs(3);

/// A command that prints nothing for one reason is left alone for twice as long each time, up to so many looks: five minutes.
const LOOKS_MAX: u32 = 100;

/// When a followed file is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Always,
    IfChanged,
}

/// What was followed, as it was when it was last looked at.
#[derive(Default)]
pub struct Seen {
    bytes: Option<Result<Vec<u8>, Vec<Problem>>>,
    /// What the command reads.
    watched: Option<Watched>,
    /// The command runs.
    is_rendering: bool,
    /// What it reads has changed since it began.
    is_wanted: bool,
    /// It was refused, or not printed, for a reason that may pass.
    is_due_again: bool,
    /// Why the command printed nothing, as it was told last, and how often since then it did so again.
    unprinted: Option<(String, u32)>,
    /// How many looks it is left alone for.
    looks_left: u32,
}

impl Seen {
    /// Returns whether it is to be tried again in this look.
    fn is_due(&mut self) -> bool {
        let is_left_alone = self.looks_left > 0;
        self.looks_left = self.looks_left.saturating_sub(1);
        !is_left_alone && std::mem::take(&mut self.is_due_again)
    }

    fn has_told(&self, why: &str) -> bool {
        self.unprinted.as_ref().is_some_and(|(told, _)| told == why)
    }

    /// Remembers that the command printed nothing, and when it is run again.
    fn is_unprinted(&mut self, why: String) {
        let times = match self.unprinted.take() {
            Some((told, times)) if told == why => times + 1,
            _ => 0,
        };
        self.looks_left = 2_u32.saturating_pow(times).min(LOOKS_MAX) - 1;
        self.unprinted = Some((why, times));
        self.is_due_again = true;
    }
}

fn join(problems: &[Problem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join(" | ")
}

impl Control {
    pub(super) async fn follow(self: Arc<Self>, source: &Source) -> Exit {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else { return Exit::Failed };
        let changed = Arc::new(Notify::new());
        let mut watch = Watch::new(source.paths(), &changed);
        watch.renew();
        let mut look = tokio::time::interval(WATCH_LOOK);
        look.tick().await;
        let mut retry = tokio::time::interval(RETRY_LOOK);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    signals += 1;
                    self.drain();
                }
                _ = interrupt.recv() => {
                    signals += 1;
                    self.drain();
                }
                () = self.drained.notified() => return self.finish(signals, &mut terminate, &mut interrupt).await,
                _ = hangup.recv() => self.read_again(source, Look::Always),
                () = changed.notified() => {
                    self.read_again(source, Look::IfChanged);
                    watch.renew();
                }
                _ = retry.tick() => self.try_again(source),
                _ = look.tick() => {
                    self.read_again(source, Look::IfChanged);
                    watch.renew();
                }
            }
        }
    }

    /// Remembers what the command read for the document to begin with, where that is known.
    pub(super) fn has_seen(&self, watched: Option<Watched>) {
        self.seen().watched = watched;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_again(self: &Arc<Self>, source: &Source) {
        if self.seen().is_due() {
            self.read_again(source, Look::Always);
        }
        self.lock().bind_due();
    }

    fn read_again(self: &Arc<Self>, source: &Source, look: Look) {
        // What is not ready, as for want of a certificate, may be mended by just this document.
        if matches!(source, Source::Descriptor(_)) || self.is_draining.load(Ordering::Relaxed) {
            return;
        }
        if let Source::Command(render) = source {
            return self.render_again(render, look);
        }
        let bytes = source.bytes();
        let before = self.seen().bytes.replace(bytes.clone());
        // Much may happen in the file's directory, our own log lines among it: a file is judged once.
        if look == Look::IfChanged && before.as_ref() == Some(&bytes) {
            return;
        }
        self.take(bytes, |_| {});
    }

    /// Runs the command where what it reads has changed; what it prints is taken when it ends.
    fn render_again(self: &Arc<Self>, render: &Arc<Render>, look: Look) {
        let mut seen = self.seen();
        let watched = render.watched();
        let before = seen.watched.replace(watched);
        if look == Look::IfChanged && before == seen.watched {
            return;
        }
        if std::mem::replace(&mut seen.is_rendering, true) {
            seen.is_wanted = true;
            return;
        }
        drop(seen);
        tokio::spawn(Arc::clone(self).render(Arc::clone(render)));
    }

    async fn render(self: Arc<Self>, render: Arc<Render>) {
        loop {
            let (printed, answer) = oneshot::channel();
            let worker = Arc::clone(&render);
            // A thread of its own: who ends the process does not wait for it.
            let begun = std::thread::Builder::new().name("render".to_owned()).spawn(move || {
                let _ = printed.send(worker.run());
            });
            let printed = match begun {
                Ok(_) => answer.await.unwrap_or_else(|_| Err(render.passing("it was lost"))),
                Err(error) => Err(render.passing(&format!("no thread can run it: {error}"))),
            };
            let passing = printed.as_ref().err().filter(|unprinted| unprinted.is_passing);
            let passing = passing.map(|unprinted| join(&unprinted.problems));
            let is_told = passing.as_ref().is_some_and(|why| self.seen().has_told(why));
            if !is_told {
                self.take(printed.map_err(|unprinted| unprinted.problems), |document| self.number(document));
            }
            let mut seen = self.seen();
            match passing {
                Some(why) => seen.is_unprinted(why),
                None => (seen.unprinted, seen.looks_left) = (None, 0),
            }
            if !std::mem::take(&mut seen.is_wanted) {
                seen.is_rendering = false;
                return;
            }
        }
    }

    /// Gives what a command printed a number by the document in force, which it does not know: the same where it says the
    /// same, so that it is not applied twice, else a later one.
    fn number(&self, document: &mut Document) {
        let runtime = self.lock();
        let Some(current) = runtime.document() else { return };
        let own = (document.epoch, document.generation);
        let is_newer = succeeds(current, document) == Succession::Newer;
        (document.epoch, document.generation) = (current.epoch, current.generation);
        if succeeds(current, document) == Succession::Conflict {
            (document.epoch, document.generation) =
                if is_newer { own } else { (current.epoch, current.generation + 1) };
        }
    }

    /// Applies what was read or printed; what is wrong with it is said.
    fn take(&self, bytes: Result<Vec<u8>, Vec<Problem>>, number: impl FnOnce(&mut Document)) {
        self.seen().is_due_again = false;
        match bytes.and_then(|bytes| alongside_document::parse(&bytes)) {
            Ok(mut document) => {
                number(&mut document);
                // A newer one may have come by the admin door while the file stayed: that is no mistake of the file.
                if self.is_overtaken(&document) {
                    return;
                }
                // What is wrong with it was said by `apply`.
                let is_passing = self.apply(document).is_err_and(|refused| refused.is_passing());
                self.seen().is_due_again = is_passing;
            }
            Err(problems) => {
                self.process.refused.inc();
                tracing::error!(event = "document_refused", problems = join(&problems));
            }
        }
    }

    fn is_overtaken(&self, document: &Document) -> bool {
        let runtime = self.lock();
        runtime.document().is_some_and(|current| succeeds(current, document) == Succession::Older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns after how many looks each it is run again, if it never prints anything.
    fn looks(seen: &mut Seen, why: &str, times: usize) -> Vec<u32> {
        let mut waits = Vec::new();
        for _ in 0..times {
            seen.is_unprinted(why.to_owned());
            waits.push((1..).find(|_| seen.is_due()).unwrap());
        }
        waits
    }

    #[test]
    fn a_command_that_is_missing_for_good_is_run_less_and_less_often_and_told_once() {
        let mut seen = Seen::default();
        assert!(!seen.has_told("absent"));
        assert_eq!(looks(&mut seen, "absent", 9), [1, 2, 4, 8, 16, 32, 64, 100, 100]);
        assert!(seen.has_told("absent") && !seen.has_told("killed"));
        assert_eq!(looks(&mut seen, "killed", 2), [1, 2], "another reason is tried at once");
        assert!(!seen.is_due(), "nothing is due that was tried");
    }
}
