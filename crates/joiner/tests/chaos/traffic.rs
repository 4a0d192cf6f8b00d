//! The planned rows on their way into the topics.

use models::Side;

use crate::harness::Rig;
use crate::plan::{Content, Line};

/// Nobody has registered that many.
const UNKNOWN_SCHEMA: [u8; 5] = [0, 0x7f, 0xff, 0xff, 0xff];

/// Returns when Kafka has the rows. Their times count from `start_ms`.
pub async fn write(rig: &Rig, lines: &[Line], start_ms: i64) {
    let rows = Side::ALL.map(|side| {
        let lines = lines.iter().filter(move |line| line.side == side);
        lines.map(|line| (line.partition, line.key.clone(), value(rig, line), start_ms + line.ts))
    });
    let [trips, drivers, riders] = rows;
    tokio::join!(
        rig.produce(Side::Trip, trips),
        rig.produce(Side::Driver, drivers),
        rig.produce(Side::Rider, riders),
    );
}

fn value(rig: &Rig, line: &Line) -> Option<Vec<u8>> {
    match line.content {
        Content::Row => Some(rig.value(line.side, &line.key)),
        Content::Garbage => Some(b"garbage".to_vec()),
        Content::Tombstone => None,
        Content::EmptyTripId => Some(rig.value(line.side, "")),
        Content::WrongType => {
            let other = Side::ALL[(line.side.index() + 1) % 3];
            Some(rig.value(other, &line.key))
        }
        Content::UnknownSchema => Some([&UNKNOWN_SCHEMA[..], b"value"].concat()),
    }
}
