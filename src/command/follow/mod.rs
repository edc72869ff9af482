//! A run that goes on: its log is read while it is written, and its exact report is there soon after its end.
//!
//! Four threads: one reads ([`reader`]), one counts in the background ([`lane`]), one counts what is left with every
//! core block once the log has ended ([`drain`]), and the one here waits for them, shows how the run stands and minds the
//! clock. When it has waited long enough, or a signal comes, it takes what is recorded by then; whoever is still at work is
//! left alone.

mod display;
mod drain;
mod finalize;
mod figures;
mod live_stats;
mod background;
mod reader;
mod status;
mod signals;
mod snapshot;
mod threads;
mod watcher;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::provenance::Seconds;
use super::tokenizer::{Loaded, Tokenizers};
use super::{Session, caught};
use crate::cpu::Pools;
use crate::files::atomic;
use crate::log::{BatchSizes, LogError};
use crate::pipeline::{Following, Job};
use crate::plan::{FollowPlan, Live, RunPlan};
use crate::process::exit;
use crate::terminal::Messages;
use figures::Phase;
use reader::End;
use signals::{Signal, Signals};
use status::Shown;
use threads::Threads;

/// So often it is looked how the run stands.
const TICK: Duration = Duration::from_millis(100);
/// After a signal what is written by then is read for so long.
const LAST_LINES: Duration = Duration::from_millis(300);

/// What the threads tell.
enum Event {
    Signal(Signal),
    /// The log was written anew; it is read from its start.
    StartedAgain,
    /// The log is read to its end.
    End(End),
    /// Everything is counted of the run as it is now.
    Counted(Box<RunPlan>),
    Failed(anyhow::Error),
}

/// Why a run is reported.
enum Why {
    /// Everything is counted.
    Counted(Box<RunPlan>),
    /// `--drain-timeout` is over.
    TimeIsOver,
    Signal(Signal),
}

/// A followed run.
struct Follow<'a> {
    session: Session<'a>,
    options: &'a FollowPlan,
    messages: Messages,
    live: Live,
    following: Following,
    /// As it was at the start.
    plan: RunPlan,
    tokenizers: Mutex<Tokenizers>,
    means: Mutex<Means>,
    stop: AtomicBool,
    /// Whether the background counts no more.
    no_lane: AtomicBool,
}

/// What the texts are counted with.
#[derive(Default)]
struct Means {
    loaded: Option<Loaded>,
    streaming: Option<bool>,
    recounted_because: Option<String>,
    seconds: Seconds,
}

/// Follows the run that `options` name; returns the exit code.
pub(super) fn run(
    session: Session,
    options: &FollowPlan,
    exits_on_signals: &AtomicBool,
) -> anyhow::Result<u8> {
    let started = Instant::now();
    let messages = session.messages;
    let (tell, inbox) = mpsc::channel();
    let told = tell.clone();
    let signals = Signals::listen(move |signal| {
        let _ = told.send(Event::Signal(signal));
    })?;
    exits_on_signals.store(false, SeqCst);
    let follow = Follow::begin(session, options)?;
    super::watch(messages);
    signals.report();
    thread::scope(|scope| {
        let mut threads = Threads::new(&follow, scope, tell);
        let code = caught(|| follow.to_the_end(&mut threads, &inbox, started));
        follow.stop.store(true, SeqCst);
        if threads.have_ended() {
            return code;
        }
        signals::leave(code.unwrap_or_else(|error| {
            messages.error(error.as_ref());
            exit::FAILED
        }))
    })
}

impl<'a> Follow<'a> {
    /// Finds the run, waits for its log if need be, and loads what it is counted with.
    fn begin(session: Session<'a>, options: &'a FollowPlan) -> anyhow::Result<Self> {
        let messages = session.messages;
        let live = wait_for(options, messages)?;
        let following = Following::open(live.log())?;
        let plan = live.plan(options, following.log().modified())?;
        let log = live.log().display();
        for path in plan.outputs.report_files() {
            // Not only after hours.
            atomic::try_out(path)?;
        }
        if live.found {
            messages.note(format!("following {log}, the newest log of a live run"));
        }
        let mut tokenizers = Tokenizers::default();
        let started = Instant::now();
        let loaded = tokenizers.get(&plan, &session.plan.counting, u64::MAX, messages)?;
        let means = Means {
            loaded,
            streaming: plan.streaming,
            seconds: Seconds {
                load_tokenizer: started.elapsed().as_secs_f64(),
                ..Seconds::default()
            },
            recounted_because: None,
        };
        Ok(Self {
            session,
            options,
            messages,
            live,
            following,
            plan,
            tokenizers: Mutex::new(tokenizers),
            means: Mutex::new(means),
            stop: AtomicBool::new(false),
            no_lane: AtomicBool::new(false),
        })
    }

    fn to_the_end(
        &self,
        threads: &mut Threads<'_, 'a>,
        inbox: &Receiver<Event>,
        started: Instant,
    ) -> anyhow::Result<u8>
    where
        Self: 'a,
    {
        let mut shown = Shown::new(self);
        let (why, end) = self.wait(threads, inbox, |phase| shown.show(phase))?;
        self.stop.store(true, SeqCst);
        let mut snapshot = shown.finish(match (&why, end) {
            (Why::Counted(_), Some(End::Ended)) => Phase::Complete,
            _ => Phase::Interrupted,
        });
        self.report(why, end, started, inbox, |last| snapshot.write(last))
    }

    /// Waits until there is something to report; `tick` is called now and then meanwhile.
    fn wait(
        &self,
        threads: &mut Threads,
        inbox: &Receiver<Event>,
        mut tick: impl FnMut(Phase),
    ) -> anyhow::Result<(Why, Option<End>)> {
        let (mut end, mut deadline) = (None, None);
        threads.read()?;
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Event::Signal(signal)) => {
                    self.read_the_last_lines();
                    return Ok((Why::Signal(signal), end));
                }
                Ok(Event::StartedAgain) => {
                    let path = self.following.log().path().to_owned();
                    let why = LogError::Rewritten { path };
                    self.messages
                        .warn(format!("{why}: it is read from its start again"));
                    if end.take().is_some() {
                        deadline = None;
                        self.no_lane.store(false, SeqCst);
                        threads.read()?;
                    }
                }
                Ok(Event::End(how)) => {
                    end = Some(how);
                    let patience = self.options.drain_timeout;
                    deadline = (!patience.is_zero()).then(|| Instant::now() + patience);
                    threads.drain();
                }
                Ok(Event::Counted(plan)) => return Ok((Why::Counted(plan), end)),
                Ok(Event::Failed(error)) => return Err(error),
                Err(_) => {}
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok((Why::TimeIsOver, end));
            }
            tick(match end {
                Some(_) => Phase::Draining,
                None if self.following.look(|seen, _| seen.started()) => Phase::Live,
                None => Phase::Initialize,
            });
        }
    }

    /// Gives the reader a moment for what is written by now; nothing is counted any more.
    fn read_the_last_lines(&self) {
        self.no_lane.store(true, SeqCst);
        let until = Instant::now() + LAST_LINES;
        let is_behind = || {
            let extent = self.following.log().extent();
            extent.is_ok_and(|extent| self.following.read_bytes() < extent.whole_bytes())
        };
        while is_behind() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The run as it is now; as it was, when its directory is gone.
    fn plan(&self) -> anyhow::Result<RunPlan> {
        let modified = self.following.log().modified();
        match self.plan.dir.as_deref().filter(|dir| !dir.is_dir()) {
            Some(_) => Ok(self.plan.clone()),
            None => Ok(self.live.plan(self.options, modified)?),
        }
    }

    /// Does `work` with what the texts are counted with at the moment.
    fn with_job<T>(
        &self,
        pools: &Pools,
        sizes: BatchSizes,
        watched: bool,
        work: impl FnOnce(&Job) -> T,
    ) -> T {
        let (loaded, streaming) = {
            let means = self.means();
            (means.loaded.clone(), means.streaming)
        };
        work(&Job {
            pools,
            tokenizer: loaded.as_ref().map(|loaded| &*loaded.tokenizer),
            streaming,
            early_stopping: self.plan.early_stopping,
            sizes,
            max_bytes: self.session.plan.max_memory_bytes,
            watched,
        })
    }

    fn means(&self) -> MutexGuard<'_, Means> {
        self.means.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn counts_no_more(&self) -> bool {
        self.stopped() || self.no_lane.load(SeqCst)
    }
}

/// The run that the command line means, as soon as its log is there.
fn wait_for(options: &FollowPlan, messages: Messages) -> anyhow::Result<Live> {
    let until = Instant::now() + options.wait;
    let mut said = false;
    loop {
        if let Some(live) = Live::find(options) {
            return Ok(live);
        }
        let what = options.run.as_ref().map_or_else(
            || "a log of a live run in /dev/shm or the temporary directory".to_owned(),
            |run| format!("a log at {}", run.display()),
        );
        if Instant::now() >= until {
            bail!(
                "there is no {}; name the log, or wait longer with --wait",
                &what[2..]
            );
        }
        if !said {
            messages.note(format!("waiting for {what}"));
            said = true;
        }
        thread::sleep(TICK);
    }
}
