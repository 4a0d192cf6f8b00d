//! Apache Kafka, `streams/src/test`: `KStreamKStreamJoinTest`, `KStreamKStreamWindowCloseTest` and the multi-way joins
//! of `StreamStreamJoinIntegrationTest`.

use super::{AGREES, Case, DAY, EVERY_ROW, NULLS_LAST, ONE_OUTPUT, SYMMETRIC, stream};

pub(super) const CASES: &[Case] = &[
    Case {
        source: "KStreamKStreamJoinTest.testJoin: what both streams have of a key meets",
        differs: AGREES,
        time: stream(100, DAY),
        story: &[
            ("a left 0", ""),
            ("b left 0", ""),
            ("a right 0", "a 0+0+0"),
            ("b right 0", "b 0+0+0"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testJoin: the right stream comes first",
        differs: AGREES,
        time: stream(100, DAY),
        story: &[("a right 0", ""), ("b right 0", ""), ("b left 0", "b 0+0+0")],
    },
    Case {
        source: "KStreamKStreamJoinTest.testJoin: B0 and B1 meet a0 and a1, which A0 and A1 had met",
        differs: ONE_OUTPUT,
        time: stream(100, DAY),
        story: &[
            ("a left 0", ""),
            ("a right 0", "a 0+0+0"),
            ("a left 0", "dropped"),
            ("a right 0", "dropped, dropped"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testJoin: a key that one stream has makes nothing",
        differs: EVERY_ROW,
        time: stream(100, DAY),
        story: &[
            ("c left 0", ""),
            ("d left 0", ""),
            ("c right 0", "c 0+0+0"),
            ("state", "c joined 0..0; d open trip@0"),
            ("end", "d 0+-+-"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: the upper bound is inside",
        differs: AGREES,
        time: stream(100, DAY),
        story: &[("a left 1000", ""), ("a right 1100", "a 1000+1100+1100")],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: one beyond the upper bound",
        differs: EVERY_ROW,
        time: stream(100, DAY),
        story: &[("a left 1000", ""), ("a right 1101", ""), ("end", "a 1000+-+-, a -+1101+1101")],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: the lower bound is inside",
        differs: AGREES,
        time: stream(100, DAY),
        story: &[("a left 1000", ""), ("a right 900", "a 1000+900+900")],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: one before the lower bound",
        differs: EVERY_ROW,
        time: stream(100, DAY),
        story: &[("a left 1000", ""), ("a right 899", ""), ("end", "a -+899+899, a 1000+-+-")],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: the upper bound moves past one key after the other",
        differs: EVERY_ROW,
        time: stream(100, DAY),
        story: &[
            ("a left 1000", ""),
            ("b left 1001", ""),
            ("c left 1002", ""),
            ("a right 1101", ""),
            ("b right 1101", "b 1001+1101+1101"),
            ("c right 1102", "c 1002+1102+1102"),
            ("end", "a 1000+-+-, a -+1101+1101"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testWindowing: the lower bound reaches one key after the other",
        differs: EVERY_ROW,
        time: stream(100, DAY),
        story: &[
            ("a left 1000", ""),
            ("b left 1001", ""),
            ("c left 1002", ""),
            ("a right 901", "a 1000+901+901"),
            ("b right 901", "b 1001+901+901"),
            ("c right 901", ""),
            ("end", "c -+901+901, c 1002+-+-"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testAsymmetricWindowingAfter: a right row one before the left one makes nothing",
        differs: SYMMETRIC,
        time: stream(100, DAY),
        story: &[
            ("a left 1000", ""),
            ("b left 1003", ""),
            ("a right 999", "a 1000+999+999"),
            ("b right 1103", "b 1003+1103+1103"),
        ],
    },
    Case {
        source: "KStreamKStreamJoinTest.testAsymmetricWindowingBefore: a right row one after the left one makes nothing",
        differs: SYMMETRIC,
        time: stream(100, DAY),
        story: &[
            ("a left 1000", ""),
            ("b left 1003", ""),
            ("a right 1001", "a 1000+1001+1001"),
            ("b right 903", "b 1003+903+903"),
        ],
    },
    Case {
        source: "KStreamKStreamWindowCloseTest.recordsArrivingPostWindowCloseShouldBeDropped: closed at 40",
        differs: EVERY_ROW,
        time: stream(10, 5),
        story: &[
            ("a left 15", ""),
            ("z right 40", "a 15+-+-"),
            ("a right 24", "late a driver@24, late a rider@24"),
        ],
    },
    Case {
        source: "KStreamKStreamWindowCloseTest.recordsArrivingPostWindowCloseShouldBeDropped: 25 is open at 40, closed at 41",
        differs: EVERY_ROW,
        time: stream(10, 5),
        story: &[
            ("y right 40", ""),
            ("a right 25", ""),
            ("z right 41", "a -+25+25"),
            ("b right 25", "late b driver@25, late b rider@25"),
        ],
    },
    Case {
        source: "KStreamKStreamWindowCloseTest.recordsArrivingPostWindowCloseShouldBeDropped: 25 meets the left row of 15 at 40",
        differs: "the left row of 15 is decided at 40, as its own window has closed; Kafka Streams' outer joins tell it \
                  alone and then joined",
        time: stream(10, 5),
        story: &[
            ("a left 15", ""),
            ("z right 40", "a 15+-+-"),
            ("a right 25", "late a driver@25, late a rider@25"),
        ],
    },
    Case {
        source: "KStreamKStreamWindowCloseTest.recordsArrivingPostWindowCloseShouldBeDropped: the same of the left stream",
        differs: EVERY_ROW,
        time: stream(10, 5),
        story: &[
            ("y left 140", ""),
            ("a left 124", "late a trip@124"),
            ("b left 125", ""),
            ("z left 141", "b 125+-+-"),
            ("c left 125", "late c trip@125"),
        ],
    },
    Case {
        source: "StreamStreamJoinIntegrationTest.testLeft: A-null at 3 and A-a at 4",
        differs: NULLS_LAST,
        time: stream(10_000, DAY),
        story: &[("a left 3", ""), ("a right 4", "a 3+4+4"), ("end", "")],
    },
    Case {
        source: "StreamStreamJoinIntegrationTest.testMultiInner: 15 records, of which those with values make 4 x 4 x 4",
        differs: ONE_OUTPUT,
        time: stream(10_000, DAY),
        story: &[
            ("a left 3", ""),
            ("a right 4", "a 3+4+4"),
            ("a left 5", "dropped"),
            ("a right 6", "dropped, dropped"),
            ("a left 9", "dropped"),
            ("a right 10", "dropped, dropped"),
            ("a right 14", "dropped, dropped"),
            ("a left 15", "dropped"),
            ("end", ""),
        ],
    },
    Case {
        source: "StreamStreamJoinIntegrationTest.testMultiInner: a pair without its third is nothing yet",
        differs: EVERY_ROW,
        time: stream(10_000, DAY),
        story: &[
            ("a trip 3", ""),
            ("a driver 4", ""),
            ("b trip 3", ""),
            ("b rider 4", ""),
            ("a rider 4", "a 3+4+4"),
            ("end", "b 3+-+4"),
        ],
    },
];
