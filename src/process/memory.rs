//! The memory of the process, and its end where it cannot have more.

use std::fs;
use std::io::{Write, stderr};
use std::thread;

use crate::process::exit;

/// The usual limit on the stack of a process's first thread.
const STACK_BYTES: usize = 8 << 20;

/// Ends the process with a message and an exit code, without allocating. Nothing is half written, so it may end anywhere.
#[cold]
pub fn exit_out_of_memory() -> ! {
    let line = b"error: the system has no more memory for this; raise its limit, or use fewer --threads or --max-memory\n";
    let _ = stderr().write_all(line);
    signal_hook::low_level::exit(exit::FAILED.into())
}

/// Runs a command on a thread whose whole stack is allocated, and returns its exit code. The stack of a process's first
/// thread grows when it is touched, and where the system has no memory for that, it ends the process with a signal.
pub fn run_on_full_stack(command: impl FnOnce() -> u8 + Send + 'static) -> u8 {
    let thread = thread::Builder::new()
        .name("main".into())
        .stack_size(STACK_BYTES)
        .spawn(command);
    let (what, why) = match thread.map(thread::JoinHandle::join) {
        Ok(Ok(code)) => return code,
        Ok(Err(_)) => ("internal error, please report it", "it panicked".into()),
        Err(error) => ("the system refuses even one thread", error.to_string()),
    };
    let _ = writeln!(stderr(), "error: {what}: {why}");
    exit::FAILED
}

/// The process's own memory, without pages of files, which the kernel may take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In use now.
    pub now_bytes: u64,
    /// The most so far, less the pages of files that are in memory now.
    pub peak_bytes: u64,
}

impl Usage {
    /// Asks the kernel; `None` where it does not say.
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
            Some(kib << 10)
        };
        let (now_bytes, files) = (field("RssAnon:")?, field("RssFile:")?);
        Some(Self {
            now_bytes,
            peak_bytes: field("VmHWM:")?.saturating_sub(files).max(now_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_its_code_and_a_panic_is_a_failure() {
        assert_eq!(run_on_full_stack(|| 3), 3);
        assert_eq!(run_on_full_stack(|| panic!("of a test")), exit::FAILED);
    }

    #[test]
    fn usage_is_what_the_kernel_says() {
        let check = |status, expected: Option<(u64, u64)>| {
            let usage = Usage::parse(status).map(|usage| (usage.now_bytes, usage.peak_bytes));
            assert_eq!(usage, expected);
        };
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t 1024 kB\nRssFile:\t     512 kB\n";
        check(status, Some((1 << 20, 1536 << 10)));
        check(
            "VmHWM:\t 1 kB\nRssAnon:\t 9 kB\nRssFile:\t 4 kB\n",
            Some((9 << 10, 9 << 10)),
        );
        check("RssAnon:\t 9 kB\n", None);
        check("RssAnon:\t 9 MB\nRssFile:\t 1 kB\nVmHWM:\t 1 kB\n", None);
        check("", None);
        if cfg!(target_os = "linux") {
            assert!(Usage::read().unwrap().now_bytes > 1 << 16);
        }
    }
}
