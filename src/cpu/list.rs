//! Lists of CPUs as the kernel and `taskset` write them: `0-7,16`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The largest CPU number: eight times as many CPUs as the kernel can be built for today.
const MAX_CPU: usize = (1 << 16) - 1;

/// A set of logical CPU numbers, read from and shown as `0-7,16`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuList(BTreeSet<usize>);

/// Why a text is not a list of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpuListError {
    /// Nothing but white space.
    #[error("expected CPU numbers like 0-7,16, found nothing")]
    Empty,
    /// A part is neither a number nor a range.
    #[error("{0:?} is neither a CPU number nor a range like 0-7")]
    Part(String),
    /// The range's end lies before its start.
    #[error("the range {0} runs backwards")]
    Backwards(String),
    /// A number beyond any machine's.
    #[error("CPU number {0} is too large, the limit is {MAX_CPU}")]
    TooLarge(usize),
}

impl CpuList {
    /// CPU numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// The number of CPUs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if no CPU is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if `cpu` is in it.
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// CPUs in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// CPUs in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// CPUs in `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }
}

impl FromIterator<usize> for CpuList {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        Self(cpus.into_iter().collect())
    }
}

impl FromStr for CpuList {
    type Err = CpuListError;

    /// White space around numbers and a final newline are accepted, as sysfs writes one.
    fn from_str(text: &str) -> Result<Self, CpuListError> {
        if text.trim().is_empty() {
            return Err(CpuListError::Empty);
        }
        let mut cpus = BTreeSet::new();
        for part in text.split(',').map(str::trim) {
            let number = |digits: &str| {
                let cpu = digits.trim().parse::<usize>();
                cpu.map_err(|_| CpuListError::Part(part.to_owned()))
            };
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last > MAX_CPU {
                return Err(CpuListError::TooLarge(last));
            }
            if last < first {
                return Err(CpuListError::Backwards(part.to_owned()));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if_eq(&(last + 1)) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read() {
        let check = |text: &str, expected: &[usize]| {
            let cpus: CpuList = text.parse().unwrap();
            assert_eq!(cpus.iter().collect::<Vec<_>>(), expected, "{text:?}");
        };
        check("0", &[0]);
        check("0-3", &[0, 1, 2, 3]);
        check("0-1,16\n", &[0, 1, 16]);
        check(" 3 , 1 ", &[1, 3]);
        check("2-2,2,1-2", &[1, 2]);
        check("65535", &[65535]);
    }

    #[test]
    fn what_is_no_list_says_why() {
        let check = |text: &str, expected: CpuListError| {
            assert_eq!(text.parse::<CpuList>(), Err(expected), "{text:?}");
        };
        check("", CpuListError::Empty);
        check(" \n", CpuListError::Empty);
        check("a", CpuListError::Part("a".into()));
        check("1,,2", CpuListError::Part(String::new()));
        check("1-", CpuListError::Part("1-".into()));
        check("-1", CpuListError::Part("-1".into()));
        check("1-2-3", CpuListError::Part("1-2-3".into()));
        check("7-0", CpuListError::Backwards("7-0".into()));
        check("65536", CpuListError::TooLarge(65536));
        check("0-99999999999", CpuListError::TooLarge(99_999_999_999));
    }

    proptest! {
        #[test]
        fn shown_lists_read_back(cpus in proptest::collection::btree_set(0..200_usize, 1..40)) {
            let list: CpuList = cpus.into_iter().collect();
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }
    }
}
