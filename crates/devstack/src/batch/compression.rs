//! The compression codecs of record batches (Kafka's `CompressionType`).

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use kafka_protocol::error::ResponseError;

use super::InvalidBatch;

/// The largest size of the decompressed records of a batch. Without this limit a small request could fill the memory.
pub(super) const MAX_DECOMPRESSED: u64 = 256 * 1024 * 1024;

/// A codec, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompressionCodec {
    /// The records are not compressed.
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl CompressionCodec {
    pub(super) fn from_id(id: i16) -> Result<Self, InvalidBatch> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            _ => Err(InvalidBatch {
                error: ResponseError::UnsupportedCompressionType,
                text: format!("compression type {id} is unknown"),
                record: None,
            }),
        }
    }

    /// Its number in the attributes of a batch.
    pub(super) const fn id(self) -> i16 {
        self as i16
    }

    /// The codec for a value of `compression.type`. `None` for `producer`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "uncompressed" => Self::None,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Decompresses `records` as a stream, so that only what is read takes memory.
    pub(super) fn decompress(self, records: Bytes) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => Box::new(records.reader()),
            // Kafka's GZIPInputStream also reads several members.
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(records.reader())),
            Self::Snappy => Box::new(SnappyReader::new(records)),
            Self::Lz4 => Box::new(lz4::Decoder::new(records.reader())?),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(records.reader())?),
        })
    }

    /// Compresses as Kafka's producers do by default.
    pub(super) fn compress(self, records: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(records),
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&records)?;
                encoder.finish()
            }
            Self::Snappy => compress_snappy(&records),
            Self::Lz4 => {
                let mut encoder = lz4::EncoderBuilder::new()
                    .block_mode(lz4::BlockMode::Independent)
                    .build(Vec::new())?;
                encoder.write_all(&records)?;
                let (bytes, finished) = encoder.finish();
                finished.map(|()| bytes)
            }
            Self::Zstd => zstd::encode_all(&records[..], zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}

/// The header of snappy-java's `SnappyOutputStream`: a magic, its version, the oldest version that can read it.
const XERIAL: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
const XERIAL_MAGIC: &[u8] = XERIAL.split_at(8).0;
const XERIAL_BLOCK: usize = 32 * 1024;
/// A snappy element of 3 bytes decompresses to at most 64 bytes. No other element has a higher ratio.
const SNAPPY_MAX_RATIO: usize = 22;

/// Reads snappy as Kafka's clients write it: in the blocks of snappy-java (the Java client) or as one plain block
/// (librdkafka).
struct SnappyReader {
    input: Bytes,
    in_blocks: bool,
    block: Bytes,
}

impl SnappyReader {
    fn new(mut input: Bytes) -> Self {
        let in_blocks = input.len() >= XERIAL.len() && input.starts_with(XERIAL_MAGIC);
        if in_blocks {
            input.advance(XERIAL.len());
        }
        Self { input, in_blocks, block: Bytes::new() }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let input = if self.in_blocks {
            let size = self.input.try_get_u32().map_err(io::Error::other)? as usize;
            if size > self.input.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.input.split_to(size)
        } else {
            std::mem::take(&mut self.input)
        };
        let size = snap::raw::decompress_len(&input)?;
        if size > input.len() * SNAPPY_MAX_RATIO || size as u64 > MAX_DECOMPRESSED {
            return Err(io::Error::other("a snappy block says that it is larger than it can be"));
        }
        self.block = snap::raw::Decoder::new().decompress_vec(&input)?.into();
        Ok(())
    }
}

impl Read for SnappyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() && !self.input.is_empty() {
            self.next_block()?;
        }
        let size = buffer.len().min(self.block.len());
        self.block.copy_to_slice(&mut buffer[..size]);
        Ok(size)
    }
}

fn compress_snappy(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = XERIAL.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK) {
        let block = encoder.compress_vec(block)?;
        bytes.extend((block.len() as u32).to_be_bytes());
        bytes.extend(block);
    }
    Ok(bytes)
}
