//! Pages of a mapped log that are gone when they are touched: the file was cut, or its disk failed.
//!
//! The kernel then sends SIGBUS, which ends the process without a word. Instead the handler here maps zeros over what
//! is left of the log from that page on and notes the place; whoever reads the log looks at the note before its bytes
//! are believed. A SIGBUS for any other reason goes to whoever handled it before.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, sigaction, siginfo_t};

/// Mappings that can be watched at one time; one log is mapped at a time, and tests run side by side.
const MOST: usize = 64;
/// Nothing is gone.
const NOWHERE: usize = usize::MAX;

/// A mapping, as far as a signal handler needs to know it; `start` is 0 when the slot is free and 1 while it is taken.
struct Slot {
    start: AtomicUsize,
    len: AtomicUsize,
    gone: AtomicUsize,
}

static SLOTS: [Slot; MOST] = [const {
    Slot {
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        gone: AtomicUsize::new(NOWHERE),
    }
}; MOST];

/// What SIGBUS did before us.
static BEFORE: OnceLock<sigaction> = OnceLock::new();

/// A mapping whose lost pages read as zeros, as long as this lives.
#[derive(Debug)]
pub(super) struct Guard(&'static AtomicUsize, &'static AtomicUsize);

impl Guard {
    /// Watches the `len` bytes mapped at `start`, which must stay mapped until this is dropped.
    pub fn new(start: NonNull<u8>, len: usize) -> io::Result<Self> {
        install()?;
        let free = SLOTS
            .iter()
            .find(|slot| slot.start.compare_exchange(0, 1, SeqCst, SeqCst).is_ok());
        let Some(slot) = free else {
            return Err(io::Error::other("too many logs are mapped"));
        };
        slot.gone.store(NOWHERE, SeqCst);
        slot.len.store(len, SeqCst);
        slot.start.store(start.as_ptr().addr(), SeqCst);
        Ok(Self(&slot.start, &slot.gone))
    }

    /// The first byte that was gone when it was touched, if one was; to the page.
    pub fn gone(&self) -> Option<usize> {
        Some(self.1.load(SeqCst)).filter(|&gone| gone != NOWHERE)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(0, SeqCst);
    }
}

/// Installs the handler, once.
fn install() -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    // SAFETY: a `sigaction` of zeros is one: no handler, no flags, an empty mask.
    let (mut ours, mut before): (sigaction, sigaction) = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_sigbus as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // What was there is known before it can be needed.
    // SAFETY: both pointers are to live values; the second call installs a handler that only does what is allowed in one.
    let done = unsafe {
        libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) == 0
            && BEFORE.set(before).is_ok()
            && libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) == 0
    };
    if done || BEFORE.get().is_some() {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Everything here may be done in a signal handler: atomics and two system calls.
extern "C" fn on_sigbus(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes the fault's own information, which for SIGBUS has an address.
    let address = unsafe { (*info).si_addr() }.addr();
    for slot in &SLOTS {
        let (start, len) = (slot.start.load(SeqCst), slot.len.load(SeqCst));
        // The slot may change hands in between; a mapping that is being read keeps its own.
        let steady = start > 1 && slot.start.load(SeqCst) == start;
        if steady && (start..start + len).contains(&address) {
            let page = address & !(rustix::param::page_size() - 1);
            slot.gone.fetch_min(page - start, SeqCst);
            // SAFETY: the range is the rest of a mapping that its guard says is there and that is only read; zeros
            // take the place of pages that are gone and of the ones behind them.
            let mapped = unsafe {
                libc::mmap(
                    ptr::without_provenance_mut(page),
                    start + len - page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            if mapped != libc::MAP_FAILED {
                return;
            }
        }
    }
    if let Some(before) = BEFORE.get() {
        // SAFETY: what handled SIGBUS before is put back; the instruction is tried again and reaches it.
        unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
    }
}
