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
        let digits = uuid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u128::from_str_radix(uuid, 16) {
            Ok(value) if uuid.len() == 32 && digits => Self::Hex(value),
            _ => Self::Text(uuid.into()),
        }
    }
}

impl SampleId {
    /// Whether this is `""`: a session event's.
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
