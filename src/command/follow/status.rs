//! Everything that shows how a followed run stands.

use super::Follow;
use super::display::Display;
use super::figures::{Figures, Phase};
use super::live_stats::Gather;
use super::snapshot::LiveSnapshot;

pub(super) struct Shown<'a> {
    follow: &'a Follow<'a>,
    gather: Gather,
    display: Display,
    snapshot: LiveSnapshot<'a>,
}

impl<'a> Shown<'a> {
    pub fn new(follow: &'a Follow) -> Self {
        Self {
            follow,
            gather: Gather::default(),
            display: Display::new(
                follow.session.plan.display.format,
                follow.messages,
                follow.options.interval,
                &follow.live.log().display().to_string(),
            ),
            snapshot: LiveSnapshot::new(follow),
        }
    }

    /// How it stands now.
    pub fn show(&mut self, phase: Phase) {
        let figures = self.look(phase);
        self.display.show(&figures);
        self.snapshot.renew(self.follow, &self.gather, phase);
    }

    /// How it stood at last; the snapshot is written once more, with what the report is made from.
    pub fn finish(mut self, phase: Phase) -> LiveSnapshot<'a> {
        let figures = self.look(phase);
        self.display.finish(&figures);
        self.snapshot
    }

    fn look(&mut self, phase: Phase) -> Figures {
        self.gather.look(&self.follow.following, phase)
    }
}
