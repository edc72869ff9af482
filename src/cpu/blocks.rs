//! CPUs cut into blocks that share caches and memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::list::CpuList;

/// CPUs that one pool runs on: SMT siblings together, all of one NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreBlock {
    /// Logical CPUs.
    pub cpus: CpuList,
    /// Threads of its pool.
    pub threads: usize,
}

/// Blocks of up to `size` CPUs below `root`, one thread a CPU. The last block of a node may be
/// smaller, and a core with more siblings than `size` stays whole.
pub(super) fn blocks(root: &Path, cpus: &CpuList, size: usize) -> Vec<CoreBlock> {
    let nodes = nodes(root);
    let mut cores: BTreeMap<(usize, usize), CpuList> = BTreeMap::new();
    for cpu in cpus.iter() {
        let siblings = siblings(root, cpu).intersection(cpus);
        let node = nodes
            .iter()
            .position(|node| node.contains(cpu))
            .unwrap_or(nodes.len());
        let first = siblings.iter().next().unwrap_or(cpu);
        cores.entry((node, first)).or_insert(siblings);
    }
    let mut blocks: Vec<(usize, CpuList)> = Vec::new();
    for ((node, _), core) in cores {
        match blocks.last_mut() {
            Some((same, block)) if *same == node && block.len() + core.len() <= size => {
                *block = block.union(&core);
            }
            _ => blocks.push((node, core)),
        }
    }
    let block = |(_, cpus): (usize, CpuList)| CoreBlock {
        threads: cpus.len(),
        cpus,
    };
    blocks.into_iter().map(block).collect()
}

/// Spreads exactly `threads` (at least one): whole blocks first, so that few threads stay close
/// together; more threads than CPUs go round the blocks.
pub(super) fn with_threads(mut blocks: Vec<CoreBlock>, threads: usize) -> Vec<CoreBlock> {
    let mut left = threads.max(1);
    for block in &mut blocks {
        block.threads = block.cpus.len().min(left);
        left -= block.threads;
    }
    blocks.retain(|block| block.threads > 0);
    let (each, extra) = (left / blocks.len().max(1), left % blocks.len().max(1));
    for (i, block) in blocks.iter_mut().enumerate() {
        block.threads += each + usize::from(i < extra);
    }
    blocks
}

/// The CPUs that share a core with `cpu`, itself included.
fn siblings(root: &Path, cpu: usize) -> CpuList {
    let topology = root.join(format!("sys/devices/system/cpu/cpu{cpu}/topology"));
    let read = fs::read_to_string(topology.join("thread_siblings_list"));
    let list = read.ok().and_then(|text| text.parse::<CpuList>().ok());
    list.filter(|list| list.contains(cpu))
        .unwrap_or_else(|| [cpu].into_iter().collect())
}

/// CPUs of each NUMA node, in node order; empty where sysfs is unreadable.
fn nodes(root: &Path) -> Vec<CpuList> {
    let Ok(entries) = fs::read_dir(root.join("sys/devices/system/node")) else {
        return Vec::new();
    };
    let mut nodes: Vec<(usize, CpuList)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry
                .file_name()
                .to_str()?
                .strip_prefix("node")?
                .parse()
                .ok()?;
            let cpus = fs::read_to_string(entry.path().join("cpulist"))
                .ok()?
                .parse()
                .ok()?;
            Some((number, cpus))
        })
        .collect();
    nodes.sort_by_key(|(number, _)| *number);
    nodes.into_iter().map(|(_, cpus)| cpus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A folder with these files in it.
    fn tree(files: &[(String, String)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// Two nodes of `cores` cores, siblings numbered `cores * 2` apart, as servers do.
    fn machine(cores: usize, smt: bool) -> tempfile::TempDir {
        let total = cores * 2;
        let mut files = Vec::new();
        for node in 0..2 {
            let (first, last) = (node * cores, node * cores + cores - 1);
            let cpus = if smt {
                format!("{first}-{last},{}-{}\n", first + total, last + total)
            } else {
                format!("{first}-{last}\n")
            };
            files.push((format!("sys/devices/system/node/node{node}/cpulist"), cpus));
        }
        for cpu in 0..if smt { total * 2 } else { total } {
            let core = cpu % total;
            let cpus = if smt {
                format!("{core},{}", core + total)
            } else {
                core.to_string()
            };
            let path = format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            files.push((path, cpus));
        }
        tree(&files)
    }

    #[track_caller]
    fn check(root: &Path, cpus: &str, size: usize, expected: &[&str]) {
        let blocks = blocks(root, &cpus.parse().unwrap(), size);
        let shown: Vec<String> = blocks.iter().map(|block| block.cpus.to_string()).collect();
        assert_eq!(shown, expected);
        assert!(blocks.iter().all(|block| block.threads == block.cpus.len()));
    }

    #[test]
    fn blocks_keep_siblings_and_nodes_together() {
        let smt = machine(6, true);
        check(
            smt.path(),
            "0-23",
            8,
            &["0-3,12-15", "4-5,16-17", "6-9,18-21", "10-11,22-23"],
        );
        check(
            smt.path(),
            "0-23",
            3,
            &[
                "0,12", "1,13", "2,14", "3,15", "4,16", "5,17", "6,18", "7,19", "8,20", "9,21",
                "10,22", "11,23",
            ],
        );
        check(smt.path(), "0,12", 1, &["0,12"]);
        check(smt.path(), "0-2,13", 3, &["0-1,13", "2"]);
        let plain = machine(8, false);
        check(plain.path(), "0-15", 8, &["0-7", "8-15"]);
        check(plain.path(), "0-1", 8, &["0-1"]);
        check(plain.path(), "6-9", 8, &["6-7", "8-9"]);
        let unreadable = tree(&[]);
        check(unreadable.path(), "0-9", 8, &["0-7", "8-9"]);
        check(unreadable.path(), "0-3", 1, &["0", "1", "2", "3"]);
    }

    #[test]
    fn threads_fill_blocks_in_order() {
        let check = |threads: usize, expected: &[usize]| {
            let blocks = blocks(Path::new("/nowhere"), &"0-9".parse().unwrap(), 4);
            let given: Vec<usize> = with_threads(blocks, threads)
                .iter()
                .map(|block| block.threads)
                .collect();
            assert_eq!(given, expected, "{threads} threads");
        };
        check(0, &[1]);
        check(1, &[1]);
        check(5, &[4, 1]);
        check(10, &[4, 4, 2]);
        check(12, &[5, 5, 2]);
        check(14, &[6, 5, 3]);
    }

    #[test]
    fn blocks_are_complete_and_disjoint() {
        let root = machine(6, true);
        let cpus = proptest::collection::btree_set(0..24_usize, 1..24);
        proptest!(|(cpus in cpus, size in 1..10_usize, threads in 1..40_usize)| {
            let cpus: CpuList = cpus.into_iter().collect();
            let blocks = blocks(root.path(), &cpus, size);
            let all: Vec<usize> = blocks.iter().flat_map(|block| block.cpus.iter()).collect();
            prop_assert_eq!(all.len(), cpus.len());
            prop_assert_eq!(all.into_iter().collect::<CpuList>(), cpus);
            prop_assert!(blocks.iter().all(|block| block.cpus.len() <= size.max(2)));
            let given: usize = with_threads(blocks, threads).iter().map(|b| b.threads).sum();
            prop_assert_eq!(given, threads);
        });
    }
}
