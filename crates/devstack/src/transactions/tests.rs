use super::*;
use Marker::{Abort, Commit};
use ResponseError::{
    InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTransactionTimeout, InvalidTxnState,
    ProducerFenced,
};

const MINUTE: i32 = 60_000;

fn claim(producer_id: i64, epoch: i16) -> ProducerClaim {
    ProducerClaim { producer_id, epoch }
}

/// A coordinator with one producer of the transactional id `t`: producer id 0, epoch 0.
fn one() -> (Transactions, Vec<Change>) {
    let (mut transactions, mut changes) = (Transactions::default(), Vec::new());
    let answer = transactions.initialise(Some("t"), MINUTE, None, &mut changes);
    assert_eq!(answer, Ok((claim(0, 0), None)));
    (transactions, changes)
}

/// As [`one`], with a transaction open since 1,000 that writes to the logs 1 and 2 and commits offsets of `g`.
fn open() -> (Transactions, Vec<Change>) {
    let (mut transactions, mut changes) = one();
    transactions.add_logs("t", claim(0, 0), [1, 2], 1_000, &mut changes).unwrap();
    transactions.add_group("t", claim(0, 0), "g", 2_000, &mut changes).unwrap();
    (transactions, changes)
}

fn ended(end: Marker, epoch: i16) -> EndedTransaction {
    EndedTransaction { end, producer_id: 0, epoch, logs: [1, 2].into() }
}

#[test]
fn there_are_only_so_many_ids() {
    let (mut transactions, mut changes) = one();
    for n in 1..MOST_IDS {
        let id = format!("id {n}");
        transactions.initialise(Some(&id), MINUTE, None, &mut changes).unwrap();
    }
    let beyond = transactions.initialise(Some("beyond"), MINUTE, None, &mut changes);
    assert_eq!(beyond, Err(ResponseError::PolicyViolation));
    let known = transactions.initialise(Some("t"), MINUTE, None, &mut changes);
    assert_eq!(known, Ok((claim(0, 1), None)));
}

#[test]
fn every_plain_producer_gets_an_id_of_its_own() {
    let (mut transactions, mut changes) = one();
    for expected in 1..4 {
        let (claim, _) = transactions.initialise(None, -1, None, &mut changes).unwrap();
        assert_eq!(claim, self::claim(expected, 0));
    }
}

#[test]
fn each_initialisation_takes_the_next_epoch_and_fences_the_one_before() {
    let (mut transactions, mut changes) = one();
    let second = transactions.initialise(Some("t"), MINUTE, None, &mut changes);
    assert_eq!(second, Ok((claim(0, 1), None)));
    let changes = &mut changes;
    assert_eq!(transactions.add_logs("t", claim(0, 0), [1], 0, changes), Err(ProducerFenced));
    assert_eq!(transactions.end("t", claim(0, 0), Commit, changes), Err(ProducerFenced));
    assert_eq!(transactions.add_logs("t", claim(0, 1), [1], 0, changes), Ok(()));
}

#[test]
fn a_transaction_that_is_open_at_initialisation_is_aborted() {
    let (mut transactions, mut changes) = open();
    let (next, aborted) = transactions.initialise(Some("t"), MINUTE, None, &mut changes).unwrap();
    assert_eq!((next, aborted), (claim(0, 1), Some(ended(Abort, 1))));
    assert_eq!(transactions.may_write(claim(0, 0), 1), Err(InvalidProducerEpoch));
}

#[test]
fn a_producer_may_ask_for_the_next_epoch_as_long_as_it_is_the_current_one() {
    let (mut transactions, mut changes) = one();
    let mut again = |claim| {
        transactions.initialise(Some("t"), MINUTE, Some(claim), &mut changes).map(|(next, _)| next)
    };
    assert_eq!(again(claim(0, 0)), Ok(claim(0, 1)));
    assert_eq!(again(claim(0, 0)), Ok(claim(0, 1)), "its answer got lost");
    assert_eq!(again(claim(0, 1)), Ok(claim(0, 2)));
    assert_eq!(again(claim(0, 0)), Err(ProducerFenced));
    assert_eq!(again(claim(9, 2)), Err(ProducerFenced));
}

#[test]
fn a_producer_without_epochs_left_gets_another_id() {
    let (mut transactions, mut changes) = one();
    for epoch in 1..=LAST_EPOCH {
        let (next, _) = transactions.initialise(Some("t"), MINUTE, None, &mut changes).unwrap();
        assert_eq!(next, claim(0, epoch));
        changes.clear();
    }
    transactions.add_logs("t", claim(0, LAST_EPOCH), [1], 0, &mut changes).unwrap();
    let fenced = transactions.time_out("t", &mut changes).unwrap();
    assert_eq!(fenced.epoch, i16::MAX);
    // Also if the producer that was timed out asks for the next epoch by its own.
    let by_old_epoch = Some(claim(0, LAST_EPOCH));
    let (next, _) = transactions.initialise(Some("t"), MINUTE, by_old_epoch, &mut changes).unwrap();
    assert_eq!(next, claim(1, 0));
    assert_eq!(transactions.may_write(claim(0, i16::MAX), 1), Err(InvalidTxnState));
}

#[test]
fn what_a_request_names_must_be_the_ids_producer() {
    let (mut transactions, mut changes) = one();
    for (id, claim, expected) in [
        ("t", claim(0, 1), ProducerFenced),
        ("t", claim(1, 0), InvalidProducerIdMapping),
        ("other", claim(0, 0), InvalidProducerIdMapping),
    ] {
        let changes = &mut changes;
        assert_eq!(transactions.add_logs(id, claim, [1], 0, changes), Err(expected));
        assert_eq!(transactions.add_group(id, claim, "g", 0, changes), Err(expected));
        assert_eq!(transactions.end(id, claim, Commit, changes), Err(expected));
    }
}

#[test]
fn time_outs_must_be_within_bounds() {
    let (mut transactions, mut changes) = one();
    for timeout in [0, -1, MAX_TIMEOUT_MS + 1] {
        let refused = transactions.initialise(Some("u"), timeout, None, &mut changes);
        assert_eq!(refused, Err(InvalidTransactionTimeout), "{timeout}");
    }
}

#[test]
fn ending_again_in_the_same_way_is_a_repetition_and_in_the_other_an_error() {
    for (end, other) in [(Commit, Abort), (Abort, Commit)] {
        let (mut transactions, mut changes) = open();
        let changes = &mut changes;
        assert_eq!(transactions.end("t", claim(0, 0), end, changes), Ok(Some(ended(end, 0))));
        assert_eq!(transactions.end("t", claim(0, 0), end, changes), Ok(None));
        assert_eq!(transactions.end("t", claim(0, 0), other, changes), Err(InvalidTxnState));
    }
    let (mut transactions, mut changes) = one();
    let nothing = transactions.end("t", claim(0, 0), Commit, &mut changes);
    assert_eq!(nothing, Err(InvalidTxnState));
}

#[test]
fn only_what_is_part_of_the_open_transaction_may_be_written() {
    let (mut transactions, mut changes) = open();
    let may_write = |t: &Transactions, epoch, log| t.may_write(claim(0, epoch), log);
    let may_commit =
        |t: &Transactions, epoch, group| t.may_commit_offsets("t", claim(0, epoch), group);
    assert_eq!(may_write(&transactions, 0, 1), Ok(()));
    assert_eq!(may_write(&transactions, 0, 3), Err(InvalidTxnState));
    assert_eq!(may_write(&transactions, 1, 1), Err(InvalidProducerEpoch));
    assert_eq!(may_commit(&transactions, 0, "g"), Ok(()));
    assert_eq!(may_commit(&transactions, 0, "h"), Err(InvalidTxnState));
    assert_eq!(may_commit(&transactions, 1, "g"), Err(InvalidProducerEpoch));
    transactions.end("t", claim(0, 0), Commit, &mut changes).unwrap();
    assert_eq!(may_write(&transactions, 0, 1), Err(InvalidTxnState));
    assert_eq!(may_commit(&transactions, 0, "g"), Err(InvalidTxnState));
}

#[test]
fn a_transaction_times_out_counted_from_its_first_partition() {
    let (mut transactions, mut changes) = open();
    assert_eq!(transactions.next_deadline(), Some(61_000));
    assert_eq!(transactions.expire(60_999, &mut changes), vec![]);
    assert_eq!(transactions.expire(61_000, &mut changes), vec![ended(Abort, 1)]);
    assert_eq!(transactions.next_deadline(), None);
    let fenced = transactions.end("t", claim(0, 0), Commit, &mut changes);
    assert_eq!(fenced, Err(ProducerFenced));
}

/// The state that the changes so far leave in the storage.
fn restored(changes: &[Change]) -> Transactions {
    let mut tables: HashMap<(Table, String), String> = HashMap::new();
    for change in changes {
        if let Change::Put { table, key, json } = change {
            tables.insert((*table, key.clone()), json.clone());
        }
    }
    let of = |wanted| {
        let entries = tables.iter().filter(move |((table, _), _)| *table == wanted);
        entries.map(|((_, key), json)| (key.clone(), json.clone()))
    };
    let meta = of(Table::Meta).collect();
    Transactions::load(of(Table::Transactions).collect(), &meta).unwrap()
}

#[test]
fn what_is_stored_restores_the_state() {
    let (transactions, changes) = open();
    let mut loaded = restored(&changes);
    assert_eq!(loaded.by_id, transactions.by_id);
    assert_eq!(loaded.producers, transactions.producers);
    let (next, _) = loaded.initialise(None, 0, None, &mut Vec::new()).unwrap();
    assert_eq!(next, claim(1, 0), "no producer id is given out twice");
}
