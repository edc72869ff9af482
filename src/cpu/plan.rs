//! From what was asked and what the machine has to the core blocks of this run.

use super::blocks::{blocks, with_threads};
use super::{Chosen, CoreBlock, CoresError, CpuList, Machine};

/// CPUs in a core block unless asked otherwise: what usually shares a last-level cache.
pub const DEFAULT_BLOCK_SIZE: usize = 8;

/// More threads than this are not started, whatever is asked: two processors take a minute to start four times as many.
const MAX_THREADS: usize = 1024;

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct CoreRequest {
    /// `--cpus`: exactly these.
    pub cpus: Option<CpuList>,
    /// `--threads`: exactly so many, more or fewer than CPUs.
    pub threads: Option<usize>,
    /// `--block-size`: CPUs in a block.
    pub block_size: usize,
}

impl Default for CoreRequest {
    fn default() -> Self {
        Self {
            cpus: None,
            threads: None,
            block_size: DEFAULT_BLOCK_SIZE,
        }
    }
}

/// The core blocks of this run; at least one, each with at least one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePlan {
    /// A pool each.
    pub blocks: Vec<CoreBlock>,
    /// Who chose the CPUs.
    pub chosen: Chosen,
    /// CPU time allowed by the cgroup, in whole CPUs, where it lowered the number of threads.
    pub quota: Option<usize>,
    /// Whether pools stay on their block's CPUs.
    pub pin: bool,
    /// Whether the threads have the lowest priority.
    pub background: bool,
}

impl CorePlan {
    /// Without `--threads` one thread a CPU, fewer where a quota allows less CPU time.
    pub fn new(machine: &Machine, request: &CoreRequest) -> Result<Self, CoresError> {
        let allowed = machine.allowed(request.cpus.as_ref())?;
        let quota = match request.threads {
            Some(_) => None,
            None => allowed.quota.filter(|&quota| quota < allowed.cpus.len()),
        };
        let threads = request.threads.or(quota).unwrap_or(allowed.cpus.len());
        let blocks = blocks(&machine.root, &allowed.cpus, request.block_size.max(1));
        Ok(Self {
            blocks: with_threads(blocks, threads.min(MAX_THREADS)),
            chosen: allowed.chosen,
            quota,
            pin: allowed.chosen != Chosen::Unknown,
            background: false,
        })
    }

    /// One pool that disturbs others as little as it can: `threads` of the lowest priority, on as many of the highest
    /// CPUs, since load generators take the low ones; with `cpus` on all of these.
    pub fn background(
        machine: &Machine,
        cpus: Option<&CpuList>,
        threads: usize,
    ) -> Result<Self, CoresError> {
        let threads = threads.clamp(1, MAX_THREADS);
        let allowed = machine.allowed(cpus)?;
        let above = match cpus {
            Some(_) => 0,
            None => allowed.cpus.len().saturating_sub(threads),
        };
        let block = CoreBlock {
            cpus: allowed.cpus.iter().skip(above).collect(),
            threads,
        };
        Ok(Self {
            blocks: vec![block],
            chosen: allowed.chosen,
            quota: None,
            pin: allowed.chosen != Chosen::Unknown,
            background: true,
        })
    }

    /// The same processors for `threads` that do not step back.
    #[must_use]
    pub fn in_front(mut self, threads: usize) -> Self {
        self.background = false;
        for block in &mut self.blocks {
            block.threads = threads;
        }
        self
    }

    /// One pool that the kernel may move anywhere: what pinned blocks are measured against.
    pub fn unpinned(threads: usize) -> Self {
        let cpus = (0..threads.max(1)).collect();
        let blocks = vec![CoreBlock {
            cpus,
            threads: threads.max(1),
        }];
        Self {
            blocks,
            chosen: Chosen::Unknown,
            quota: None,
            pin: false,
            background: false,
        }
    }

    /// Threads of all blocks.
    pub fn threads(&self) -> usize {
        self.blocks.iter().map(|block| block.threads).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cpus::tests::tree;
    use super::*;

    #[test]
    fn the_background_is_on_the_highest_cpus() {
        let root = tree(&[("proc/self/status", "Cpus_allowed_list:\t0-5,8\n")]);
        let machine = Machine {
            root: root.path().to_owned(),
            batch: false,
            parallelism: 1,
        };
        let check = |cpus: Option<&str>, threads, expected: (&str, usize)| {
            let cpus = cpus.map(|cpus| cpus.parse().unwrap());
            let plan = CorePlan::background(&machine, cpus.as_ref(), threads).unwrap();
            assert!(plan.background && plan.pin && plan.blocks.len() == 1);
            let block = &plan.blocks[0];
            assert_eq!((&*block.cpus.to_string(), block.threads), expected);
            let front = plan.clone().in_front(1);
            assert_eq!(
                (&front.blocks[0].cpus, front.blocks[0].threads),
                (&block.cpus, 1)
            );
            assert!(!front.background);
        };
        check(None, 0, ("8", 1));
        check(None, 1, ("8", 1));
        check(None, 3, ("4-5,8", 3));
        check(None, 20, ("0-5,8", 20));
        check(Some("1-2"), 1, ("1-2", 1));
    }

    #[test]
    fn quota_and_threads_set_how_many() {
        let root = tree(&[
            ("proc/self/cgroup", "0::/\n"),
            (
                "proc/self/mountinfo",
                "26 23 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/cpuset.cpus.effective", "0-15\n"),
            ("sys/fs/cgroup/cpu.max", "350000 100000\n"),
        ]);
        let machine = Machine {
            root: root.path().to_owned(),
            batch: false,
            parallelism: 1,
        };
        let check = |threads, cpus: Option<&str>, quota, expected: &[usize]| {
            let cpus = cpus.map(|cpus| cpus.parse().unwrap());
            let request = CoreRequest {
                cpus,
                threads,
                ..CoreRequest::default()
            };
            let plan = CorePlan::new(&machine, &request).unwrap();
            let given: Vec<usize> = plan.blocks.iter().map(|block| block.threads).collect();
            assert_eq!((given.as_slice(), plan.quota), (expected, quota));
            assert_eq!(plan.threads(), expected.iter().sum::<usize>());
        };
        check(None, None, Some(4), &[4]);
        check(None, Some("0-1"), None, &[2]);
        check(Some(16), None, None, &[8, 8]);
        check(Some(3), Some("0-1"), None, &[3]);
        check(Some(0), None, None, &[1]);
        check(
            Some(usize::MAX),
            None,
            None,
            &[MAX_THREADS / 2, MAX_THREADS / 2],
        );
    }
}
