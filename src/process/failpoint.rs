//! Faults on purpose, for tests: what a machine can do to the program at a named point, done there.
//!
//! In a build with debug assertions `TOK_RECOMPUTE_FAULT=POINT:N:WHAT` strikes the N-th time (from 1) that a point is
//! reached whose name starts with POINT. WHAT is `kill` (no handler and no destructor runs), `stop` (until somebody
//! continues the process), `hang` (the thread does not go on), `panic`, or the number of an error, which the point then returns as if the system had.
//! In other builds a point is nothing.

use std::io;

#[cfg(debug_assertions)]
mod armed {
    use std::io;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    struct Fault {
        point: String,
        nth: usize,
        what: String,
    }

    static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let text = std::env::var("TOK_RECOMPUTE_FAULT").ok()?;
        let mut parts = text.split(':');
        let mut next = || parts.next().map(str::to_owned);
        let (point, nth, what) = (next()?, next()?.parse().ok()?, next()?);
        Some(Fault { point, nth, what })
    });
    static REACHED: AtomicUsize = AtomicUsize::new(0);

    pub fn strike(point: &str) -> io::Result<()> {
        let Some(fault) = &*FAULT else { return Ok(()) };
        if !point.starts_with(&fault.point)
            || REACHED.fetch_add(1, Ordering::SeqCst) + 1 != fault.nth
        {
            return Ok(());
        }
        match fault.what.as_str() {
            "kill" => Ok(kill_process(getpid(), Signal::KILL)?),
            // Sent to this thread: no other takes it, while this one goes on.
            "stop" => signal_hook::low_level::raise(signal_hook::consts::SIGSTOP),
            "hang" => loop {
                std::thread::park();
            },
            "panic" => panic!("a fault at {point}"),
            number => Err(io::Error::from_raw_os_error(number.parse().unwrap_or(5))),
        }
    }
}

/// Where something can go wrong, by name.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) -> io::Result<()> {
    armed::strike(name)
}

/// Where something can go wrong, in a build that does not try it out.
#[cfg(not(debug_assertions))]
#[inline(always)]
#[allow(clippy::inline_always, clippy::unnecessary_wraps)]
pub(crate) fn point(_: &str) -> io::Result<()> {
    Ok(())
}
