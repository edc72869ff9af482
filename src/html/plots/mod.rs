//! The figures: each takes what was gathered and returns an SVG.

mod axis;
mod canvas;
mod distribution;
mod frame;
mod ranges;
mod scatter;
mod timeline;

pub(super) use axis::Axis;
pub(super) use distribution::{Distribution, Shape, distribution};
pub(super) use ranges::ranges;
pub(super) use scatter::scatter;
pub(super) use timeline::{Curve, timeline};
