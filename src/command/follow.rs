//! A run that goes on: its log is read while it is written, and its exact report is there soon after its end.
//!
//! Three threads: one reads and counts in the background ([`lane`]), one counts what is left with every core block once
//! the log has ended ([`drain`]), and the one here waits for them, shows how the run stands and minds the clock. When it
//! has waited long enough, or a signal comes, it takes what is recorded by then; whoever is still at work is left alone.

mod display;
mod drain;
mod figures;
mod gather;
mod lane;
mod signals;
mod watcher;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::bail;

use super::count::{Counted, refuse_nothing};
use super::pages::Besides;
use super::record::Seconds;
use super::tokenizer::{Loaded, Tokenizers};
use super::{caught, outcome};
use crate::cli::Cli;
use crate::cores::{CorePlan, Machine, Pools};
use crate::exit;
use crate::log::{BatchSizes, LogError};
use crate::messages::Messages;
use crate::pipeline::{Following, Job};
use crate::plan::{Live, RunPlan};
use crate::report::State;
use display::Display;
use figures::Phase;
use gather::Gather;
use lane::{End, Lane};
use signals::{Signal, Signals};

/// So often it is looked how the run stands.
const TICK: Duration = Duration::from_millis(100);
/// Threads that are asked to stop have so long to do it in peace.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the threads tell.
enum Event {
    Signal(Signal),
    /// The log was written anew; it is read from its start.
    StartedAgain(LogError),
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
    cli: &'a Cli,
    messages: Messages,
    live: Live,
    following: Following,
    /// As it was at the start.
    plan: RunPlan,
    tokenizers: Mutex<Tokenizers>,
    means: Mutex<Means>,
    stop: AtomicBool,
    length_bytes: AtomicU64,
}

/// What the texts are counted with.
#[derive(Default)]
struct Means {
    loaded: Option<Loaded>,
    streaming: Option<bool>,
    recounted_because: Option<String>,
    seconds: Seconds,
}

/// Follows the run that `cli` names; the exit code.
pub(super) fn run(cli: &Cli, messages: Messages) -> anyhow::Result<u8> {
    let started = Instant::now();
    let (tell, inbox) = mpsc::channel();
    let told = tell.clone();
    let signals = Signals::listen(move |signal| {
        let _ = told.send(Event::Signal(signal));
    })?;
    let follow = Follow::begin(cli, messages)?;
    let cpus = super::cpus(cli)?;
    let threads = cli.following.live_threads;
    let background = CorePlan::background(&Machine::here(), cpus.as_ref(), threads)?;
    let background = Pools::new(&background)?;
    messages.detail(format!("in the background: {background}"));
    super::watch(messages);
    signals.report();
    thread::scope(|scope| {
        let mut threads = Threads {
            follow: &follow,
            background: &background,
            scope,
            tell,
            started: Vec::new(),
        };
        let code = caught(|| follow.to_the_end(&mut threads, &inbox, started));
        follow.stop.store(true, SeqCst);
        if !threads.have_ended() {
            let code = code.unwrap_or_else(|error| {
                messages.error(error.as_ref());
                exit::FAILED
            });
            signals::leave(code);
        }
        code
    })
}

/// The threads at work on a followed run.
struct Threads<'scope, 'env> {
    follow: &'env Follow<'env>,
    background: &'env Pools,
    scope: &'scope Scope<'scope, 'env>,
    tell: Sender<Event>,
    started: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'env> Threads<'_, 'env> {
    fn read(&mut self) {
        let lane = Lane {
            follow: self.follow,
            pools: self.background,
            counts: self.follow.cli.following.live_threads > 0,
            tell: self.tell.clone(),
        };
        self.started.push(self.scope.spawn(|| lane.run()));
    }

    fn drain(&mut self) {
        let (follow, tell): (&'env Follow, _) = (self.follow, self.tell.clone());
        self.started.push(self.scope.spawn(move || {
            let event = match caught(|| follow.drain()) {
                Ok(Some(plan)) => Event::Counted(Box::new(plan)),
                Ok(None) => return,
                Err(error) => Event::Failed(error),
            };
            let _ = tell.send(event);
        }));
    }

    /// Whether all have, after a short while.
    fn have_ended(&self) -> bool {
        let until = Instant::now() + FAREWELL;
        while !self.started.iter().all(ScopedJoinHandle::is_finished) {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl<'a> Follow<'a> {
    /// Finds the run, waits for its log if need be, and loads what it is counted with.
    fn begin(cli: &'a Cli, messages: Messages) -> anyhow::Result<Self> {
        let live = wait_for(cli, messages)?;
        let following = Following::open(live.log())?;
        let plan = live.plan(cli, following.log().modified())?;
        let log = live.log().display();
        if live.found {
            messages.note(format!("following {log}, the newest log of a live run"));
        }
        let mut tokenizers = Tokenizers::default();
        let started = Instant::now();
        let loaded = tokenizers.get(&plan, &cli.counting, u64::MAX, messages)?;
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
            cli,
            messages,
            live,
            following,
            plan,
            tokenizers: Mutex::new(tokenizers),
            means: Mutex::new(means),
            stop: AtomicBool::new(false),
            length_bytes: AtomicU64::new(0),
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
        let mut gather = Gather::default();
        let mut display = Display::new(
            &self.cli.display,
            self.messages,
            self.cli.following.interval,
            &self.live.log().display().to_string(),
        );
        let mut look = |phase| {
            let length_bytes = self.length_bytes.load(SeqCst);
            gather.look(&self.following, phase, length_bytes)
        };
        let (why, end) = self.wait(threads, inbox, |phase| display.show(&look(phase)))?;
        self.stop.store(true, SeqCst);
        display.finish(&look(match why {
            Why::Counted(_) if end == Some(End::Ended) => Phase::Complete,
            _ => Phase::Interrupted,
        }));
        self.report(why, end, started)
    }

    /// Waits until there is something to report; `tick` is called now and then meanwhile.
    fn wait(
        &self,
        threads: &mut Threads,
        inbox: &Receiver<Event>,
        mut tick: impl FnMut(Phase),
    ) -> anyhow::Result<(Why, Option<End>)> {
        let (mut end, mut deadline) = (None, None);
        threads.read();
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(Event::Signal(signal)) => return Ok((Why::Signal(signal), end)),
                Ok(Event::StartedAgain(why)) => {
                    self.messages
                        .warn(format!("{why}: it is read from its start again"));
                }
                Ok(Event::End(how)) => {
                    end = Some(how);
                    let patience = self.cli.following.drain_timeout;
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

    /// Reports what is recorded.
    fn report(&self, why: Why, end: Option<End>, started: Instant) -> anyhow::Result<u8> {
        let (plan, signal, mut stopped) = match why {
            Why::Counted(plan) => (*plan, None, None),
            Why::TimeIsOver => {
                let seconds = self.cli.following.drain_timeout.as_secs_f64();
                let stopped = format!("stopped after --drain-timeout {seconds}");
                (self.plan()?, None, Some(stopped))
            }
            Why::Signal(signal) => {
                let stopped = format!("stopped by {}", signal.name);
                (self.plan()?, Some(signal), Some(stopped))
            }
        };
        match end {
            Some(End::Idle) => {
                let seconds = self.cli.following.idle_timeout.as_secs_f64();
                stopped.get_or_insert(format!("the log has not grown for {seconds} s"));
            }
            Some(End::Abandoned) => {
                stopped.get_or_insert("the log was removed before its end".to_owned());
            }
            Some(End::Ended) | None => {}
        }
        let mut finished = self.following.finish(plan.streaming, plan.early_stopping);
        if let Some(signal) = signal {
            if finished.events == 0 {
                self.messages.note("there is nothing to report yet");
                return Ok(signal.code);
            }
            finished.snapshot.state = State::Interrupted;
        }
        refuse_nothing(&plan, &finished)?;
        for warning in &plan.warnings {
            self.messages.warn(warning);
        }
        for assumed in &plan.assumed {
            self.messages.note(assumed);
        }
        let _lock = outcome::lock(&plan, self.messages)?;
        let means = std::mem::take(&mut *self.means());
        let counted = Counted {
            finished,
            loaded: means.loaded,
            recounted_because: means.recounted_because,
            stopped,
            seconds: means.seconds,
        };
        let besides = (None, Besides::default());
        let concluded =
            outcome::conclude(self.cli, self.messages, &plan, counted, besides, started)?;
        Ok(signal.map_or(concluded.exit_code, |signal| signal.code))
    }

    /// The run as it is now; as it was, when its directory is gone.
    fn plan(&self) -> anyhow::Result<RunPlan> {
        let modified = self.following.log().modified();
        match self.plan.dir.as_deref().filter(|dir| !dir.is_dir()) {
            Some(_) => Ok(self.plan.clone()),
            None => Ok(self.live.plan(self.cli, modified)?),
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
            most_bytes: self.cli.cores.max_memory,
            watched,
        })
    }

    fn means(&self) -> MutexGuard<'_, Means> {
        self.means.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn note_length(&self, bytes: u64) {
        self.length_bytes.store(bytes, SeqCst);
    }
}

/// The run that the command line means, as soon as its log is there.
fn wait_for(cli: &Cli, messages: Messages) -> anyhow::Result<Live> {
    let until = Instant::now() + cli.following.wait;
    let mut said = false;
    loop {
        if let Some(live) = Live::find(cli)? {
            return Ok(live);
        }
        let what = cli.runs.first().map_or_else(
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
