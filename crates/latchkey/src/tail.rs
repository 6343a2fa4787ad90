//! The end of a log file, for an error message.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// No more than this of a file's end is read.
const LONGEST: u64 = 64 * 1024;

/// The last `lines` lines of the file, of what was written after its first `from` bytes; empty if it cannot be read.
pub fn tail(path: &Path, from: u64, lines: usize) -> String {
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let start = from.max(length.saturating_sub(LONGEST));
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(start)).is_err()
        || file.take(LONGEST).read_to_end(&mut bytes).is_err()
    {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_after_the_mark_are_shown() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "one\ntwo\nthree\nfour\n").expect("content");
        assert_eq!(tail(file.path(), 0, 2), "three\nfour");
        assert_eq!(tail(file.path(), 8, 10), "three\nfour");
        assert_eq!(tail(Path::new("/nonexistent"), 0, 2), "");
    }
}
