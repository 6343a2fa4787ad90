//! Rows as they come from the keys service.

use anyhow::Context;
use latchkey_service_kit::rows::RowWriter;
use serde::Deserialize;

use super::names::Name;

/// A key and its code: no `Debug`, so that no message shows it.
#[derive(Deserialize)]
pub(super) struct Row {
    code: String,
    kind: String,
    class_id: Option<String>,
    class_name: Option<String>,
    status: String,
    pub(super) redeemed_by: Option<String>,
    redeemed_at: Option<String>,
    pool_id: Option<String>,
    pool_name: Option<String>,
    profile_id: Option<String>,
    profile_name: Option<String>,
    max_uses: Option<String>,
    use_count: String,
}

/// The rows of a piece, which are whole.
pub(super) fn rows(piece: &[u8]) -> anyhow::Result<Vec<Row>> {
    serde_json::Deserializer::from_slice(piece)
        .into_iter()
        .collect::<Result<_, _>>()
        // What cannot be read is not repeated: it may hold a code.
        .map_err(|error| error.classify())
        .ok()
        .context("the export holds what is no row of keys")
}

impl Row {
    /// Writes the row, with the name of who uses the key.
    pub(super) fn write(&self, name: Option<&Name>, writer: &mut RowWriter) {
        writer.write(&[
            Some(&self.code),
            Some(&self.kind),
            self.class_id.as_deref(),
            self.class_name.as_deref(),
            Some(&self.status),
            self.redeemed_by.as_deref(),
            self.redeemed_at.as_deref(),
            self.pool_id.as_deref(),
            self.pool_name.as_deref(),
            self.profile_id.as_deref(),
            self.profile_name.as_deref(),
            self.max_uses.as_deref(),
            Some(&self.use_count),
            name.map(|name| name.given.as_str()),
            name.map(|name| name.family.as_str()),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use latchkey_service_kit::rows::RowFormat;

    use super::super::COLUMNS;
    use super::*;

    const LINE: &str = r#"{"code":"-x","kind":"enrollment","class_id":"c","class_name":"=N","status":"redeemed","redeemed_by":"s","redeemed_at":"2026-06-02T15:00:00.000000Z","pool_id":null,"pool_name":null,"profile_id":null,"profile_name":null,"max_uses":null,"use_count":"1"}"#;

    #[test]
    fn names_are_joined_and_made_safe_for_spreadsheets() {
        let piece = format!("{LINE}\n{LINE}\n");
        let rows = rows(piece.as_bytes()).expect("rows");
        assert_eq!(rows.len(), 2);
        let name = Name {
            given: "@Sam".to_owned(),
            family: "\"S\", jr.".to_owned(),
        };
        let mut writer = RowWriter::new(RowFormat::Csv, COLUMNS);
        writer.take();
        rows[0].write(Some(&name), &mut writer);
        rows[1].write(None, &mut writer);
        assert_eq!(
            String::from_utf8(writer.take()).expect("text"),
            "\"'-x\",\"enrollment\",\"c\",\"'=N\",\"redeemed\",\"s\",\"2026-06-02T15:00:00.000000Z\",\"\",\"\",\"\",\"\",\"\",\"1\",\"'@Sam\",\"\"\"S\"\", jr.\"\r\n\
             \"'-x\",\"enrollment\",\"c\",\"'=N\",\"redeemed\",\"s\",\"2026-06-02T15:00:00.000000Z\",\"\",\"\",\"\",\"\",\"\",\"1\",\"\",\"\"\r\n"
        );
    }

    #[test]
    fn what_is_no_row_is_refused_and_not_repeated() {
        for bad in ["{\"code\":\"hunter2\"}\n", "hunter2\n", "{\"code\":\"hunt"] {
            let Err(error) = rows(bad.as_bytes()) else {
                panic!("{bad} was read")
            };
            assert!(!format!("{error:?}").contains("hunt"), "{error:?}");
        }
    }
}
