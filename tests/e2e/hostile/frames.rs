//! How a message travels: gRPC's frame of a flag and a length, perhaps compressed, perhaps none of that.

use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::dice::Dice;

/// What the largest bomb becomes: 64 times the largest message that is accepted.
const BOMB: usize = 64 * 1024 * 1024;

/// A message in its frame.
pub(super) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a length");
    let mut frame = vec![flag];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A few kilobytes that become [`BOMB`] bytes.
fn bomb() -> &'static [u8] {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    MADE.get_or_init(|| gzip(&vec![0; BOMB]))
}

/// A body, and the `grpc-encoding` that it states.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) encoding: Option<&'static str>,
}

impl Body {
    fn plain(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            encoding: None,
        }
    }

    /// The message as it should be sent.
    pub(super) fn good(message: &[u8]) -> Self {
        Self::plain(framed(0, message))
    }

    /// The message as nobody should send it.
    pub(super) fn bad(dice: &mut Dice, message: &[u8]) -> Self {
        let gzipped = |bytes| Self {
            bytes,
            encoding: Some("gzip"),
        };
        match dice.below(12) {
            0 => Self::plain(Vec::new()),
            1 => Self::plain(dice.bytes(300)),
            2 => Self::plain(message.to_vec()),
            // Lengths that are too small, too large, and larger than any memory.
            3 => Self::plain(with_length(message, dice.below(message.len() + 1))),
            4 => Self::plain(with_length(message, message.len() + 1 + dice.below(1000))),
            5 => Self::plain(with_length(message, 0xffff_ffff - dice.below(9))),
            // Several messages, or one and a piece, where one is expected.
            6 => Self::plain([framed(0, message), framed(0, message)].concat()),
            7 => Self::plain([framed(0, message), dice.bytes(12)].concat()),
            // A flag that nothing stands for, and one that stands for what is not there.
            8 => Self::plain(framed(dice.byte(), message)),
            9 => {
                let mut packed = gzip(message);
                let at = dice.below(packed.len());
                packed[at] = dice.byte();
                gzipped(framed(1, &packed))
            }
            10 if dice.chance(20) => gzipped(framed(1, bomb())),
            10 => gzipped(framed(1, &gzip(message))),
            _ => Self {
                bytes: framed(1, message),
                encoding: Some(*dice.one(&["br", "identity", "zstd", "gzip,gzip", "deflate"])),
            },
        }
    }
}

fn with_length(message: &[u8], length: usize) -> Vec<u8> {
    let mut frame = framed(0, message);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    frame
}
