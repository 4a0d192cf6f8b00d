//! The checks of the topics at the end.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::PARTITIONS;
use crate::pipeline::{Outcome, Transaction};
use crate::reading::{Row, committed_and_ends, read};
use crate::run::Run;
use crate::writer::{Written, value};

/// The answers that the clients got.
pub struct Story<'a> {
    pub run: &'a Run,
    pub written: &'a [Written],
    pub transactions: &'a [Vec<Transaction>],
}

impl Story<'_> {
    /// Panics at the first violation.
    pub fn check(&self) -> String {
        let run = self.run;
        let [plain, input, output] =
            [&run.plain, &run.input, &run.output].map(|topic| read(run, topic, PARTITIONS));
        for (topic, rows, parity) in [(&run.plain, &plain, 0), (&run.input, &input, 1)] {
            self.assert_acknowledged_are_there(topic, rows);
            self.assert_written_once_in_order(topic, rows, parity);
        }
        let (committed, unknown) = self.assert_transactions_are_whole(&output);
        assert_same_values(&input, &output);
        for (committed, end) in committed_and_ends(run, PARTITIONS) {
            assert_eq!(committed, end, "the group's offset is that of its last transaction");
        }
        let records = plain.len() + input.len();
        let written = self.transactions.iter().flatten().filter(|t| !t.values.is_empty()).count();
        let aborted = written - committed - unknown;
        format!(
            "{records} records once each; {committed} transactions committed, {aborted} aborted, {unknown} of unknown \
             fate but whole; {} records copied exactly once",
            output.len()
        )
    }

    fn assert_acknowledged_are_there(&self, topic: &str, rows: &[Row]) {
        let there: HashMap<(i32, i64), &str> =
            rows.iter().map(|row| ((row.partition, row.offset), &*row.value)).collect();
        for written in self.written {
            // An old duplicate is acknowledged without an offset.
            let acked =
                written.acked.iter().filter(|(acked, _, offset, _)| acked == topic && *offset >= 0);
            for (_, partition, offset, number) in acked {
                let expected = value(written.writer, *number);
                let found = there.get(&(*partition, *offset)).copied();
                assert_eq!(
                    found,
                    Some(&*expected),
                    "{topic} {partition}, acknowledged with offset {offset}"
                );
            }
        }
    }

    /// Each writer has waited for all acknowledgements, so nothing may be missing.
    fn assert_written_once_in_order(&self, topic: &str, rows: &[Row], parity: usize) {
        let mut found: BTreeMap<(usize, i32), Vec<usize>> = BTreeMap::new();
        for row in rows {
            let (writer, number) = row.value.split_once('/').unwrap();
            let key = (writer.parse().unwrap(), row.partition);
            found.entry(key).or_default().push(number.parse().unwrap());
        }
        for written in self.written {
            for partition in 0..PARTITIONS {
                let sent = (parity..written.sent).step_by(2);
                let expected: Vec<usize> =
                    sent.filter(|n| (n / 2) as i32 % PARTITIONS == partition).collect();
                let found = found.remove(&(written.writer, partition)).unwrap_or_default();
                let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
                assert!(
                    expected == found,
                    "{topic} {partition}, writer {}: {} records instead of {}, the first difference at {differs:?}",
                    written.writer,
                    found.len(),
                    expected.len()
                );
            }
        }
        assert!(found.is_empty(), "{topic}: records of nobody: {:?}", found.keys());
    }

    /// The number of committed transactions, and of those with an unknown outcome.
    fn assert_transactions_are_whole(&self, output: &[Row]) -> (usize, usize) {
        let mut visible: HashMap<&str, Vec<&str>> = HashMap::new();
        for row in output {
            visible.entry(row.key.as_deref().unwrap()).or_default().push(&row.value);
        }
        let (mut committed, mut unknown) = (0, 0);
        for transaction in self.transactions.iter().flatten() {
            let Transaction { key, values, outcome } = transaction;
            let mut found = visible.remove(&**key).unwrap_or_default();
            let mut expected: Vec<&str> = values.iter().map(String::as_str).collect();
            found.sort_unstable();
            expected.sort_unstable();
            let (is_there, is_absent) = (found == expected, found.is_empty());
            let is_right = match outcome {
                Outcome::Committed => is_there,
                Outcome::Aborted => is_absent,
                Outcome::Unknown => is_there || is_absent,
            };
            assert!(
                is_right,
                "transaction {key}, {outcome:?}: {} of {} records are visible",
                found.len(),
                expected.len()
            );
            committed += usize::from(*outcome == Outcome::Committed);
            unknown += usize::from(*outcome == Outcome::Unknown);
        }
        assert!(visible.is_empty(), "records of no transaction: {:?}", visible.keys());
        (committed, unknown)
    }
}

fn assert_same_values(input: &[Row], output: &[Row]) {
    let set = |rows: &[Row]| rows.iter().map(|row| row.value.clone()).collect::<HashSet<_>>();
    let (wanted, copied) = (set(input), set(output));
    let missing: Vec<_> = wanted.difference(&copied).take(5).collect();
    assert!(missing.is_empty(), "not copied: {missing:?} ...");
    assert_eq!(output.len(), input.len(), "some were copied more than once");
}
