//! Changes to the bytes of a request, as from a hostile or broken client.

use proptest::collection::vec;
use proptest::prelude::*;

/// One change. Places are counted round the end, so that every place is one.
#[derive(Debug, Clone)]
pub(super) enum Mutation {
    /// One byte is another one.
    Byte(usize, u8),
    /// Four bytes are another number: a length, a count, an id.
    Int(usize, i32),
    /// A varint of five bytes is put over what is there.
    Varint(usize, u32),
    /// Nothing comes behind.
    Truncate(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    /// A part comes again and again.
    Repeat {
        from: usize,
        length: usize,
        times: usize,
    },
}

impl Mutation {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let size = bytes.len().max(1);
        match *self {
            Self::Byte(at, byte) => put(bytes, at % size, &[byte]),
            Self::Int(at, number) => put(bytes, at % size, &number.to_be_bytes()),
            Self::Varint(at, number) => {
                let mut varint = [0, 7, 14, 21, 28].map(|shift| (number >> shift) as u8 | 0x80);
                varint[4] &= 0x0f;
                put(bytes, at % size, &varint);
            }
            Self::Truncate(at) => bytes.truncate(at % size),
            Self::Insert(at, ref new) => {
                let at = (at % size).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, length) => {
                let from = (at % size).min(bytes.len());
                bytes.drain(from..(from + length).min(bytes.len()));
            }
            Self::Repeat { from, length, times } => {
                let from = (from % size).min(bytes.len());
                let part = bytes[from..(from + length).min(bytes.len())].repeat(times);
                bytes.splice(from..from, part);
            }
        }
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
        *byte = *new;
    }
}

/// Numbers that do the most harm as a length.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        any::<i32>(),
        -3..1_000_i32,
        prop::sample::select(vec![
            i32::MAX,
            i32::MIN,
            i32::MAX - 1,
            1 << 30,
            1 << 24,
            1 << 21,
            1 << 16
        ]),
    ]
}

pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || 0..2_000_usize;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        3 => (at(), number()).prop_map(|(at, number)| Mutation::Int(at, number)),
        2 => (at(), number()).prop_map(|(at, number)| Mutation::Varint(at, number as u32)),
        1 => at().prop_map(Mutation::Truncate),
        1 => (at(), vec(any::<u8>(), 1..20)).prop_map(|(at, new)| Mutation::Insert(at, new)),
        1 => (at(), 1..20_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        1 => (at(), 1..40_usize, 1..60_usize)
            .prop_map(|(from, length, times)| Mutation::Repeat { from, length, times }),
    ]
}
