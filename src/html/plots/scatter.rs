//! OSL against latency: a dot a sample.

use super::axis::Axis;
use super::canvas::Ink;
use super::frame::{Drawing, Frame};

/// The plot of one run's samples or two's: OSL and latency in ns of each.
pub fn scatter(
    sides: &[Vec<(u64, i64)>],
    (x, y): (&Axis, &Axis),
    size: (u32, u32),
    says: &str,
) -> Drawing<String> {
    let mut svg = String::new();
    let frame = Frame::new(&mut svg, size, 8, says, (x, y));
    frame.axes()?;
    let inks = [
        (Ink::Run, [Ink::RunDot, Ink::RunDotToo]),
        (Ink::Other, [Ink::OtherDot, Ink::OtherDotToo]),
    ];
    for (samples, (few, many)) in sides.iter().zip(inks).rev() {
        let places = samples
            .iter()
            .map(|(osl, latency_ns)| frame.place(*osl as f64, *latency_ns as f64));
        frame.cloud(&places.collect::<Vec<_>>(), few, many)?;
    }
    frame.finish()?;
    Ok(svg)
}
