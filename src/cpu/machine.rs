//! The CPUs that this process may use, queried without changing its own mask.
//!
//! The benchmark client pins itself to a few cores, and its children inherit that mask; its own tokenizer shards then
//! run on every CPU that the control group allows. The client finds them by widening its own mask and restoring it. We
//! widen the mask of a thread that is started for the question and ends with it:
//!
//! - a mask equal to the parent's was inherited, and is widened to what the kernel grants that thread;
//! - a mask narrower than the parent's was set for this process (`taskset`, `numactl`) and is kept;
//! - a mask under a batch scheduler is the job's allocation and is kept, inherited or not;
//! - where the kernel refuses, or the parent's mask is unreadable, the mask is kept: nothing else is known to be allowed.

use std::fs;
use std::path::PathBuf;
use std::thread;

use super::CpuError;
use super::list::CpuList;

/// Variables that batch schedulers set for what they gave CPUs to: Slurm, PBS, LSF, Grid Engine.
const SCHEDULERS: [&str; 6] = [
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPU_BIND",
    "SLURM_JOB_CPUS_PER_NODE",
    "PBS_JOBID",
    "LSB_DJOB_NUMPROC",
    "NSLOTS",
];

/// The machine's CPUs as this process sees them.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// `/`, or a folder that holds a `sys` tree made for a test.
    pub(super) root: PathBuf,
    /// The CPUs that this process runs on.
    pub(super) mask: Option<CpuList>,
    /// The CPUs that its parent runs on.
    pub(super) parent_mask: Option<CpuList>,
    /// The CPUs that the kernel grants to a thread that asks for all of them: online, and in the cgroup's cpuset.
    pub(super) granted: Option<CpuList>,
    /// The number of granted CPUs that can be busy at a time: fewer than all where the cgroup has a quota.
    pub(super) parallelism: usize,
    /// True if a batch scheduler gave this process its CPUs.
    pub(super) batch: bool,
}

impl Machine {
    /// Asks the kernel.
    pub fn here() -> Self {
        let asked = thread::Builder::new().spawn(|| {
            let granted = widen_mask().then(|| mask("thread-self")).flatten();
            (granted, parallelism())
        });
        let (granted, parallelism) = asked
            .ok()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_else(|| (None, parallelism()));
        Self {
            root: PathBuf::from("/"),
            mask: mask("thread-self"),
            parent_mask: mask(&std::os::unix::process::parent_id().to_string()),
            granted,
            parallelism,
            batch: SCHEDULERS
                .iter()
                .any(|name| std::env::var_os(name).is_some()),
        }
    }

    /// Resolves `--cpus`, or the default; `None` where the kernel does not name CPUs.
    pub(super) fn allowed(&self, asked: Option<&CpuList>) -> Result<Option<CpuList>, CpuError> {
        let Some(asked) = asked else {
            return Ok(match (&self.mask, &self.granted) {
                (Some(mask), Some(granted)) if self.is_inherited(mask, granted) => {
                    Some(granted.clone())
                }
                _ => self.mask.clone(),
            });
        };
        let known = [&self.mask, &self.granted].into_iter().flatten().cloned();
        if let Some(allowed) = known.reduce(|all, cpus| all.union(&cpus)) {
            let refused = asked.difference(&allowed);
            if !refused.is_empty() {
                return Err(CpuError::NotAllowed { refused, allowed });
            }
        }
        Ok(Some(asked.clone()))
    }

    fn is_inherited(&self, mask: &CpuList, granted: &CpuList) -> bool {
        let is_wider = mask.difference(granted).is_empty() && granted.len() > mask.len();
        is_wider && !self.batch && self.parent_mask.as_ref() == Some(mask)
    }
}

/// The number of threads that can run at a time on the calling thread's mask.
fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The CPUs that a process or thread may run on.
fn mask(pid: &str) -> Option<CpuList> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut lines = status.lines();
    let cpus = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    cpus.parse().ok()
}

/// Has the calling thread run wherever the kernel lets it.
#[cfg(target_os = "linux")]
fn widen_mask() -> bool {
    let all = (0..rustix::thread::CpuSet::MAX_CPU).collect();
    super::pool::pin(&all)
}

#[cfg(not(target_os = "linux"))]
fn widen_mask() -> bool {
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine with these CPUs in its process's mask, its parent's mask and its cpuset.
    pub(in crate::cpu) fn machine(mask: &str, parent: &str, granted: &str) -> Machine {
        let list = |text: &str| text.parse().ok();
        Machine {
            mask: list(mask),
            parent_mask: list(parent),
            granted: list(granted),
            parallelism: 64,
            ..Machine::default()
        }
    }

    #[test]
    fn an_inherited_mask_is_widened_and_a_chosen_one_kept() {
        let check = |mask, parent, granted, batch, expected: Option<&str>| {
            let machine = Machine {
                batch,
                ..machine(mask, parent, granted)
            };
            let cpus = machine.allowed(None).unwrap();
            assert_eq!(cpus.map(|cpus| cpus.to_string()).as_deref(), expected);
        };
        check("0-1", "0-1", "0-7,12-15", false, Some("0-7,12-15"));
        check("0-1", "0-1", "0-7,12-15", true, Some("0-1"));
        check("0-1", "0-15", "0-15", false, Some("0-1"));
        check("0-1", "", "0-15", false, Some("0-1"));
        check("0-1", "0-1", "", false, Some("0-1"));
        check("0-1", "0-1", "1-15", false, Some("0-1"));
        check("", "", "", false, None);
    }

    #[test]
    fn cpus_asked_for_must_be_allowed() {
        let check = |asked: &str, machine: &Machine, expected: Result<&str, &str>| {
            let allowed = machine.allowed(Some(&asked.parse().unwrap()));
            let allowed = allowed.map(|cpus| cpus.unwrap().to_string());
            let allowed = allowed.map_err(|error| error.to_string());
            assert_eq!(
                allowed.as_deref().map_err(String::as_str),
                expected,
                "{asked}"
            );
        };
        let known = machine("0-1", "0-15", "0-7,12-15");
        check("3,12", &known, Ok("3,12"));
        let refused = "cpus 8,99 are not available to this process; it may use 0-7,12-15";
        check("7-8,99", &known, Err(refused));
        check("7-8,99", &machine("", "", ""), Ok("7-8,99"));
    }

    #[test]
    fn asking_changes_no_mask() {
        let before = mask("thread-self");
        let machine = Machine::here();
        assert_eq!(mask("thread-self"), before);
        assert!(machine.parallelism > 0);
        if cfg!(target_os = "linux") {
            assert!(!machine.allowed(None).unwrap().unwrap().is_empty());
            let granted = machine.granted.unwrap();
            assert!(machine.mask.unwrap().difference(&granted).is_empty());
        }
    }
}
