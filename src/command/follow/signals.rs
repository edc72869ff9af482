//! Handles signals. The first SIGINT or SIGTERM asks for a report of what is counted, the second ends the process at once.
//! SIGTSTP stops the process after the terminal is in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::{iterator, low_level};

use crate::files::atomic;
use crate::process::exit;
use crate::terminal;

/// A signal that asks the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    pub name: &'static str,
    /// The exit code of a process that this signal ended.
    pub code: u8,
}

/// Switches between the two ways to handle a signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// The next signal goes to the follow; it does not end the process.
    deliver: Arc<AtomicBool>,
}

impl Signals {
    /// Passes the first signal after [`Self::deliver_next`] to `on_signal`; every other ends the process.
    pub fn listen(on_signal: impl Fn(Signal) + Send + 'static) -> std::io::Result<Self> {
        // With a handler, a write beyond the file size limit is an error and does not end the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let signals = Self::default();
        let deliver = Arc::clone(&signals.deliver);
        let mut stream = iterator::Signals::new([SIGINT, SIGTERM, SIGTSTP])?;
        let handle = move || {
            for number in stream.forever() {
                if number == SIGTSTP {
                    terminal::release_then(|| {
                        let _ = low_level::emulate_default_handler(number);
                    });
                    continue;
                }
                let signal = Signal::of(number);
                if deliver.swap(false, SeqCst) {
                    on_signal(signal);
                } else {
                    exit_now(signal.code);
                }
            }
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(handle)?;
        Ok(signals)
    }

    /// Makes the next signal ask for a report, because there is something to report now.
    pub fn deliver_next(&self) {
        self.deliver.store(true, SeqCst);
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

/// Ends the process without waiting for its threads. The terminal is in order, and temporary files are removed.
#[allow(clippy::exit, reason = "a thread may hang")]
pub(super) fn exit_now(code: u8) -> ! {
    terminal::release();
    // The lock that this returns keeps other threads from making new ones.
    let _lock = atomic::remove_temporaries();
    std::process::exit(code.into())
}
