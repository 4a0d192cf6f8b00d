//! ksqlDB, `ksqldb-functional-tests`, `query-validation-tests`: `multi-joins.json`, and of `joins.json` those of
//! streams with streams. S1 (or left) is the trips, S2 the drivers, S3 the riders.

use super::{AGREES, Case, DAY, EVERY_ROW, NULLS_LAST, ONE_OUTPUT, SYMMETRIC, stream};

const NO_TABLE: &str =
    "all three are streams: a row is part of one trip, where a table's row joins every row to come";
const ONE_SPAN: &str =
    "one window holds all three rows, where a chain of joins has one for each pair";
const EXACTLY_LATE: &str = "late is late to the millisecond, and told once; ksqlDB takes a row as long as its stores keep the \
     time around it, and tells it alone and joined";

pub(super) const CASES: &[Case] = &[
    Case {
        source: "multi-joins: only viable in projection",
        differs: AGREES,
        time: stream(10_000, DAY),
        story: &[("a rider 10", ""), ("a driver 11", ""), ("a trip 12", "a 12+11+10")],
    },
    Case {
        source: "multi-joins: scoped include all columns",
        differs: AGREES,
        time: stream(10_000, DAY),
        story: &[
            ("a trip 10", ""),
            ("a driver 11", ""),
            ("a rider 12", "a 10+11+12"),
            ("a trip 13", "dropped"),
        ],
    },
    Case {
        source: "multi-joins: stream-stream-stream - SR-enabled key format: nine results",
        differs: ONE_OUTPUT,
        time: stream(10_000, DAY),
        story: &[
            ("a trip 0", ""),
            ("a driver 1", ""),
            ("a rider 2", "a 0+1+2"),
            ("a trip 3", "dropped"),
            ("a trip 4000", "dropped"),
            ("a rider 6000", "dropped"),
            ("a trip 6001", "dropped"),
            ("a rider 7000", "dropped"),
            ("end", ""),
        ],
    },
    Case {
        source: "multi-joins: stream-stream-stream - SR-enabled key format: its windows, S1-S2 of 5 s and S1-S3 of 10 s, \
                 which rows of 0, 4 and 14 s keep",
        differs: ONE_SPAN,
        time: stream(10_000, DAY),
        story: &[
            ("a driver 0", ""),
            ("a trip 4000", ""),
            ("a rider 14000", ""),
            ("end", "a 4000+0+-, a -+-+14000"),
        ],
    },
    Case {
        source: "multi-joins: stream-stream-table - inner-inner: the table's row of 10 again at 100001",
        differs: NO_TABLE,
        time: stream(10_000, DAY),
        story: &[
            ("a rider 10", ""),
            ("a driver 11", ""),
            ("a trip 12", "a 12+11+10"),
            ("a driver 13", "dropped"),
            ("a trip 100000", ""),
            ("a driver 100001", ""),
            ("end", "a 100000+100001+-"),
        ],
    },
    Case {
        source: "multi-joins: stream-table-table - left-left: 1-null-null, 1-2-null, 1-2-3",
        differs: NULLS_LAST,
        time: stream(10_000, DAY),
        story: &[
            ("a trip 9", ""),
            ("a driver 10", ""),
            ("a trip 11", "dropped"),
            ("a rider 12", "a 9+10+12"),
            ("a trip 13", "dropped"),
        ],
    },
    Case {
        source: "joins: left join - with synthetic join column in projection",
        differs: AGREES,
        time: stream(1_000, DAY),
        story: &[("a left 0", ""), ("a right 100", "a 0+100+100")],
    },
    Case {
        source: "joins: stream stream inner join: 13000 meets 10000, which 0 had met",
        differs: ONE_OUTPUT,
        time: stream(11_000, DAY),
        story: &[
            ("a left 0", ""),
            ("a right 10000", "a 0+10000+10000"),
            ("b left 11000", ""),
            ("a left 13000", ""),
            ("a right 15000", "a 13000+15000+15000"),
            ("c right 16000", ""),
            ("d left 17000", ""),
            ("a left 30000", ""),
            ("end", "b 11000+-+-, c -+16000+16000, d 17000+-+-, a 30000+-+-"),
        ],
    },
    Case {
        source: "joins: stream stream inner join with different before and after windows: 11 s before, 10 s after",
        differs: SYMMETRIC,
        time: stream(11_000, DAY),
        story: &[
            ("a left 0", ""),
            ("a right 11000", "a 0+11000+11000"),
            ("a left 13000", ""),
            ("a right 15000", "a 13000+15000+15000"),
        ],
    },
    Case {
        source: "joins: stream stream inner join with out of order messages: 6000 after 30000",
        differs: ONE_OUTPUT,
        time: stream(10_000, DAY),
        story: &[
            ("a left 0", ""),
            ("a right 9999", "a 0+9999+9999"),
            ("a left 13000", ""),
            ("a right 15000", "a 13000+15000+15000"),
            ("b right 9999", ""),
            ("a left 30000", ""),
            ("a left 6000", "dropped"),
            // What nobody had joined before, the row from long ago joins.
            ("b left 6000", "b 6000+9999+9999"),
        ],
    },
    Case {
        source: "joins: stream stream outer join: 17000 and 20000 after 30000",
        differs: NULLS_LAST,
        time: stream(11_000, DAY),
        story: &[
            ("a left 0", ""),
            ("a right 10000", "a 0+10000+10000"),
            ("a left 30000", ""),
            ("b left 17000", ""),
            ("c right 20000", ""),
            ("end", "b 17000+-+-, c -+20000+20000, a 30000+-+-"),
        ],
    },
    Case {
        source: "joins: stream stream inner join with out of order and custom grace period: 90000 joins, 60000 does not",
        differs: EXACTLY_LATE,
        time: stream(60_000, 60_000),
        story: &[
            ("a left 0", ""),
            ("a right 60000", "a 0+60000+60000"),
            ("b left 330000", ""),
            ("c left 90000", "late c trip@90000"),
            ("c right 90000", "late c driver@90000, late c rider@90000"),
            ("d left 60000", "late d trip@60000"),
        ],
    },
    Case {
        source: "joins: stream stream left join with out of order and custom grace period: C-null and C-c, both",
        differs: EXACTLY_LATE,
        time: stream(60_000, 60_000),
        story: &[
            ("c left 90000", ""),
            ("c right 90000", "c 90000+90000+90000"),
            ("b left 330000", ""),
            // Its closed entry is dropped: the watermark is past it by two windows, and says so alone.
            ("c left 90000", "late c trip@90000"),
            ("e left 209999", "late e trip@209999"),
            ("f left 210000", ""),
            ("f right 210000", "f 210000+210000+210000"),
        ],
    },
    Case {
        source: "joins: stream stream full outer join with out of order and custom grace period: null-c, then C-c",
        differs: EXACTLY_LATE,
        time: stream(60_000, 60_000),
        story: &[
            ("c right 90000", ""),
            ("b right 210000", ""),
            ("state", "b open driver@210000 rider@210000; c open driver@90000 rider@90000"),
            ("d right 210001", "c -+90000+90000"),
            ("c left 90000", "late c trip@90000"),
        ],
    },
    Case {
        source: "joins: stream stream right join with out of order and custom grace period: null-d, then D-d; here \
                 while the window of d is open",
        differs: EVERY_ROW,
        time: stream(60_000, 60_000),
        story: &[
            ("d right 60000", ""),
            ("b left 180000", ""),
            // Late for its own time's window it isn't, and the window that it came for is open.
            ("d left 90000", "d 90000+60000+60000"),
            ("end", "b 180000+-+-"),
        ],
    },
];
