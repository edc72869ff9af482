//! From what was asked and what the machine has to the core blocks of this run.

use super::blocks::{blocks, with_threads};
use super::{CoreBlock, CpuError, CpuList, Machine};

/// CPUs in a core block unless asked otherwise: what usually shares a last-level cache.
const DEFAULT_BLOCK_SIZE: usize = 8;

/// More threads than this are not started, whatever is asked: two CPUs take a minute to start four times as many.
const MAX_THREADS: usize = 1024;

/// The flags about CPUs.
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
    pub(super) blocks: Vec<CoreBlock>,
    /// True if pools stay on their block's CPUs.
    pub(super) pin: bool,
    /// True if the threads have the lowest priority.
    pub(super) background: bool,
}

impl CorePlan {
    /// Without `--threads` one thread a CPU, fewer where a quota allows less CPU time.
    pub fn new(machine: &Machine, request: &CoreRequest) -> Result<Self, CpuError> {
        let (cpus, pin) = cpus(machine, request.cpus.as_ref())?;
        let threads = request
            .threads
            .unwrap_or(cpus.len().min(machine.parallelism));
        let blocks = blocks(&machine.root, &cpus, request.block_size.max(1));
        Ok(Self {
            blocks: with_threads(blocks, threads.min(MAX_THREADS)),
            pin,
            background: false,
        })
    }

    /// One pool that disturbs others as little as it can: `threads` of the lowest priority, on as many of the highest
    /// CPUs, since load generators take the low ones; with `--cpus` on all of these.
    pub(crate) fn background(
        machine: &Machine,
        asked: Option<&CpuList>,
        threads: usize,
    ) -> Result<Self, CpuError> {
        let threads = threads.clamp(1, MAX_THREADS);
        let (cpus, pin) = cpus(machine, asked)?;
        let skipped = match asked {
            Some(_) => 0,
            None => cpus.len().saturating_sub(threads),
        };
        let cpus = cpus.iter().skip(skipped).collect();
        Ok(Self {
            blocks: vec![CoreBlock { cpus, threads }],
            pin,
            background: true,
        })
    }

    /// The same CPUs for `threads` of normal priority.
    #[must_use]
    pub(crate) fn foreground(mut self, threads: usize) -> Self {
        self.background = false;
        for block in &mut self.blocks {
            block.threads = threads;
        }
        self
    }

    /// One pool that the kernel may move anywhere: the baseline for pinned blocks.
    pub fn unpinned(threads: usize) -> Self {
        let threads = threads.max(1);
        let cpus = (0..threads).collect();
        Self {
            blocks: vec![CoreBlock { cpus, threads }],
            pin: false,
            background: false,
        }
    }
}

/// The CPUs to use, and whether to pin threads to them: where the kernel does not name CPUs, their numbers are made up.
fn cpus(machine: &Machine, asked: Option<&CpuList>) -> Result<(CpuList, bool), CpuError> {
    let made_up = || (0..machine.parallelism).collect();
    let allowed = machine.allowed(asked)?;
    Ok((allowed.clone().unwrap_or_else(made_up), allowed.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::machine;
    use super::*;

    #[test]
    fn the_background_is_on_the_highest_cpus() {
        let machine = machine("0-5,8", "", "");
        let check = |cpus: Option<&str>, threads, expected: (&str, usize)| {
            let cpus = cpus.map(|cpus| cpus.parse().unwrap());
            let plan = CorePlan::background(&machine, cpus.as_ref(), threads).unwrap();
            assert!(plan.background && plan.pin && plan.blocks.len() == 1);
            let block = &plan.blocks[0];
            assert_eq!((&*block.cpus.to_string(), block.threads), expected);
            let foreground = plan.clone().foreground(1);
            assert_eq!(
                (&foreground.blocks[0].cpus, foreground.blocks[0].threads),
                (&block.cpus, 1)
            );
            assert!(!foreground.background);
        };
        check(None, 0, ("8", 1));
        check(None, 1, ("8", 1));
        check(None, 3, ("4-5,8", 3));
        check(None, 20, ("0-5,8", 20));
        check(Some("1-2"), 1, ("1-2", 1));
    }

    #[test]
    fn quota_and_threads_set_how_many() {
        let check = |threads, cpus: Option<&str>, parallelism, expected: &[usize]| {
            let machine = Machine {
                parallelism,
                ..machine("0-15", "", "")
            };
            let request = CoreRequest {
                cpus: cpus.map(|cpus| cpus.parse().unwrap()),
                threads,
                ..CoreRequest::default()
            };
            let plan = CorePlan::new(&machine, &request).unwrap();
            let given: Vec<usize> = plan.blocks.iter().map(|block| block.threads).collect();
            assert_eq!(given.as_slice(), expected);
        };
        check(None, None, 16, &[8, 8]);
        check(None, None, 4, &[4]);
        check(None, Some("0-1"), 4, &[2]);
        check(Some(16), None, 4, &[8, 8]);
        check(Some(3), Some("0-1"), 4, &[3]);
        check(Some(0), None, 4, &[1]);
        let half = MAX_THREADS / 2;
        check(Some(usize::MAX), None, 4, &[half, half]);
    }

    #[test]
    fn threads_are_not_pinned_to_made_up_cpus() {
        let machine = Machine {
            parallelism: 3,
            ..machine("", "", "")
        };
        let plan = CorePlan::new(&machine, &CoreRequest::default()).unwrap();
        assert_eq!((plan.blocks[0].threads, plan.pin), (3, false));
    }
}
