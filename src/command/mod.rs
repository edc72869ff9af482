//! What a person asked for: each command takes a resolved plan and the pipeline's figures, and
//! decides what is written, shown and returned.

mod baseline;
mod check;
mod count;
mod follow;
mod budget;
mod finalize;
mod pages;
mod provenance;
mod recompute;
mod rewrite;
mod samples;
mod table;
mod tokenizer;
mod verdict;
mod row_sinks;

use std::io::{self, Write as _, stdout};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cpu::{CorePlan, CoreRequest, CpuList, Machine, Pools, panic_message};
use crate::process::{exit, watchdog};
use crate::terminal::Messages;
use crate::{plan, terminal};

/// Does what `cli` asks for; the exit code.
pub fn run(cli: &Cli) -> u8 {
    let messages = Messages::new(&cli.display);
    // Every panic is caught and becomes an error, which says what there is to say.
    std::panic::set_hook(Box::new(|_| {}));
    match try_run(cli, messages) {
        Ok(code) => code,
        Err(error) => {
            messages.error(error.as_ref());
            exit::FAILED
        }
    }
}

fn try_run(cli: &Cli, messages: Messages) -> anyhow::Result<u8> {
    if let Some(shell) = cli.completions {
        clap_complete::generate(shell, &mut Cli::command(), "tok-recompute", &mut stdout());
        return Ok(exit::COMPLETE);
    }
    if cli.following.follow {
        return follow::run(cli, messages);
    }
    exit_on_signals()?;
    let plans = plan::resolve(cli)?;
    let pools = pools(cli, cli.cores.threads)?;
    messages.detail(&pools);
    if let Some(why) = pools.refused() {
        messages.warn(format!("the system refuses threads, so fewer count: {why}"));
    }
    // Last of all threads: where there are only a few, they count.
    watch(messages);
    if cli.checking.check {
        return check::run(cli, messages, &pools, plans);
    }
    recompute::Recompute::new(cli, messages, &pools).all(plans)
}

/// Ends the process when work does not end.
fn watch(messages: Messages) {
    watchdog::end_with(move |why| {
        messages.error(anyhow::anyhow!(why).as_ref());
        #[allow(clippy::exit, reason = "the thread that does not end cannot be joined")]
        std::process::exit(exit::FAILED.into());
    });
}

/// A panic is a defect of ours: the run fails and is left as it is.
fn caught<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let what = panic_message(&*payload);
        Err(anyhow::anyhow!("internal error, please report it: {what}"))
    })
}

/// Writes a result to stdout; whoever closed it has seen enough.
fn show(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout();
    let text = terminal::visible(text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

/// Nothing is half written, so a signal may end the process at any time.
fn exit_on_signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    // Writing beyond the limit on file sizes is then an error, not the end.
    signal_hook::flag::register(SIGXFSZ, always.clone())?;
    for (signal, code) in [(SIGINT, exit::INTERRUPTED), (SIGTERM, exit::TERMINATED)] {
        signal_hook::flag::register_conditional_shutdown(signal, code.into(), always.clone())?;
    }
    Ok(())
}

/// `--cpus`.
fn cpus(cli: &Cli) -> anyhow::Result<Option<CpuList>> {
    let list = cli.cores.cpus.as_deref();
    Ok(list.map(str::parse::<CpuList>).transpose()?)
}

fn pools(cli: &Cli, threads: Option<NonZeroUsize>) -> anyhow::Result<Pools> {
    let request = CoreRequest {
        block_size: cli.cores.block_size.get(),
        threads: threads.map(NonZeroUsize::get),
        cpus: cpus(cli)?,
    };
    Ok(Pools::new(&CorePlan::new(&Machine::here(), &request)?)?)
}
