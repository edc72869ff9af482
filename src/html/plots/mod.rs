//! The plots: each takes data and returns an SVG.

mod axis;
mod distribution;
mod plot;
mod ranges;
mod scatter;
mod svg;
mod timeline;

pub(super) use axis::Axis;
pub(super) use distribution::{Distribution, RunValues};
pub(super) use ranges::ranges;
pub(super) use scatter::scatter;
pub(super) use timeline::{Band, Curve, timeline};
