//! One rayon pool a core block, its threads pinned to the block's CPUs.
//!
//! A thread is pinned to its block's whole set, not to one CPU (which is all that `core_affinity` does): the caches
//! worth keeping are shared by the block, and inside it the kernel may still avoid a busy CPU.

use std::fmt;
use std::io;
use std::thread::{self, JoinHandle};

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use super::list::CpuList;
use super::{CoreBlock, CorePlan, CpuError};
use crate::process::failpoint;

/// The pools of a run.
pub struct Pools {
    blocks: Vec<(CoreBlock, ThreadPool)>,
    pinned: bool,
    start_error: Option<String>,
}

impl Pools {
    /// Starts every block's threads and pins them where the plan and the platform allow. Where the system refuses
    /// threads, there are fewer; there is at least one.
    pub fn new(plan: &CorePlan) -> Result<Self, CpuError> {
        let mut pinned = plan.pin;
        let mut start_error = None;
        let mut pools = Vec::with_capacity(plan.blocks.len());
        for (number, block) in plan.blocks.iter().enumerate() {
            let pool = match start(number, block.threads, &mut start_error) {
                Ok(pool) => pool,
                Err(error) if pools.is_empty() => return Err(error),
                Err(_) => break,
            };
            if plan.pin {
                let done = pool.broadcast(|_| pin(&block.cpus));
                pinned &= !done.contains(&false);
            }
            if plan.background {
                pool.broadcast(|_| lower_priority());
            }
            let threads = pool.current_num_threads();
            let cpus = block.cpus.clone();
            pools.push((CoreBlock { cpus, threads }, pool));
        }
        Ok(Self {
            blocks: pools,
            pinned,
            start_error,
        })
    }

    /// Threads of all pools.
    pub fn threads(&self) -> usize {
        self.blocks.iter().map(|(block, _)| block.threads).sum()
    }

    /// Why there are fewer threads than planned, if there are.
    pub(crate) fn start_error(&self) -> Option<&str> {
        self.start_error.as_deref()
    }

    /// Runs `work(block number)` once on every thread of every pool; returns when all have.
    pub(super) fn on_every_thread(&self, work: &(impl Fn(usize) + Sync)) {
        fn enter(pools: &[(CoreBlock, ThreadPool)], number: usize, work: &(impl Fn(usize) + Sync)) {
            if let Some(((_, pool), rest)) = pools.split_first() {
                pool.in_place_scope(|scope| {
                    scope.spawn_broadcast(move |_, _| work(number));
                    enter(rest, number + 1, work);
                });
            }
        }
        enter(&self.blocks, 0, work);
    }
}

/// A pool of `max_threads` threads; halved until the system starts them all, and then `start_error` says why.
fn start(
    number: usize,
    max_threads: usize,
    start_error: &mut Option<String>,
) -> Result<ThreadPool, CpuError> {
    let mut threads = max_threads;
    loop {
        let mut started = Vec::new();
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |thread| format!("block{number}.{thread}"))
            .spawn_handler(|worker| spawn(worker).map(|thread| started.push(thread)))
            .build();
        let error = match pool {
            Ok(pool) => return Ok(pool),
            Err(error) => error.to_string(),
        };
        // Only once they have ended is there room for others.
        for thread in started {
            drop(thread.join());
        }
        if threads == 1 {
            return Err(CpuError::Start(error));
        }
        threads /= 2;
        *start_error = Some(error);
    }
}

fn spawn(worker: ThreadBuilder) -> io::Result<JoinHandle<()>> {
    failpoint::hit("cpu.spawn")?;
    let name = worker.name().unwrap_or_default().to_owned();
    thread::Builder::new().name(name).spawn(|| worker.run())
}

impl fmt::Display for Pools {
    /// One line for `-v`: `2 core blocks, 16 threads, pinned to cpus 0-7 | 8-15`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (blocks, threads) = (self.blocks.len(), self.threads());
        write!(
            f,
            "{blocks} core block{}, {threads} thread{}, ",
            plural(blocks),
            plural(threads)
        )?;
        if !self.pinned {
            return write!(f, "not pinned");
        }
        write!(f, "pinned to cpus ")?;
        for (i, (block, _)) in self.blocks.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { " | " }, block.cpus)?;
        }
        Ok(())
    }
}

/// Keeps the calling thread on `cpus`; returns false where the kernel or the platform does not do that.
#[cfg(target_os = "linux")]
pub(super) fn pin(cpus: &CpuList) -> bool {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    for cpu in cpus.iter() {
        if cpu >= CpuSet::MAX_CPU {
            return false;
        }
        set.set(cpu);
    }
    sched_setaffinity(None, &set).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_: &CpuList) -> bool {
    false
}

/// Gives the calling thread the lowest priority. Only on Linux does a thread have one of its own.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // Where the kernel refuses, it keeps the priority it has.
    let _ = rustix::process::setpriority_process(None, 19);
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::super::{CoreRequest, Machine};
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_thread_of_every_pool_works_once() {
        let blocks = [2, 1, 3].map(|threads| CoreBlock {
            cpus: [0].into_iter().collect(),
            threads,
        });
        let plan = CorePlan {
            blocks: blocks.to_vec(),
            ..CorePlan::unpinned(1)
        };
        let pools = Pools::new(&plan).unwrap();
        let seen = Mutex::new(Vec::new());
        pools.on_every_thread(&|block| {
            let name = std::thread::current().name().unwrap().to_owned();
            seen.lock().unwrap().push((block, name));
        });
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        let names: Vec<&str> = seen.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "block0.0", "block0.1", "block1.0", "block2.0", "block2.1", "block2.2"
            ]
        );
        assert!(
            seen.iter()
                .all(|(block, name)| name.starts_with(&format!("block{block}.")))
        );
        assert_eq!(pools.to_string(), "3 core blocks, 6 threads, not pinned");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_stay_on_their_block_and_the_caller_does_not() {
        let before = mask();
        let request = CoreRequest {
            block_size: 1,
            ..CoreRequest::default()
        };
        let plan = CorePlan::new(&Machine::here(), &request).unwrap();
        let pools = Pools::new(&plan).unwrap();
        assert!(pools.pinned);
        let masks = Mutex::new(Vec::new());
        pools.on_every_thread(&|block| masks.lock().unwrap().push((block, mask())));
        for (block, mask) in masks.into_inner().unwrap() {
            assert_eq!(mask, plan.blocks[block].cpus);
        }
        assert_eq!(mask(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_background_steps_back_alone() {
        use rustix::process::getpriority_process;
        let before = getpriority_process(None).unwrap();
        let plan = CorePlan {
            background: true,
            ..CorePlan::unpinned(2)
        };
        let pools = Pools::new(&plan).unwrap();
        pools.on_every_thread(&|_| assert_eq!(getpriority_process(None).unwrap(), 19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_pinned_runs_unpinned() {
        for cpus in ["1023", "60000"] {
            let block = CoreBlock {
                cpus: cpus.parse().unwrap(),
                threads: 1,
            };
            let plan = CorePlan {
                blocks: vec![block],
                pin: true,
                ..CorePlan::unpinned(1)
            };
            let pools = Pools::new(&plan).unwrap();
            assert_eq!(pools.to_string(), "1 core block, 1 thread, not pinned");
        }
    }

    #[cfg(target_os = "linux")]
    fn mask() -> CpuList {
        let set = rustix::thread::sched_getaffinity(None).unwrap();
        (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect()
    }
}
