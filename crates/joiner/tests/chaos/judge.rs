//! What came out, held against the plan.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, SystemTime};

use avro_schemas::{Decoded, Record, RecordType};
use kafka::headers::{ERROR_TOPIC, REASON};
use models::Side;
use models::records::{JoinedStream, UnmatchedTrip};
use service::Shutdown;
use verify::Fate;
use verify::settings::JoinerView;

use crate::harness::{Rig, Row};
use crate::plan::{Incomplete, Plan};

/// How long the joiner may take to come to an end.
const DEADLINE: Duration = Duration::from_secs(60);
const SHOWN: usize = 10;

/// Waits until the joiner has decided every row, and asks `tripctl verify`.
pub async fn verify(rig: &Rig, plan: &Plan) -> Result<(), String> {
    let joiner = rig.config.joiner.clone();
    let config = verify::Config {
        kafka: rig.config.kafka.clone(),
        registry: rig.config.registry.clone(),
        topics: rig.config.topics.clone(),
        joiner: JoinerView {
            window: joiner.window,
            group_id: joiner.group_id,
            repartition_topic: joiner.repartition_topic,
            changelog_topic: joiner.changelog_topic,
        },
        wait: Some(DEADLINE),
    };
    let report = verify::run(&config, &Shutdown::new()).await.map_err(|error| error.to_string())?;
    let fates = &report.verdict.fates;
    let rejected: usize = plan.outcome.rejects.values().sum();
    // Which of these is which is seen in the rejects themselves.
    let left_out = (plan.outcome.dropped + rejected) as u64;
    let came = (fates.all(), fates.total(Fate::Duplicate) + fates.total(Fate::Rejected));
    let clean = report.is_clean() && fates.open() == 0 && report.verdict.is_conserved();
    if clean && came == (plan.rows as u64, left_out) {
        return Ok(());
    }
    let text = report.to_text(SHOWN, SystemTime::now());
    Err(format!("of {} rows, {left_out} must be duplicate or rejected\n{text}", plan.rows))
}

/// The outputs are those of a run in which nothing went wrong.
pub async fn compare(rig: &Rig, plan: &Plan, start_ms: i64) -> Result<(), String> {
    let topics = &rig.config.topics;
    let outputs = [
        (&topics.joined_streams, RecordType::JoinedStream),
        (&topics.unmatched, RecordType::UnmatchedTrip),
    ];
    for (topic, record) in outputs {
        // As the joiner has done, so that the schemas are known here.
        rig.registry.register(&topic.value_subject(), record).await.unwrap();
    }
    let mut wrong = Vec::new();
    let expected = plan.outcome.joined.iter().map(|(id, ts)| (id.clone(), start_ms + ts)).collect();
    let rows = rig.read(&topics.joined_streams).await;
    let came = rows.iter().map(|row| (key(row), joined(rig, row)));
    differ("joined", &counted(expected), &counted(came.collect()), &mut wrong);

    let expected = plan.outcome.unmatched.iter().map(|(id, incomplete)| {
        let Incomplete { missing, ts } = incomplete.clone();
        (id.clone(), Incomplete { missing, ts: start_ms + ts })
    });
    let rows = rig.read(&topics.unmatched).await;
    let came = rows.iter().map(|row| (key(row), unmatched(rig, row)));
    let (expected, came): (Vec<_>, Vec<_>) = (expected.collect(), came.collect());
    differ("unmatched", &counted(expected), &counted(came), &mut wrong);

    let rows = rig.read(&topics.rejects).await;
    let came = counted(rows.iter().map(|row| reject(rig, row)).collect());
    differ("rejected", &plan.outcome.rejects, &came, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// No joiner has found its own books wrong.
pub fn read_logs(dir: &Path) -> Result<(), String> {
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let bad = |line: &&str| line.contains("NOT BALANCED") || line.contains("panicked");
        if let Some(line) = text.lines().find(bad) {
            return Err(format!("{}: {line}", path.display()));
        }
    }
    Ok(())
}

fn key(row: &Row) -> String {
    row.key.clone().unwrap_or_default()
}

fn decode<T: Record>(rig: &Rig, row: &Row) -> T {
    match rig.registry.decode(row.value.as_deref().unwrap()).unwrap() {
        Decoded::Record(record) => record,
        Decoded::NeedsSchema(id) => panic!("schema {id}"),
    }
}

/// The time of a joined row, if it is made of the trip's three rows.
fn joined(rig: &Rig, row: &Row) -> i64 {
    let (key, record): (_, JoinedStream) = (key(row), decode(rig, row));
    assert_eq!(record.trip_id, key);
    assert_eq!(record.trip_info.duration, "24 minutes", "{key}");
    assert_eq!(record.rider_info.rider_id, format!("rider of {key}"));
    assert_eq!(record.driver_earning_info.driver_id, format!("driver of {key}"));
    row.timestamp_ms.unwrap()
}

fn unmatched(rig: &Rig, row: &Row) -> Incomplete {
    let record: UnmatchedTrip = decode(rig, row);
    assert_eq!((&record.trip_id, record.reason.as_str()), (&key(row), "window_expired"));
    let sides = [record.trip.is_some(), record.driver_earning.is_some(), record.rider.is_some()];
    for (side, is_there) in Side::ALL.into_iter().zip(sides) {
        let is_named = record.missing.iter().any(|missing| missing == side.as_str());
        assert_ne!(is_there, is_named, "{record:?}");
    }
    Incomplete { missing: record.missing, ts: row.timestamp_ms.unwrap() }
}

fn reject(rig: &Rig, row: &Row) -> (String, String, String) {
    let topics = &rig.config.topics;
    let topic = row.headers.get(ERROR_TOPIC);
    let side = Side::ALL.into_iter().find(|side| Some(&topics.input(*side).name) == topic);
    let side = side.map_or("none", Side::as_str).to_owned();
    (key(row), side, row.headers.get(REASON).cloned().unwrap_or_default())
}

fn counted<T: Ord>(rows: Vec<T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

fn differ<T: Ord + Debug>(
    fate: &str,
    expected: &BTreeMap<T, usize>,
    came: &BTreeMap<T, usize>,
    wrong: &mut Vec<String>,
) {
    let missing = expected.iter().map(|(row, count)| (row, *count, came.get(row).copied()));
    let extra = came.iter().filter(|(row, _)| !expected.contains_key(row));
    let missing = missing.map(|(row, expected, came)| (row, expected, came.unwrap_or(0)));
    let all = missing.chain(extra.map(|(row, came)| (row, 0, *came)));
    let differences: Vec<String> = all
        .filter(|(_, expected, came)| expected != came)
        .map(|(row, expected, came)| format!("{fate}: {row:?} {came} times, not {expected}"))
        .collect();
    let shown = differences.iter().take(SHOWN).cloned();
    wrong.extend(shown);
    if differences.len() > SHOWN {
        wrong.push(format!("{fate}: and {} more", differences.len() - SHOWN));
    }
}
