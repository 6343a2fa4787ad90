//! Rows as the content of a file, for people with spreadsheets and for programs.

use std::borrow::Cow;
use std::iter::zip;

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use serde::Serializer as _;
use sha2::{Digest, Sha256};

/// What a spreadsheet takes a cell that begins with it for a formula by, or drops to find one behind it: the list of
/// OWASP's page "CSV Injection", with the full-width forms of the signs that it names.
const FORMULA_STARTS: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// What is put in front of such a cell: spreadsheets then take all that follows for text.
const TEXT_MARK: char = '\'';

/// The form of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// CSV as RFC 4180 has it, in UTF-8: a line of column names first, every field in quotes (so that a reader who
    /// separates by other signs finds none of them bare), lines ended by CR LF, nothing where there is no value. A field
    /// that could be taken for a formula is preceded by an apostrophe ([`safe_cell`]).
    Csv,
    /// JSON Lines: each row an object on a line ended by LF, `null` where there is no value.
    JsonLines,
}

impl RowFormat {
    /// The format's name, for audit rows and command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

/// The text of a cell that no spreadsheet takes for a formula: `text`, with an apostrophe in front of it when it begins
/// with one of `= + - @` (of full width too), a tab, CR or LF.
pub fn safe_cell(text: &str) -> Cow<'_, str> {
    if text.starts_with(FORMULA_STARTS) {
        Cow::Owned(format!("{TEXT_MARK}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes rows into memory, to be taken piece by piece.
///
/// What it holds may be secret: it shows nothing of it.
pub struct RowWriter {
    columns: &'static [&'static str],
    sink: Sink,
}

enum Sink {
    Csv(Box<Writer<Vec<u8>>>),
    JsonLines(Vec<u8>),
}

impl std::fmt::Debug for RowWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowWriter")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl RowWriter {
    /// A writer of rows with these columns. Of a CSV the line of column names is written already.
    pub fn new(format: RowFormat, columns: &'static [&'static str]) -> Self {
        let sink = match format {
            RowFormat::Csv => Sink::Csv(Box::new(csv_writer())),
            RowFormat::JsonLines => Sink::JsonLines(Vec::new()),
        };
        let mut writer = Self { columns, sink };
        if let Sink::Csv(csv) = &mut writer.sink {
            put(csv, columns.iter().map(|name| Cow::Borrowed(*name)));
        }
        writer
    }

    /// Writes a row: a field for each column, in their order.
    ///
    /// # Panics
    /// If there is another number of fields than of columns: such a row would say what is not so.
    pub fn write(&mut self, fields: &[Option<&str>]) {
        assert_eq!(fields.len(), self.columns.len(), "a row of other columns");
        match &mut self.sink {
            Sink::Csv(csv) => put(
                csv,
                fields
                    .iter()
                    .map(|field| safe_cell(field.unwrap_or_default())),
            ),
            Sink::JsonLines(lines) => {
                serde_json::Serializer::new(&mut *lines)
                    .collect_map(zip(self.columns, fields))
                    .expect("texts are written into memory");
                lines.push(b'\n');
            }
        }
    }

    /// How many bytes there are to be taken.
    pub fn len(&self) -> usize {
        match &self.sink {
            Sink::Csv(csv) => csv.get_ref().len(),
            Sink::JsonLines(lines) => lines.len(),
        }
    }

    /// Whether there is nothing to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what was written since the last time: whole rows.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.sink {
            Sink::Csv(csv) => std::mem::replace(&mut **csv, csv_writer())
                .into_inner()
                .expect("rows are written into memory"),
            Sink::JsonLines(lines) => std::mem::take(lines),
        }
    }
}

fn csv_writer() -> Writer<Vec<u8>> {
    WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .quote_style(QuoteStyle::Always)
        .from_writer(Vec::new())
}

fn put<'f>(csv: &mut Writer<Vec<u8>>, fields: impl Iterator<Item = Cow<'f, str>>) {
    for field in fields {
        csv.write_field(field.as_bytes())
            .expect("a field is written into memory");
    }
    csv.write_record(None::<&[u8]>)
        .expect("a row is written into memory");
    // What it keeps back would not be counted.
    csv.flush().expect("rows are written into memory");
}

/// What a file of rows consists of, for whoever receives it to compare. Begins with an empty file.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    rows: u64,
    bytes: u64,
    digest: Sha256,
}

impl Contents {
    /// The file goes on with `piece`, which holds so many rows.
    pub fn add(&mut self, piece: &[u8], rows: u64) {
        self.rows += rows;
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
    }

    /// How many rows it has; a line of column names is none.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub fn sha256(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use csv::ReaderBuilder;
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: &[&str] = &["code", "class_name", "redeemed_by"];

    fn text(writer: &mut RowWriter) -> String {
        String::from_utf8(writer.take()).expect("text")
    }

    #[test]
    fn csv_is_quoted_marked_and_ended_as_stated() {
        let mut writer = RowWriter::new(RowFormat::Csv, COLUMNS);
        writer.write(&[Some("EK-1"), Some("a \"big\", long\r\nname"), None]);
        writer.write(&[Some("-own-code"), Some("=1+1"), Some("@x")]);
        assert_eq!(
            text(&mut writer),
            "\"code\",\"class_name\",\"redeemed_by\"\r\n\
             \"EK-1\",\"a \"\"big\"\", long\r\nname\",\"\"\r\n\
             \"'-own-code\",\"'=1+1\",\"'@x\"\r\n"
        );
        assert!(writer.is_empty(), "it was taken");
        writer.write(&[None, None, None]);
        assert_eq!(writer.len(), "\"\",\"\",\"\"\r\n".len());
        assert_eq!(text(&mut writer), "\"\",\"\",\"\"\r\n", "no names again");
    }

    #[test]
    fn json_lines_keep_the_order_of_the_columns_and_the_texts_as_they_are() {
        let mut writer = RowWriter::new(RowFormat::JsonLines, COLUMNS);
        assert!(writer.is_empty(), "no line of names");
        writer.write(&[Some("-own-code"), Some("=1+1\n\"x\""), None]);
        assert_eq!(
            text(&mut writer),
            "{\"code\":\"-own-code\",\"class_name\":\"=1+1\\n\\\"x\\\"\",\"redeemed_by\":null}\n"
        );
    }

    #[test]
    fn nothing_of_a_row_shows_in_debug() {
        for format in [RowFormat::Csv, RowFormat::JsonLines] {
            let mut writer = RowWriter::new(format, COLUMNS);
            writer.write(&[Some("hunter2"), None, None]);
            assert!(!format!("{writer:?}").contains("hunter2"));
        }
    }

    #[test]
    #[should_panic(expected = "a row of other columns")]
    fn a_row_of_other_columns_is_refused() {
        RowWriter::new(RowFormat::JsonLines, COLUMNS).write(&[None]);
    }

    #[test]
    fn contents_are_those_of_the_pieces_put_together() {
        let mut contents = Contents::default();
        assert_eq!(
            contents.sha256(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        contents.add(b"a", 1);
        contents.add(b"bc", 2);
        assert_eq!((contents.rows(), contents.bytes()), (3, 3));
        assert_eq!(
            contents.sha256(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    /// Written out: what is marked is a promise, and not for the list in force to say.
    const SIGNS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

    #[test]
    fn each_sign_that_a_formula_begins_with_is_marked_and_nothing_else() {
        for sign in SIGNS {
            for text in [sign.to_string(), format!("{sign}1+1")] {
                assert_eq!(safe_cell(&text), format!("'{text}"), "{text:?}");
            }
        }
        for harmless in ["", "1=1", " =1", "'=1", "\"=1\"", "a\tb", "–1", "é"] {
            assert_eq!(safe_cell(harmless), harmless);
        }
    }

    /// Texts that files and spreadsheets trip over.
    fn hostile() -> impl Strategy<Value = String> {
        let start = prop::sample::select(vec![
            "", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'", "\"",
            "\u{feff}", " =",
        ]);
        (start, any::<String>(), "[\"',;\r\n\t=|\\\\]{0,8}")
            .prop_map(|(start, middle, end)| format!("{start}{middle}{end}"))
    }

    proptest! {
        #[test]
        fn what_is_written_as_csv_is_read_back_and_is_no_formula(
            rows in prop::collection::vec(prop::array::uniform3(hostile()), 1..8),
        ) {
            let mut writer = RowWriter::new(RowFormat::Csv, COLUMNS);
            let mut bytes = Vec::new();
            for row in &rows {
                writer.write(&row.each_ref().map(|field| Some(field.as_str())));
                bytes.extend(writer.take());
            }
            let mut reader = ReaderBuilder::new().from_reader(bytes.as_slice());
            prop_assert_eq!(reader.headers().unwrap(), COLUMNS);
            let read: Vec<Vec<String>> = reader.deserialize().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), rows.len());
            for (field, written) in read.iter().flatten().zip(rows.iter().flatten()) {
                prop_assert!(!field.starts_with(SIGNS), "{:?}", field);
                let marked = written.starts_with(SIGNS);
                let expected = if marked { format!("'{written}") } else { written.clone() };
                prop_assert_eq!(field, &expected);
            }
        }

        #[test]
        fn what_is_written_as_json_lines_is_read_back(
            rows in prop::collection::vec(prop::array::uniform3(prop::option::of(hostile())), 1..8),
        ) {
            let mut writer = RowWriter::new(RowFormat::JsonLines, COLUMNS);
            for row in &rows {
                writer.write(&row.each_ref().map(Option::as_deref));
            }
            let lines = text(&mut writer);
            prop_assert_eq!(lines.lines().count(), rows.len());
            for (line, row) in lines.lines().zip(&rows) {
                let read: BTreeMap<String, Option<String>> = serde_json::from_str(line).unwrap();
                for (name, field) in zip(COLUMNS, row) {
                    prop_assert_eq!(&read[*name], field);
                }
            }
        }
    }
}
