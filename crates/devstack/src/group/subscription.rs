//! The topics in the metadata of a consumer (`ConsumerProtocolSubscription`).

use bytes::{Buf, Bytes};

/// The topics that a consumer is subscribed to. `None` if `metadata` has another form.
///
/// Every later version starts like version 0, which starts with the topics.
pub(super) fn topics(metadata: &Bytes) -> Option<Vec<String>> {
    let mut rest = metadata.clone();
    rest.try_get_i16().ok()?;
    let count = rest.try_get_i32().ok()?;
    // No memory is reserved for the count, so a wrong one only fails at the first missing topic.
    (0..count).map(|_| text(&mut rest)).collect()
}

fn text(rest: &mut Bytes) -> Option<String> {
    let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
    if rest.remaining() < length {
        return None;
    }
    String::from_utf8(rest.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_from_what_can_be_a_subscription_and_from_nothing_else() {
        let cases: [(&[u8], Option<&[&str]>); 7] = [
            (b"\0\x01\0\0\0\x02\0\x05trips\0\x01x\xff\xff\xff\xff", Some(&["trips", "x"])),
            (b"\0\0\0\0\0\0", Some(&[])),
            (b"", None),
            (b"\0\x01\0\0\0\x02\0\x05trips", None),
            (b"\0\x01\x7f\xff\xff\xff\0\x05tri", None),
            (b"\0\x01\0\0\0\x01\xff\xff", None),
            (b"\0\x01\0\0\0\x01\0\x01\xff", None),
        ];
        for (metadata, expected) in cases {
            let expected =
                expected.map(|topics| topics.iter().map(|&topic| topic.to_owned()).collect());
            assert_eq!(topics(&Bytes::from_static(metadata)), expected, "{metadata:?}");
        }
    }
}
