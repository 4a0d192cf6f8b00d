//! A task that this process runs.

use std::time::{Duration, Instant};

use join::{Task, Watermark};
use models::EventTime;

use crate::avro_payload::AvroPayload;
use crate::changelog::{ChangelogWriter, Restored};
use crate::topology::Topology;

/// A watermark that moved is sent to the other tasks at least this often (rule 8).
const WATERMARK_INTERVAL: Duration = Duration::from_secs(1);

/// A task of the join that this process runs, with its changelog.
pub(crate) struct OwnTask {
    pub(crate) join: Task<AvroPayload>,
    pub(crate) changelog: ChangelogWriter,
    /// Whether its state may have changed since it was last written to the changelog.
    pub(crate) touched: bool,
    /// The watermark that was last sent to the other tasks, and when.
    sent: Option<(Watermark, Instant)>,
}

impl OwnTask {
    /// A task goes on where its changelog has left it.
    pub(crate) fn new(restored: Restored, topology: &Topology) -> Self {
        let Restored { task: join, bytes } = restored;
        let changelog = ChangelogWriter::new(&topology.changelog.name, join.layout().task(), bytes);
        Self { join, changelog, touched: false, sent: None }
    }

    /// Whether the other tasks must be told this one's watermark now. A watermark that has moved by `step_ms` is due
    /// at once, and one that has moved by less when [`WATERMARK_INTERVAL`] is over.
    pub(super) fn watermark_is_due(&self, step_ms: i64) -> bool {
        let watermark = self.join.inputs_watermark();
        match self.sent {
            None => is_known(watermark),
            Some((sent, _)) if sent == watermark => false,
            Some((sent, _)) if sent.idle != watermark.idle => true,
            Some((sent, when)) => {
                watermark.at.millis_since(sent.at) >= step_ms
                    || when.elapsed() >= WATERMARK_INTERVAL
            }
        }
    }

    /// The watermark to send now, if it is known.
    pub(super) fn watermark_to_send(&mut self, now: Instant) -> Option<Watermark> {
        let watermark =
            Some(self.join.inputs_watermark()).filter(|watermark| is_known(*watermark))?;
        self.sent = Some((watermark, now));
        Some(watermark)
    }
}

fn is_known(watermark: Watermark) -> bool {
    watermark.idle || watermark.at > EventTime::MIN
}
