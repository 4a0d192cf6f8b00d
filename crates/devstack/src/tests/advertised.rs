//! The address that clients are told.

use super::lab::Lab;
use super::messages::*;

/// What every answer that names the broker says of its address.
fn told(lab: &Lab) -> Vec<(String, i32)> {
    let mut told = Vec::new();
    let metadata = RequestKind::Metadata(MetadataRequest::default());
    let ResponseKind::Metadata(answer) = lab.ask(12, &metadata) else { panic!("no metadata") };
    told.extend(answer.brokers.iter().map(|broker| (broker.host.to_string(), broker.port)));
    let describe = RequestKind::DescribeCluster(DescribeClusterRequest::default());
    let ResponseKind::DescribeCluster(answer) = lab.ask(0, &describe) else { panic!("no cluster") };
    told.extend(answer.brokers.iter().map(|broker| (broker.host.to_string(), broker.port)));
    let find = RequestKind::FindCoordinator(FindCoordinatorRequest::default().with_key("g".into()));
    let ResponseKind::FindCoordinator(answer) = lab.ask(2, &find) else { panic!("none found") };
    told.push((answer.host.to_string(), answer.port));
    let keys = FindCoordinatorRequest::default().with_coordinator_keys(vec!["g".into()]);
    let find = RequestKind::FindCoordinator(keys);
    let ResponseKind::FindCoordinator(answer) = lab.ask(4, &find) else { panic!("none found") };
    told.extend(answer.coordinators.iter().map(|one| (one.host.to_string(), one.port)));
    told
}

#[test]
fn clients_are_told_the_advertised_address_or_the_one_that_they_have_reached() {
    let reached = ("127.0.0.1".to_owned(), 9092);
    assert_eq!(told(&Lab::new()), vec![reached; 4]);
    for (address, host, port) in
        [("kafka.example.com:19092", "kafka.example.com", 19092), ("[::1]:7", "::1", 7)]
    {
        let lab = Lab::advertising(Some(address.parse().unwrap()));
        assert_eq!(told(&lab), vec![(host.to_owned(), port); 4], "{address}");
    }
}
