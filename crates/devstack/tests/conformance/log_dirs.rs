//! DescribeLogDirs: the sizes of partitions.

use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

use crate::rig::{topic, unique};
use crate::wire::batch::Batch;
use crate::wire::{Wire, outcome, topic_name};

/// Index and size of each partition of `topic` that the answer to `request` names, by index.
fn sizes(version: i16, request: &DescribeLogDirsRequest, topic: &str) -> Vec<(i32, i64)> {
    let answer = Wire::connect().ask(version, request);
    outcome(answer.error_code).unwrap();
    let [dir] = &answer.results[..] else { panic!("{} directories", answer.results.len()) };
    outcome(dir.error_code).unwrap();
    assert!(!dir.log_dir.is_empty());
    let topics = dir.topics.iter().filter(|described| described.name.0.as_str() == topic);
    let partitions = topics.flat_map(|topic| &topic.partitions);
    let mut sizes: Vec<_> = partitions
        .map(|partition| {
            assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
            (partition.partition_index, partition.partition_size)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

fn asking(topics: &[(&str, &[i32])]) -> DescribeLogDirsRequest {
    let topics = topics.iter().map(|(name, partitions)| {
        let of = DescribableLogDirTopic::default().with_topic(topic_name(name));
        of.with_partitions(partitions.to_vec())
    });
    DescribeLogDirsRequest::default().with_topics(Some(topics.collect()))
}

#[test]
fn a_partition_has_the_size_of_its_batches() {
    let topic = topic(2);
    let batch = Batch::of(&["a", "b", "c"]);
    let size = batch.encode().len() as i64;
    let mut wire = Wire::connect();
    for offset in [0, 3] {
        assert_eq!(wire.produce(&topic, 1, &batch), Ok(offset));
    }
    let all = DescribeLogDirsRequest::default().with_topics(None);
    for version in 1..=4 {
        assert_eq!(sizes(version, &all, &topic), [(0, 0), (1, 2 * size)], "{version}");
        let one = asking(&[(&topic, &[1])]);
        assert_eq!(sizes(version, &one, &topic), [(1, 2 * size)], "{version}");
    }
}

#[test]
fn partitions_that_do_not_exist_are_left_out() {
    let (topic, unknown) = (topic(1), unique("unknown"));
    let request = asking(&[(&topic, &[0, 0, 1]), (&unknown, &[0])]);
    assert_eq!(sizes(4, &request, &topic), [(0, 0)]);
    assert_eq!(sizes(4, &request, &unknown), []);
    assert_eq!(sizes(4, &asking(&[]), &topic), [], "an empty list asks for no partition");
}
