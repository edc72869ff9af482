//! Pages of a mapped log that are lost when they are touched: the file was truncated, or its disk failed.
//!
//! The kernel then sends SIGBUS, which would end the process without a message. The handler here maps zeros over the log
//! from that page on and records the page; the reader checks the record before it trusts the bytes. A SIGBUS for any other
//! reason goes to the previous handler.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use libc::{c_int, c_void, sigaction, siginfo_t};

/// Mappings that can be guarded at a time. One log is mapped at a time, but tests run side by side.
const MAX_MAPPINGS: usize = 64;
/// No page is lost.
const NONE: usize = usize::MAX;

/// A mapping, as far as the signal handler needs to know it; `start` is 0 when the slot is free and 1 while it is taken.
#[derive(Debug)]
struct Slot {
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicUsize,
}

static SLOTS: [Slot; MAX_MAPPINGS] = [const {
    Slot {
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        lost: AtomicUsize::new(NONE),
    }
}; MAX_MAPPINGS];

/// The previous handler.
static PREVIOUS: OnceLock<sigaction> = OnceLock::new();

/// A mapping whose lost pages read as zeros, as long as this lives.
#[derive(Debug)]
pub(super) struct Guard(&'static Slot);

impl Guard {
    /// Guards the `len` bytes mapped at `start`, which must stay mapped until this is dropped.
    pub fn new(start: NonNull<u8>, len: usize) -> io::Result<Self> {
        install()?;
        let free = SLOTS
            .iter()
            .find(|slot| slot.start.compare_exchange(0, 1, SeqCst, SeqCst).is_ok());
        let Some(slot) = free else {
            return Err(io::Error::other("too many logs are mapped"));
        };
        slot.lost.store(NONE, SeqCst);
        slot.len.store(len, SeqCst);
        slot.start.store(start.as_ptr().addr(), SeqCst);
        Ok(Self(slot))
    }

    /// The offset of the first lost page that was touched.
    pub fn lost_page(&self) -> Option<usize> {
        Some(self.0.lost.load(SeqCst)).filter(|&lost| lost != NONE)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.start.store(0, SeqCst);
    }
}

/// Installs the handler, once.
fn install() -> io::Result<()> {
    if PREVIOUS.get().is_some() {
        return Ok(());
    }
    // SAFETY: a `sigaction` of zeros is one: no handler, no flags, an empty mask.
    let (mut ours, mut previous): (sigaction, sigaction) = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = on_sigbus as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // The previous handler is stored before it can be needed.
    // SAFETY: both pointers are to live values; the second call installs a handler that only does what a handler may.
    let done = unsafe {
        libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous) == 0
            && PREVIOUS.set(previous).is_ok()
            && libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) == 0
    };
    if done || PREVIOUS.get().is_some() {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Does only what is allowed in a signal handler: atomics and two system calls.
extern "C" fn on_sigbus(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes the fault's own information, which for SIGBUS has an address.
    let address = unsafe { (*info).si_addr() }.addr();
    for slot in &SLOTS {
        let (start, len) = (slot.start.load(SeqCst), slot.len.load(SeqCst));
        // The slot may change hands in between; a mapping that is being read keeps its own.
        let is_stable = start > 1 && slot.start.load(SeqCst) == start;
        if is_stable && (start..start + len).contains(&address) {
            let page = address & !(rustix::param::page_size() - 1);
            slot.lost.fetch_min(page - start, SeqCst);
            // SAFETY: the range is the rest of a mapping that its guard keeps and that is only read; zeros replace the
            // lost pages and the ones after them.
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
    if let Some(previous) = PREVIOUS.get() {
        // SAFETY: the previous handler is restored; the instruction is tried again and reaches it.
        unsafe { libc::sigaction(libc::SIGBUS, previous, ptr::null_mut()) };
    }
}
