//! Memory that the process has, and what happens when there is none.

use std::alloc::{GlobalAlloc, Layout};
use std::fs;
use std::io::{Write, stderr};

/// An allocator that ends the process with one line and exit code 2 when `A` has no memory, where the standard library
/// would abort it. Nothing is half written, so it may end anywhere.
pub struct OrExit<A>(
    /// Where memory comes from.
    pub A,
);

// SAFETY: every call is passed on as it came; what is returned is never null, or what `A` returned.
unsafe impl<A: GlobalAlloc> GlobalAlloc for OrExit<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same one.
        got(unsafe { self.0.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        got(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        got(unsafe { self.0.realloc(at, layout, size) }, size)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(at, layout) }
    }
}

#[inline]
fn got(memory: *mut u8, bytes: usize) -> *mut u8 {
    if memory.is_null() {
        no_memory(bytes);
    }
    memory
}

/// Says so without asking for memory.
#[cold]
#[allow(clippy::exit, reason = "there is no way to go on")]
fn no_memory(bytes: usize) -> ! {
    let mut line = [0; 160];
    let mut rest = &mut line[..];
    let _ = writeln!(
        rest,
        "error: the system refuses {bytes} more bytes of memory; raise its limit, or use fewer --threads or --max-memory"
    );
    let left = rest.len();
    let _ = stderr().write_all(&line[..line.len() - left]);
    signal_hook::low_level::exit(crate::exit::FAILED.into())
}

/// The process's own memory, without pages of files, which the kernel may take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Now.
    pub now_bytes: u64,
    /// At most, so far; the pages of files that are there now are left out.
    pub peak_bytes: u64,
}

impl Usage {
    /// As the kernel says it; `None` where it does not.
    pub fn read() -> Option<Self> {
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
    fn memory_is_that_of_the_allocator_within() {
        use std::alloc::System;
        let allocator = OrExit(System);
        let layout = |bytes| Layout::from_size_align(bytes, 16).unwrap();
        // SAFETY: layouts are not empty, every pointer is freed once and with the layout it has by then, and what is read
        // was written, by us or as zeros.
        unsafe {
            let zeros = allocator.alloc_zeroed(layout(48));
            assert_eq!(std::slice::from_raw_parts(zeros, 48), [0; 48]);
            allocator.dealloc(zeros, layout(48));
            let bytes = allocator.alloc(layout(16));
            bytes.write_bytes(7, 16);
            let more = allocator.realloc(bytes, layout(16), 1 << 16);
            assert_eq!(std::slice::from_raw_parts(more, 16), [7; 16]);
            allocator.dealloc(more, layout(1 << 16));
        }
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
