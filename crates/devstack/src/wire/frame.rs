//! Frames: a length of four bytes, then as many bytes.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of the length field.
pub(crate) const LENGTH: usize = 4;
/// The largest request that is read. Clients send batches of 1 MiB unless told otherwise (`max.message.bytes`).
pub(crate) const LARGEST: usize = 32 << 20;
/// The largest request other than Produce. Decoded, a request takes up to about a hundred times as much memory.
pub(crate) const LARGEST_WITHOUT_RECORDS: usize = 2 << 20;
/// The memory that all larger requests together may use (like `queued.max.request.bytes`).
const ROOM: usize = 128 << 20;
/// Memory is allocated in steps of this size while the bytes arrive, whatever the length field says.
const STEP: usize = 1 << 18;

/// The memory that large frames of all connections share, in bytes.
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    /// Waits until there is enough for a frame of this length.
    async fn take(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let share = length.checked_sub(LARGEST_WITHOUT_RECORDS)? as u32;
        let share = Arc::clone(&self.0).acquire_many_owned(share).await;
        Some(share.expect("this semaphore is never closed"))
    }
}

/// Reads the next frame, and takes its share of `room` if it is large. `None` if the client has closed the connection.
///
/// # Errors
///
/// `InvalidData` if the length is negative or too large for the API, and the errors of the connection.
pub(crate) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    room: &Room,
) -> io::Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>> {
    let mut length = [0; LENGTH];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let said = i32::from_be_bytes(length);
    let too_large = |largest| {
        let text = format!("a request may have up to {largest} bytes, not {said}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let length = usize::try_from(said).ok().filter(|length| *length <= LARGEST);
    let length = length.ok_or_else(|| too_large(LARGEST))?;
    let share = room.take(length).await;
    let mut frame = BytesMut::with_capacity(length.min(STEP));
    while frame.len() < length {
        frame.reserve((length - frame.len()).min(STEP));
        let missing = length - frame.len();
        if (&mut *from).take(missing as u64).read_buf(&mut frame).await? == 0 {
            return Ok(None);
        }
        if length > LARGEST_WITHOUT_RECORDS && !may_be_large(&frame) {
            return Err(too_large(LARGEST_WITHOUT_RECORDS));
        }
    }
    Ok(Some((frame.freeze(), share)))
}

/// Whether a request with these first bytes may be Produce.
fn may_be_large(frame: &[u8]) -> bool {
    frame.first_chunk().is_none_or(|key| i16::from_be_bytes(*key) == ApiKey::Produce as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_from(mut bytes: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(read(&mut bytes, &Room::default()).await?.map(|(frame, _)| frame))
    }

    #[tokio::test]
    async fn a_frame_is_as_long_as_it_says() {
        let frame = read_from(&[0, 0, 0, 3, 1, 2, 3, 4]).await.unwrap();
        assert_eq!(frame.as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(read_from(&[0, 0, 0, 0]).await.unwrap().as_deref(), Some(&[][..]));
    }

    #[tokio::test]
    async fn a_frame_that_ends_early_is_the_end() {
        for cut in [&[][..], &[0, 0], &[0, 0, 0, 3, 1]] {
            assert_eq!(read_from(cut).await.unwrap(), None, "{cut:?}");
        }
    }

    #[tokio::test]
    async fn lengths_beyond_reason_are_refused() {
        for length in [-1, i32::MIN, i32::MAX, LARGEST as i32 + 1] {
            let error = read_from(&length.to_be_bytes()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn only_requests_with_records_may_be_large() {
        let length = LARGEST_WITHOUT_RECORDS + 1;
        for (api, is_read) in [(ApiKey::Produce, true), (ApiKey::Metadata, false)] {
            let mut bytes = (length as i32).to_be_bytes().to_vec();
            bytes.extend((api as i16).to_be_bytes());
            bytes.resize(LENGTH + length, 0);
            assert_eq!(read_from(&bytes).await.is_ok(), is_read, "{api:?}");
        }
    }

    #[tokio::test]
    async fn large_frames_wait_for_each_other_and_small_ones_for_none() {
        let room = Room::default();
        let mut large = Vec::new();
        for _ in 0..ROOM / (LARGEST - LARGEST_WITHOUT_RECORDS) {
            large.push(room.take(LARGEST).await);
        }
        let one_more = tokio::time::timeout(std::time::Duration::ZERO, room.take(LARGEST));
        assert!(one_more.await.is_err());
        assert!(room.take(LARGEST_WITHOUT_RECORDS - 1).await.is_none());
        drop(large);
        assert!(room.take(LARGEST).await.is_some());
    }
}
