//! Failpoints: named points at which tests have a fault happen.
//!
//! In a build with debug assertions `TOK_RECOMPUTE_FAULT=POINT:N:FAULT` has FAULT happen the N-th time (from 1) that a
//! point is hit whose name starts with POINT. FAULT is `kill` (without handlers and destructors), `stop` (until the
//! process is continued), `hang` (the thread does not return), `panic`, or the number of an error, which the point then
//! returns as if the system had. In other builds a failpoint does nothing.

#[cfg(not(debug_assertions))]
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
        action: String,
    }

    static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let text = std::env::var("TOK_RECOMPUTE_FAULT").ok()?;
        let mut parts = text.split(':');
        let mut next = || parts.next().map(str::to_owned);
        let (point, nth, action) = (next()?, next()?.parse().ok()?, next()?);
        Some(Fault { point, nth, action })
    });
    static HITS: AtomicUsize = AtomicUsize::new(0);

    pub fn hit(point: &str) -> io::Result<()> {
        let Some(fault) = &*FAULT else { return Ok(()) };
        let is_armed = point.starts_with(&fault.point);
        if !is_armed || HITS.fetch_add(1, Ordering::SeqCst) + 1 != fault.nth {
            return Ok(());
        }
        match fault.action.as_str() {
            "kill" => Ok(kill_process(getpid(), Signal::KILL)?),
            // Sent to this thread: another one might take it while this one goes on.
            "stop" => signal_hook::low_level::raise(signal_hook::consts::SIGSTOP),
            "hang" => loop {
                std::thread::park();
            },
            "panic" => panic!("a fault at {point}"),
            number => Err(io::Error::from_raw_os_error(number.parse().unwrap_or(5))),
        }
    }
}

#[cfg(debug_assertions)]
pub(crate) use armed::hit;

#[cfg(not(debug_assertions))]
#[inline(always)]
#[allow(clippy::inline_always, clippy::unnecessary_wraps)]
pub(crate) fn hit(_: &str) -> io::Result<()> {
    Ok(())
}
