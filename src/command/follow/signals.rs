//! SIGINT and SIGTERM: the first asks for a report of what there is, the second ends the process at once. SIGTSTP, which
//! stops it for a while, finds the terminal in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::{iterator, low_level};

use crate::files::atomic;
use crate::process::exit;
use crate::terminal;

/// A signal that asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    /// Its name.
    pub name: &'static str,
    /// The exit code that tells of it.
    pub code: u8,
}

/// How signals are taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    reported: Arc<AtomicBool>,
}

impl Signals {
    /// Hands the first signal to `tell` from the time on that there is something to report; any other ends the process.
    pub fn listen(tell: impl Fn(Signal) + Send + 'static) -> std::io::Result<Self> {
        // Writing beyond the limit on file sizes is then an error, not the end.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let signals = Self::default();
        let reported = Arc::clone(&signals.reported);
        let mut stream = iterator::Signals::new([SIGINT, SIGTERM, SIGTSTP])?;
        let take = move || {
            for number in stream.forever() {
                if number == SIGTSTP {
                    terminal::leave_and(|| {
                        let _stopped_meanwhile = low_level::emulate_default_handler(number);
                    });
                    continue;
                }
                let signal = Signal::of(number);
                if reported.swap(false, SeqCst) {
                    tell(signal);
                } else {
                    leave(signal.code);
                }
            }
        };
        thread::Builder::new().name("signals".into()).spawn(take)?;
        Ok(signals)
    }

    /// From now on there is something to report.
    pub fn report(&self) {
        self.reported.store(true, SeqCst);
    }
}

impl Signal {
    fn of(number: i32) -> Self {
        match number {
            SIGINT => Self {
                name: "SIGINT",
                code: exit::INTERRUPTED,
            },
            _ => Self {
                name: "SIGTERM",
                code: exit::TERMINATED,
            },
        }
    }
}

/// Ends the process without waiting for anybody; no temporary file is left.
#[allow(clippy::exit, reason = "the threads at work are not waited for")]
pub(super) fn leave(code: u8) -> ! {
    terminal::leave();
    let _none_is_made = atomic::remove_temporaries();
    std::process::exit(code.into())
}
