//! A sample's name as a hash-table key.

use std::fmt;

/// `sample_uuid`. The client writes 32 lower-case hexadecimal digits, which need no allocation;
/// any other text is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SampleId {
    /// 32 lower-case hexadecimal digits, as `uuid4().hex` writes them.
    Hex(u128),
    /// Anything else.
    Text(Box<str>),
}

impl From<&str> for SampleId {
    fn from(uuid: &str) -> Self {
        match <[u8; 32]>::try_from(uuid.as_bytes()).ok().and_then(hex) {
            Some(value) => Self::Hex(value),
            None => Self::Text(uuid.into()),
        }
    }
}

/// The value of lower-case hexadecimal digits. Every event has an id, so this is a table and no branches.
fn hex(digits: [u8; 32]) -> Option<u128> {
    const NONE: u8 = 0xFF;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let mut halves = [0_u64; 2];
    let mut seen = 0;
    for (half, digits) in halves.iter_mut().zip(digits.chunks_exact(16)) {
        for digit in digits {
            let value = VALUES[usize::from(*digit)];
            seen |= value;
            *half = *half << 4 | u64::from(value & 0xF);
        }
    }
    (seen < 16).then_some(u128::from(halves[0]) << 64 | u128::from(halves[1]))
}

impl SampleId {
    /// Returns true if this is `""`: a session event's.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hex(value) => write!(f, "{value:032x}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SampleId;

    #[test]
    fn an_id_is_its_text() {
        let check = |uuid: &str, short: bool| {
            let id = SampleId::from(uuid);
            assert_eq!(matches!(id, SampleId::Hex(_)), short, "{uuid}");
            assert_eq!(id.to_string(), uuid);
        };
        check("984ab0bd0d5e4f2d913b3060b73afb3c", true);
        check("00000000000000000000000000000000", true);
        check("984AB0BD0D5E4F2D913B3060B73AFB3C", false);
        check("+84ab0bd0d5e4f2d913b3060b73afb3c", false);
        check("984ab0bd", false);
        check("984ab0bd-0d5e-4f2d-913b-3060b73afb3c", false);
        check("", false);
        check("é", false);
    }
}
