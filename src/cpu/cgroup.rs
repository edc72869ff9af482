//! What a control group leaves of the machine: its CPUs and its share of their time.
//!
//! Pure reads of `/proc/self/{cgroup,mountinfo}` and the files they lead to, v1 and v2 (see the
//! kernel's admin guide, cgroup-v1/cpusets and cgroup-v2). Every path hangs below a root that is
//! `/` outside tests. What cannot be read limits nothing.

use std::fs;
use std::path::{Path, PathBuf};

use super::list::CpuList;

/// The CPUs of the nearest group with a readable, non-empty cpuset.
pub(super) fn cpuset(root: &Path) -> Option<CpuList> {
    const FILES: [&str; 4] = [
        "cpuset.cpus.effective",
        "cpuset.effective_cpus",
        "cpuset.cpus",
        "cpus",
    ];
    groups(root, "cpuset")
        .iter()
        .flat_map(|group| FILES.map(|file| group.join(file)))
        .find_map(|file| fs::read_to_string(file).ok()?.parse().ok())
}

/// Whole CPUs worth of time per period, rounded up: the least over the group and its ancestors.
pub(super) fn quota(root: &Path) -> Option<usize> {
    groups(root, "cpu")
        .iter()
        .filter_map(|group| quota_of(group))
        .min()
}

/// `cpu.max` holds `QUOTA PERIOD` or `max PERIOD`; v1 has a file for each and -1 for no limit.
fn quota_of(group: &Path) -> Option<usize> {
    let number = |file: &str| -> Option<i64> {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.trim().parse().ok()
    };
    let (quota, period) = match fs::read_to_string(group.join("cpu.max")) {
        Ok(text) => {
            let mut words = text.split_whitespace();
            let quota = words.next()?.parse().ok()?;
            (
                quota,
                words.next().map_or(Some(100_000), |p| p.parse().ok())?,
            )
        }
        Err(_) => (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?),
    };
    let (quota, period) = (usize::try_from(quota).ok()?, usize::try_from(period).ok()?);
    (quota > 0 && period > 0).then(|| quota.div_ceil(period))
}

/// Folders of this process's group that may hold `controller`, innermost first, up to the mount.
fn groups(root: &Path, controller: &str) -> Vec<PathBuf> {
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let (memberships, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    memberships
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let v2 = controllers.is_empty();
            let here = v2 || controllers.split(',').any(|c| c == controller);
            here.then_some((v2, path))
        })
        .filter_map(|(v2, path)| {
            let find = |line| mount(line, if v2 { None } else { Some(controller) });
            let (point, mounted) = mounts.lines().find_map(find)?;
            Some(up_to_mount(
                &root.join(point.trim_start_matches('/')),
                mounted,
                path,
            ))
        })
        .flatten()
        .collect()
}

/// Mount point and mounted subtree, when the line mounts v2 (`None`) or v1's `controller`.
fn mount<'a>(line: &'a str, controller: Option<&str>) -> Option<(&'a str, &'a str)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (mounted, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let wanted = match controller {
        None => kind == "cgroup2",
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    wanted.then_some((point, mounted))
}

/// In a container the mount may show only the group's own subtree, or the path may lie outside it:
/// then the mount itself is the group.
fn up_to_mount(point: &Path, mounted: &str, path: &str) -> Vec<PathBuf> {
    let inside = Path::new(path)
        .strip_prefix(mounted)
        .unwrap_or(Path::new(""));
    let inside = match inside.to_str() {
        Some(text) if text.split('/').any(|part| part == "..") => Path::new(""),
        _ => inside,
    };
    inside.ancestors().map(|part| point.join(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::cpus::tests::tree;
    use super::*;

    const V2: &str = "26 23 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

    #[track_caller]
    fn check(files: &[(&str, &str)], cpus: Option<&str>, limit: Option<usize>) {
        let root = tree(files);
        assert_eq!(cpuset(root.path()).map(|c| c.to_string()).as_deref(), cpus);
        assert_eq!(quota(root.path()), limit);
    }

    #[test]
    fn v2_takes_the_nearest_cpuset_and_the_least_quota() {
        let nested = [
            ("proc/self/cgroup", "0::/a.slice/b.scope\n"),
            ("proc/self/mountinfo", V2),
            ("sys/fs/cgroup/cpuset.cpus.effective", "0-63\n"),
            ("sys/fs/cgroup/a.slice/cpuset.cpus.effective", "0-15\n"),
            ("sys/fs/cgroup/a.slice/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n"),
        ];
        check(&nested, Some("0-15"), Some(3));
        check(&nested[..3], Some("0-63"), None);
        check(&nested[..2], None, None);
        check(&nested[1..], None, None);
    }

    #[test]
    fn v1_has_a_hierarchy_for_each() {
        check(
            &[
                (
                    "proc/self/cgroup",
                    "3:cpuset:/job\n2:cpu,cpuacct:/job/step\n0::/\n",
                ),
                ("proc/self/mountinfo", V1),
                ("sys/fs/cgroup/cpuset/cpuset.cpus", "0-63\n"),
                ("sys/fs/cgroup/cpuset/job/cpuset.cpus", "\n"),
                ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n"),
                (
                    "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us",
                    "100000\n",
                ),
                (
                    "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_quota_us",
                    "-1\n",
                ),
                (
                    "sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_period_us",
                    "100000\n",
                ),
            ],
            Some("0-63"),
            Some(4),
        );
    }

    #[test]
    fn v1_beside_v2_is_found_on_either() {
        let hybrid = format!("{V1}40 31 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        check(
            &[
                ("proc/self/cgroup", "3:cpuset:/job\n0::/x\n"),
                ("proc/self/mountinfo", &hybrid),
                ("sys/fs/cgroup/cpuset/job/cpuset.effective_cpus", "4-7\n"),
                ("sys/fs/cgroup/unified/x/cpu.max", "50000 100000\n"),
            ],
            Some("4-7"),
            Some(1),
        );
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_mount() {
        let mounted = "26 23 0:24 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        for path in [
            "0::/docker/abc\n",
            "0::/../elsewhere\n",
            "0::/docker/abc/../x\n",
        ] {
            check(
                &[
                    ("proc/self/cgroup", path),
                    ("proc/self/mountinfo", mounted),
                    ("sys/fs/cgroup/cpuset.cpus.effective", "2-3\n"),
                    ("sys/fs/cgroup/cpu.max", "100001 100000\n"),
                ],
                Some("2-3"),
                Some(2),
            );
        }
    }

    #[test]
    fn nonsense_limits_nothing() {
        check(
            &[
                ("proc/self/cgroup", "0::/\nx\n1:2\n"),
                ("proc/self/mountinfo", V2),
                ("sys/fs/cgroup/cpuset.cpus.effective", "all\n"),
                ("sys/fs/cgroup/cpu.max", "0 0\n"),
            ],
            None,
            None,
        );
    }
}
