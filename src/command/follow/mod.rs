//! Follows a live run: reads its log while it is written, and has the exact report soon after its end.
//!
//! There are four threads. One reads the log ([`reader`]), one counts in the background ([`background`]), and one counts the
//! rest on every core block after the log has ended ([`drain`]). The thread here waits for them, shows the status and keeps
//! the timeouts. After a timeout or a signal it reports what is recorded by then, and does not wait for the others.

mod background;
mod display;
mod drain;
mod finalize;
mod live_stats;
mod reader;
mod signals;
mod status;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::count::rules;
use super::provenance::Seconds;
use super::tokenizer::{LoadedTokenizer, TokenizerCache};
use super::{Session, caught};
use crate::cpu::Pools;
use crate::files::atomic;
use crate::log::{BatchSizes, LogError, TailedFile};
use crate::pipeline::{Following, Job, Rules};
use crate::plan::{FollowPlan, LiveRun, RunPlan};
use crate::process::exit;
use crate::report::State;
use crate::terminal::Messages;
use reader::LogEnd;
use signals::{Signal, Signals};
use status::Status;
use threads::Threads;

/// The time between two looks at the run.
const TICK: Duration = Duration::from_millis(100);
/// The longest time after a signal in which the lines written by then are read.
const LAST_READ_TIMEOUT: Duration = Duration::from_millis(300);

/// A message from one of the threads.
enum FollowEvent {
    Signal(Signal),
    /// The log was rewritten; it is read from its start.
    Rewritten,
    /// The log is read to its end.
    LogEnded(LogEnd),
    /// Every text is counted, by this plan.
    Counted(Box<RunPlan>),
    Failed(anyhow::Error),
}

/// The reason why the follow stops.
enum StopReason {
    /// Every text is counted, by this plan.
    Counted(Box<RunPlan>),
    /// `--drain-timeout` has passed.
    DrainTimeout,
    Signal(Signal),
}

/// A followed run, shared by the threads.
struct Follow<'a> {
    session: Session<'a>,
    options: &'a FollowPlan,
    messages: Messages,
    live: LiveRun,
    following: Following,
    /// The plan at the start.
    plan: RunPlan,
    tokenizers: Mutex<TokenizerCache>,
    counting: Mutex<CountingState>,
    /// Stops every thread.
    stop: AtomicBool,
    stop_background: AtomicBool,
}

/// The tokenizer and the settings of the counts so far.
#[derive(Default)]
struct CountingState {
    loaded: Option<LoadedTokenizer>,
    rules: Rules,
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
    let (tx, rx) = mpsc::channel();
    let signal_tx = tx.clone();
    let signals = Signals::listen(move |signal| {
        let _ = signal_tx.send(FollowEvent::Signal(signal));
    })?;
    exits_on_signals.store(false, SeqCst);
    let follow = Follow::begin(session, options)?;
    super::watch(messages);
    signals.deliver_next();
    thread::scope(|scope| {
        let mut threads = Threads::new(&follow, scope, tx);
        let code = caught(|| follow.run_to_end(&mut threads, &rx, started));
        follow.stop.store(true, SeqCst);
        if threads.wait_briefly() {
            return code;
        }
        signals::exit_now(code.unwrap_or_else(|error| {
            messages.error(error.as_ref());
            exit::FAILED
        }))
    })
}

impl<'a> Follow<'a> {
    /// Finds the run, waits for its log if it is not there yet, and loads the tokenizer.
    fn begin(session: Session<'a>, options: &'a FollowPlan) -> anyhow::Result<Self> {
        let messages = session.messages;
        let live = wait_for(options, messages)?;
        let (following, plan) = open(&live, options)?;
        let log = live.log().display();
        for path in plan.outputs.report_files() {
            // An output that cannot be written is an error now, not after hours.
            atomic::check_writable(path)?;
        }
        if live.found {
            messages.note(format!("following {log}, the newest log of a live run"));
        }
        let mut tokenizers = TokenizerCache::default();
        let started = Instant::now();
        let loaded = tokenizers.get(&plan, session.plan.counting, u64::MAX, messages)?;
        let counting = CountingState {
            loaded,
            rules: rules(&plan),
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
            counting: Mutex::new(counting),
            stop: AtomicBool::new(false),
            stop_background: AtomicBool::new(false),
        })
    }

    fn run_to_end(
        &self,
        threads: &mut Threads<'_, 'a>,
        rx: &Receiver<FollowEvent>,
        started: Instant,
    ) -> anyhow::Result<u8>
    where
        Self: 'a,
    {
        let mut status = Status::new(self);
        let (reason, end) = self.wait(threads, rx, |phase| status.show(phase))?;
        self.stop.store(true, SeqCst);
        let mut snapshot = status.finish(match (&reason, end) {
            (StopReason::Counted(_), Some(LogEnd::SessionEnded)) => State::Complete,
            _ => State::Interrupted,
        });
        self.report(reason, end, started, rx, |last| snapshot.write(last))
    }

    /// Waits until the run is counted, a timeout has passed or a signal has come. Calls `tick` every [`TICK`].
    fn wait(
        &self,
        threads: &mut Threads,
        rx: &Receiver<FollowEvent>,
        mut tick: impl FnMut(State),
    ) -> anyhow::Result<(StopReason, Option<LogEnd>)> {
        let (mut end, mut deadline) = (None, None);
        threads.start_reading()?;
        loop {
            match rx.recv_timeout(TICK) {
                Ok(FollowEvent::Signal(signal)) => {
                    self.read_last_lines();
                    return Ok((StopReason::Signal(signal), end));
                }
                Ok(FollowEvent::Rewritten) => {
                    let path = self.following.log().path().to_owned();
                    let error = LogError::Rewritten { path };
                    self.messages
                        .warn(format!("{error}: it is read from its start again"));
                    if end.take().is_some() {
                        deadline = None;
                        self.stop_background.store(false, SeqCst);
                        threads.start_reading()?;
                    }
                }
                Ok(FollowEvent::LogEnded(how)) => {
                    end = Some(how);
                    let timeout = self.options.drain_timeout;
                    deadline = (!timeout.is_zero()).then(|| Instant::now() + timeout);
                    threads.start_draining();
                }
                Ok(FollowEvent::Counted(plan)) => return Ok((StopReason::Counted(plan), end)),
                Ok(FollowEvent::Failed(error)) => return Err(error),
                Err(_) => {}
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok((StopReason::DrainTimeout, end));
            }
            tick(match end {
                Some(_) => State::Draining,
                None if self.following.look(|seen, _| seen.started()) => State::Live,
                None => State::Initialize,
            });
        }
    }

    /// Stops the background, and waits a short time until the reader has read the lines that are written by now.
    fn read_last_lines(&self) {
        self.stop_background.store(true, SeqCst);
        let deadline = Instant::now() + LAST_READ_TIMEOUT;
        let is_behind = || {
            let length = self.following.log().length();
            length.is_ok_and(|length| self.following.read_bytes() < length.whole_bytes)
        };
        while is_behind() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the plan of the run as it is now, or the first plan if the run directory is gone.
    fn plan(&self) -> anyhow::Result<RunPlan> {
        let modified = self.following.log().modified();
        match self.plan.dir.as_deref().filter(|dir| !dir.is_dir()) {
            Some(_) => Ok(self.plan.clone()),
            None => Ok(self.live.plan(self.options, modified)?),
        }
    }

    /// Calls `work` with the job that counts texts at the moment.
    fn with_job<T>(
        &self,
        pools: &Pools,
        sizes: BatchSizes,
        watched: bool,
        work: impl FnOnce(&Job) -> T,
    ) -> T {
        let (loaded, rules) = {
            let counting = self.counting();
            (counting.loaded.clone(), counting.rules)
        };
        work(&Job {
            pools,
            tokenizer: loaded.as_ref().map(|loaded| &*loaded.tokenizer),
            rules,
            sample_map: None,
            sizes,
            max_bytes: self.session.plan.max_memory_bytes,
            watched,
        })
    }

    fn tokenizers(&self) -> MutexGuard<'_, TokenizerCache> {
        self.tokenizers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn counting(&self) -> MutexGuard<'_, CountingState> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn background_stopped(&self) -> bool {
        self.stopped() || self.stop_background.load(SeqCst)
    }
}

/// Opens the log and resolves the run as it is now.
fn open(live: &LiveRun, options: &FollowPlan) -> anyhow::Result<(Following, RunPlan)> {
    let log = TailedFile::open(live.log())?;
    let plan = live.plan(options, log.modified())?;
    Ok((Following::new(log, rules(&plan)), plan))
}

/// Waits for the log of the run that the command line names.
fn wait_for(options: &FollowPlan, messages: Messages) -> anyhow::Result<LiveRun> {
    let until = Instant::now() + options.wait;
    let mut noted = false;
    loop {
        if let Some(live) = LiveRun::find(options) {
            return Ok(live);
        }
        let place = options.run.as_ref().map_or_else(
            || "of a live run in /dev/shm or the temporary directory".to_owned(),
            |run| format!("at {}", run.display()),
        );
        if Instant::now() >= until {
            bail!("there is no log {place}; name the log, or wait longer with --wait");
        }
        if !noted {
            messages.note(format!("waiting for a log {place}"));
            noted = true;
        }
        thread::sleep(TICK);
    }
}
