//! The completed turns of a whole run, tracked or not: what `output_sequence_lengths_full_run` is made from.
//!
//! The client counts them after the run, from the log and `sample_idx_map.json`, whatever its drain came to
//! (`metrics/full_run_osl.py`). A followed run has no map before it ends, so turns are kept until then.

use std::io;
use std::path::Path;

use hashbrown::HashMap;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::PipelineError;
use crate::report::{FullRunOsl, TurnTally};
use crate::sample::{Observation, Payload, SampleId, TokenCount};
use crate::stats::{IntSeries, Series};

/// The samples of the performance phase, each with whether a turn of it was seen.
#[derive(Debug)]
pub struct SampleMap(HashMap<SampleId, bool>);

impl SampleMap {
    /// Parses the bytes of `sample_idx_map.json`; `None` where the client finds no performance samples in it.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let SampleMapFile { performance } = serde_json::from_slice(json).ok()?;
        performance
            .filter(|SampleNames(samples)| !samples.is_empty())
            .map(|SampleNames(samples)| Self(samples))
    }

    /// Reads the map at `path`; `None` where no file is.
    pub fn read(path: &Path) -> Result<Option<Self>, PipelineError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PipelineError::SampleMap {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

#[derive(Deserialize)]
struct SampleMapFile {
    #[serde(default)]
    performance: Option<SampleNames>,
}

/// The keys of an object; another value has none.
#[derive(Default)]
struct SampleNames(HashMap<SampleId, bool>);

impl<'de> Deserialize<'de> for SampleNames {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = SampleNames;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of sample names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SampleNames, A::Error> {
                let mut samples = HashMap::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                    samples.insert(SampleId::from(name.as_str()), false);
                }
                Ok(SampleNames(samples))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// A turn without output.
const EMPTY: i64 = -1;
/// A turn that ended in an error, or whose count failed.
const ERROR: i64 = -2;

/// The completed turns of a log, in log order.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Name and tokens, or [`EMPTY`], or [`ERROR`].
    hex: Series<([u8; 16], i64)>,
    /// The turns whose names are not those that the client makes.
    other: Vec<(SampleId, i64)>,
    undecodable: u64,
}

impl Turns {
    /// Takes an event; only the completion of a sample is a turn.
    pub(super) fn take(&mut self, seen: &Observation) {
        if !seen.is_turn {
            return;
        }
        let tokens = match (seen.payload, seen.tokens.whole) {
            (Payload::NotAnOutput | Payload::PerformancePhase(_), _)
            | (_, TokenCount::Failed(_)) => ERROR,
            (_, TokenCount::Counted { tokens, .. }) => i64::try_from(tokens).unwrap_or(i64::MAX),
            (_, TokenCount::Nothing | TokenCount::Pending) => EMPTY,
        };
        match &seen.sample {
            SampleId::Hex(name) => {
                self.hex.push((name.to_be_bytes(), tokens));
            }
            name @ SampleId::Text(_) => self.other.push((name.clone(), tokens)),
        }
    }

    /// Notes completion lines that cannot be decoded.
    pub(super) fn add_undecodable(&mut self, count: u64) {
        self.undecodable += count;
    }

    /// The block of the turns that `map` names; `None` if nothing was seen.
    pub(super) fn finish(self, SampleMap(mut map): SampleMap) -> Option<FullRunOsl> {
        let mut turns = TurnTally {
            undecodable: self.undecodable,
            ..TurnTally::default()
        };
        let mut osl = IntSeries::new();
        let mut take = |name: &SampleId, tokens: i64| {
            let Some(seen) = map.get_mut(name) else {
                return;
            };
            *seen = true;
            match tokens {
                EMPTY => turns.empty += 1,
                ERROR => turns.errors += 1,
                tokens => {
                    turns.counted += 1;
                    osl.push(tokens);
                }
            }
        };
        for (name, tokens) in self.hex.iter() {
            take(&SampleId::Hex(u128::from_be_bytes(name)), tokens);
        }
        for (name, tokens) in &self.other {
            take(name, *tokens);
        }
        turns.missing = map.values().filter(|seen| !**seen).count() as u64;
        (!turns.is_empty()).then(|| FullRunOsl {
            osl: osl.finish(false),
            turns,
        })
    }
}
