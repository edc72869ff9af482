//! The commands: each takes the plan, counts runs, and decides what is written, shown and returned.

mod baseline;
mod budget;
mod check;
mod count;
mod finalize;
mod follow;
mod pages;
mod provenance;
mod recompute;
mod rewrite;
mod row_sinks;
mod samples;
mod table;
mod tokenizer;
mod verdict;

use std::io::{self, Write as _, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cpu::{CorePlan, CoreRequest, Machine, Pools};
use crate::plan::{Display, Mode, Plan, PlanError, RunPlan};
use crate::process::{exit, panic_message, watchdog};
use crate::terminal::{self, Messages};

/// One run of the program: its plan, and the way to the terminal.
#[derive(Clone, Copy, Debug)]
struct Session<'a> {
    plan: &'a Plan,
    messages: Messages,
}

/// Resolves the plan and carries it out; returns the exit code.
pub(crate) fn run(display: Display, resolve: impl FnOnce() -> Result<Plan, PlanError>) -> u8 {
    let messages = Messages::new(display);
    // Every panic is caught and reported as an error.
    std::panic::set_hook(Box::new(|_| {}));
    let run = || {
        let exits_on_signals = exit_on_signals()?;
        let plan = &resolve()?;
        Session { plan, messages }.run(&exits_on_signals)
    };
    run().unwrap_or_else(|error: anyhow::Error| {
        messages.error(error.as_ref());
        exit::FAILED
    })
}

impl Session<'_> {
    fn run(self, exits_on_signals: &AtomicBool) -> anyhow::Result<u8> {
        match &self.plan.mode {
            Mode::Completions(shell) => {
                let command = &mut Cli::command();
                clap_complete::generate(*shell, command, "tok-recompute", &mut stdout());
                Ok(exit::COMPLETE)
            }
            Mode::Follow(follow) => follow::run(self, follow, exits_on_signals),
            Mode::Recompute => {
                let pools = self.start_pools()?;
                recompute::Recompute::new(self, &pools).all()
            }
            Mode::Check(check) => {
                let pools = self.start_pools()?;
                check::run(self, check, &pools)
            }
        }
    }

    fn show_assumptions(self, run: &RunPlan) {
        for warning in &run.warnings {
            self.messages.warn(warning);
        }
        for assumed in &run.assumed {
            self.messages.note(assumed);
        }
    }

    fn start_pools(self) -> anyhow::Result<Pools> {
        let pools = pools(&self.plan.cores)?;
        self.messages.detail(&pools);
        if let Some(why) = pools.start_error() {
            self.messages
                .warn(format!("the system refuses threads, so fewer count: {why}"));
        }
        // The last thread to start: where threads are few, those that count come first.
        watch(self.messages);
        Ok(pools)
    }
}

fn pools(request: &CoreRequest) -> anyhow::Result<Pools> {
    Ok(Pools::new(&CorePlan::new(&Machine::here(), request)?)?)
}

/// Ends the process when work does not end.
fn watch(messages: Messages) {
    watchdog::start(move |why| {
        messages.error(anyhow::anyhow!(why).as_ref());
        #[allow(clippy::exit, reason = "the thread that does not end cannot be joined")]
        std::process::exit(exit::FAILED.into());
    });
}

/// Turns a panic, which is a defect of ours, into an error: the run fails and is left as it is.
fn caught<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let what = panic_message(&*payload);
        Err(anyhow::anyhow!("internal error, please report it: {what}"))
    })
}

/// Writes a result to stdout. A reader that closed it has seen enough.
fn show(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout();
    let text = terminal::escape_lines(text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

/// Makes signals end the process at once, as long as the returned flag is set: nothing is half written at any time.
fn exit_on_signals() -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    let flag = Arc::new(AtomicBool::new(true));
    // Exceeding the limit on file sizes becomes a write error.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    for (signal, code) in [(SIGINT, exit::INTERRUPTED), (SIGTERM, exit::TERMINATED)] {
        signal_hook::flag::register_conditional_shutdown(signal, code.into(), flag.clone())?;
    }
    Ok(flag)
}
