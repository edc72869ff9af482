//! Which CPUs this process may use, asked without changing anything.
//!
//! The benchmark client pins itself to a few cores, and what it starts inherits that mask; its own
//! tokenizer shards then run on every CPU the control group allows. The client finds them by
//! widening its own mask and restoring it; we read the same answer from files:
//!
//! - a mask that the parent process shares was inherited, and is widened to the cgroup's cpuset and
//!   the online list;
//! - a mask narrower than the parent's was set for this process (`taskset`, `numactl`) and is kept;
//! - a mask under a batch scheduler is the job's allocation and is kept, shared or not;
//! - where cpuset or parent are unreadable the mask is kept: it is all we know to be allowed.

use std::fs;
use std::path::{Path, PathBuf};

use super::CoresError;
use super::cgroup;
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

/// Where to ask about CPUs; everything is read below `root`.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `/`, or a folder that holds `proc` and `sys` trees made for a test.
    pub root: PathBuf,
    /// Whether a batch scheduler gave this process its CPUs.
    pub batch: bool,
    /// Threads to run where no CPU list can be had at all.
    pub parallelism: usize,
}

/// Who chose the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// `--cpus`.
    Asked,
    /// This process's own mask.
    Mask,
    /// The mask was only inherited: the cgroup's cpuset and the online list.
    Widened,
    /// Nothing could be read; CPU numbers are made up and pinning makes no sense.
    Unknown,
}

/// The CPUs to use and the CPU time allowed on them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub cpus: CpuList,
    pub chosen: Chosen,
    /// Whole CPUs worth of time, if a quota is set.
    pub quota: Option<usize>,
}

impl Machine {
    /// This machine, as this process sees it.
    pub fn here() -> Self {
        Self {
            root: PathBuf::from("/"),
            batch: SCHEDULERS
                .iter()
                .any(|name| std::env::var_os(name).is_some()),
            parallelism: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Resolves `--cpus`, or the default.
    pub(super) fn allowed(&self, asked: Option<&CpuList>) -> Result<Allowed, CoresError> {
        let online = self
            .read("sys/devices/system/cpu/online")
            .and_then(|text| text.parse().ok());
        let mask = self
            .status("self", "Cpus_allowed_list:")
            .and_then(|text| text.parse().ok());
        let widest = cgroup::cpuset(&self.root).map(|cpus| match &online {
            Some(online) => cpus.intersection(online),
            None => cpus,
        });
        let (cpus, chosen) = match (asked, mask, widest) {
            (Some(asked), mask, widest) => {
                let known = [mask, widest.or(online)].into_iter().flatten();
                let allowed = known.reduce(|all, cpus: CpuList| all.union(&cpus));
                (fit(asked, allowed)?, Chosen::Asked)
            }
            (None, Some(mask), Some(widest)) if self.widens(&mask, &widest) => {
                (widest, Chosen::Widened)
            }
            (None, Some(mask), _) => (mask, Chosen::Mask),
            (None, None, Some(widest)) if !widest.is_empty() => (widest, Chosen::Widened),
            (None, None, _) => ((0..self.parallelism).collect(), Chosen::Unknown),
        };
        Ok(Allowed {
            cpus,
            chosen,
            quota: cgroup::quota(&self.root),
        })
    }

    fn widens(&self, mask: &CpuList, widest: &CpuList) -> bool {
        let more = mask.difference(widest).is_empty() && widest.len() > mask.len();
        more && !self.batch && self.parent_mask().as_ref() == Some(mask)
    }

    fn parent_mask(&self) -> Option<CpuList> {
        let parent: u32 = self.status("self", "PPid:")?.parse().ok()?;
        self.status(&parent.to_string(), "Cpus_allowed_list:")?
            .parse()
            .ok()
    }

    /// A field of `/proc/PID/status`.
    fn status(&self, pid: &str, field: &str) -> Option<String> {
        let text = self.read(Path::new("proc").join(pid).join("status"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field))?;
        Some(value.trim().to_owned())
    }

    fn read(&self, file: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.root.join(file)).ok()
    }
}

fn fit(asked: &CpuList, allowed: Option<CpuList>) -> Result<CpuList, CoresError> {
    let Some(allowed) = allowed else {
        return Ok(asked.clone());
    };
    let refused = asked.difference(&allowed);
    if refused.is_empty() {
        Ok(asked.clone())
    } else {
        Err(CoresError::NotAllowed { refused, allowed })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with these files in it.
    pub(in crate::cpu) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const CGROUP: [(&str, &str); 3] = [
        ("proc/self/cgroup", "0::/\n"),
        (
            "proc/self/mountinfo",
            "26 23 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        ),
        ("sys/fs/cgroup/cpuset.cpus.effective", "0-15\n"),
    ];
    const ONLINE: (&str, &str) = ("sys/devices/system/cpu/online", "0-7,12-63\n");
    const SELF: (&str, &str) = ("proc/self/status", "PPid:\t7\nCpus_allowed_list:\t0-1\n");
    const PINNED: (&str, &str) = ("proc/7/status", "Cpus_allowed_list:\t0-1\n");
    const WIDE: (&str, &str) = ("proc/7/status", "Cpus_allowed_list:\t0-15\n");

    #[track_caller]
    fn check(groups: &[&[(&str, &str)]], batch: bool, cpus: &str, chosen: Chosen) {
        let root = tree(&groups.concat());
        let machine = Machine {
            root: root.path().to_owned(),
            batch,
            parallelism: 3,
        };
        let allowed = machine.allowed(None).unwrap();
        assert_eq!(
            (allowed.cpus.to_string().as_str(), allowed.chosen),
            (cpus, chosen)
        );
    }

    #[test]
    fn an_inherited_mask_is_widened_and_a_chosen_one_kept() {
        check(
            &[&CGROUP, &[ONLINE, SELF, PINNED]],
            false,
            "0-7,12-15",
            Chosen::Widened,
        );
        check(&[&CGROUP, &[SELF, PINNED]], false, "0-15", Chosen::Widened);
        check(
            &[&CGROUP, &[ONLINE, SELF, PINNED]],
            true,
            "0-1",
            Chosen::Mask,
        );
        check(
            &[&CGROUP, &[ONLINE, SELF, WIDE]],
            false,
            "0-1",
            Chosen::Mask,
        );
        check(&[&CGROUP, &[ONLINE, SELF]], false, "0-1", Chosen::Mask);
        check(&[&[ONLINE, SELF, PINNED]], false, "0-1", Chosen::Mask);
        check(&[&CGROUP, &[ONLINE]], false, "0-7,12-15", Chosen::Widened);
        check(&[], false, "0-2", Chosen::Unknown);
    }

    #[test]
    fn cpus_asked_for_must_be_there() {
        let root = tree(&[&CGROUP[..], &[ONLINE, SELF, WIDE]].concat());
        let machine = Machine {
            root: root.path().to_owned(),
            batch: false,
            parallelism: 3,
        };
        let allowed = machine.allowed(Some(&"3,12".parse().unwrap())).unwrap();
        assert_eq!(
            (allowed.cpus.to_string().as_str(), allowed.chosen),
            ("3,12", Chosen::Asked)
        );
        let error = machine
            .allowed(Some(&"7-8,99".parse().unwrap()))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cpus 8,99 are not available to this process; it may use 0-7,12-15"
        );
    }

    #[test]
    fn here_there_is_at_least_one() {
        assert!(!Machine::here().allowed(None).unwrap().cpus.is_empty());
    }
}
