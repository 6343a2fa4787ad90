//! Pages of a list: a size, and an opaque token that is bound to its query.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::validation::Violations;

/// The page size when the caller names none.
pub const DEFAULT_PAGE_SIZE: u32 = 50;

/// The largest page. More rows than this belong in an export.
pub const MAX_PAGE_SIZE: u32 = 1_000;

/// How many bytes a page holds at most of rows that may be large: well within what a message may have.
pub const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Version of the token's form. A token of another version is refused.
const VERSION: u8 = 1;

/// How many bytes of the query's digest a token carries: enough that a token of another query never fits by chance.
const DIGEST_LEN: usize = 16;

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// How many rows at most, 1 to [`MAX_PAGE_SIZE`].
    pub size: u32,
    /// The last row of the page before; `None` for the first page.
    pub after: Option<C>,
    /// The list's method and filters in some canonical form, to which its tokens are bound.
    query: Vec<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The token of the next page; empty when this was the last.
    pub next_page_token: String,
}

impl<C: DeserializeOwned> PageRequest<C> {
    /// Reads the fields `page_size` and `page_token` of a request. `query` is the list's method and filters in some
    /// canonical form: a token is accepted only with the query that it came from. Never put a secret into it or into
    /// the cursor `C`.
    pub fn read(
        page_size: i32,
        page_token: &str,
        query: &[impl AsRef<str>],
        violations: &mut Violations,
    ) -> Self {
        let query: Vec<String> = query.iter().map(|part| part.as_ref().to_owned()).collect();
        let size = match u32::try_from(page_size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(size) if size <= MAX_PAGE_SIZE => size,
            _ => {
                if !violations.has("page_size") {
                    violations.add("page_size", format!("must be 0 to {MAX_PAGE_SIZE}"));
                }
                DEFAULT_PAGE_SIZE
            }
        };
        if page_token.is_empty() {
            return Self {
                size,
                after: None,
                query,
            };
        }
        let after = decode(page_token, &query);
        if after.is_none() {
            violations.add(
                "page_token",
                "must come from the answer before, with the same filters",
            );
        }
        Self { size, after, query }
    }
}

impl<C> PageRequest<C> {
    /// How many rows to read: one more than the page holds, to learn whether there is another page.
    pub fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }
}

impl<T> Page<T> {
    /// Makes a page of up to [`PageRequest::limit`] `rows`. `cursor` names a row's place in the order of the list.
    pub fn new<C: Serialize, D>(
        rows: Vec<T>,
        request: &PageRequest<D>,
        cursor: impl FnOnce(&T) -> C,
    ) -> Self {
        Self::weighed(rows, request, cursor, |_| 0)
    }

    /// Likewise of rows that may be large, each of about so many `bytes`: the page ends before they are more than
    /// [`MAX_PAGE_BYTES`], but holds one row at least.
    pub fn weighed<C: Serialize, D>(
        mut rows: Vec<T>,
        request: &PageRequest<D>,
        cursor: impl FnOnce(&T) -> C,
        bytes: impl Fn(&T) -> usize,
    ) -> Self {
        let weighs = |sum: &mut usize, row: &T| {
            *sum += bytes(row);
            Some(*sum)
        };
        let fit = rows.iter().scan(0, weighs);
        let fit = fit.take_while(|sum| *sum <= MAX_PAGE_BYTES).count();
        let size = (request.size as usize).min(fit.max(1));
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = match rows.last() {
            Some(last) if more => encode(&cursor(last), &request.query),
            _ => String::new(),
        };
        Self {
            items: rows,
            next_page_token,
        }
    }

    /// The same page with other items.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_page_token: self.next_page_token,
        }
    }
}

/// The token of the page after the row at `cursor`.
pub fn encode<C: Serialize>(cursor: &C, query: &[impl AsRef<str>]) -> String {
    // A cursor is a tuple of ids, numbers and times: it always has a JSON form.
    let cursor = serde_json::to_vec(cursor).unwrap_or_default();
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&digest(query, &cursor));
    bytes.extend_from_slice(&cursor);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<C: DeserializeOwned>(token: &str, query: &[impl AsRef<str>]) -> Option<C> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (&version, rest) = bytes.split_first()?;
    let (found, cursor) = rest.split_at_checked(DIGEST_LEN)?;
    if version != VERSION || found != digest(query, cursor) {
        return None;
    }
    serde_json::from_slice(cursor).ok()
}

/// Binds a cursor to its query. Not a proof of origin: a caller who forges a cursor only skips rows of their own list.
fn digest(query: &[impl AsRef<str>], cursor: &[u8]) -> [u8; DIGEST_LEN] {
    let mut hasher = Sha256::new();
    for part in query
        .iter()
        .map(|part| part.as_ref().as_bytes())
        .chain([cursor])
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut short = [0; DIGEST_LEN];
    short.copy_from_slice(&hasher.finalize()[..DIGEST_LEN]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUERY: &[&str] = &["ListThings", "class=1", ""];

    fn read(
        size: i32,
        token: &str,
        query: &[&str],
    ) -> Result<PageRequest<(i64, String)>, Vec<String>> {
        let mut violations = Violations::default();
        let page = PageRequest::read(size, token, query, &mut violations);
        match violations.finish() {
            Ok(()) => Ok(page),
            Err(error) => Err(error
                .violations()
                .iter()
                .map(|violation| violation.field.clone())
                .collect()),
        }
    }

    #[test]
    fn sizes_default_and_are_bounded() {
        let first = read(0, "", QUERY).unwrap();
        assert_eq!((first.size, first.after), (50, None));
        assert_eq!(read(1_000, "", QUERY).unwrap().limit(), 1_001);
        for bad in [-1, 1_001, i32::MIN, i32::MAX] {
            assert_eq!(read(bad, "", QUERY).unwrap_err(), ["page_size"]);
        }
    }

    #[test]
    fn a_page_of_large_rows_ends_early_and_holds_one_at_least() {
        let request = read(3, "", QUERY).unwrap();
        let page = |rows: &[usize]| {
            let (rows, cursor) = (rows.to_vec(), |row: &usize| (*row as u64, "x"));
            let page = Page::weighed(rows, &request, cursor, |row| *row);
            (page.items.len(), page.next_page_token.is_empty())
        };
        assert_eq!(page(&[1, 1]), (2, true));
        assert_eq!(page(&[1, MAX_PAGE_BYTES - 1, 1]), (2, false));
        assert_eq!(page(&[MAX_PAGE_BYTES + 1, 1]), (1, false));
        assert_eq!(page(&[1, 1, 1, 1]), (3, false), "never more than asked for");
    }

    #[test]
    fn a_token_leads_to_the_row_after_it() {
        let first = read(2, "", QUERY).unwrap();
        let page = Page::new(vec![10, 20, 30], &first, |row| (*row, "x"));
        assert_eq!(page.items, [10, 20]);
        let second = read(2, &page.next_page_token, QUERY).unwrap();
        assert_eq!(second.after, Some((20, "x".to_owned())));
        let last = Page::new(vec![30], &second, |row| (*row, "x"));
        assert_eq!(
            (last.items.as_slice(), last.next_page_token.as_str()),
            (&[30][..], "")
        );
    }

    #[test]
    fn a_full_last_page_has_no_next() {
        let request = read(2, "", QUERY).unwrap();
        assert_eq!(
            Page::new(vec![1, 2], &request, |row| *row).next_page_token,
            ""
        );
    }

    #[test]
    fn foreign_and_damaged_tokens_are_refused() {
        let token = encode(&(1, "x"), QUERY);
        assert!(read(1, &token, QUERY).is_ok());
        assert_eq!(
            read(1, &token, &["ListThings", "class=2", ""]).unwrap_err(),
            ["page_token"]
        );
        assert_eq!(
            read(1, &token, &["ListThings", "class=1"]).unwrap_err(),
            ["page_token"]
        );
        assert_eq!(
            read(1, &token, &["ListThingsclass=1", "", ""]).unwrap_err(),
            ["page_token"]
        );
        for position in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[position] = if damaged[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(
                read(1, &damaged, QUERY).unwrap_err(),
                ["page_token"],
                "at {position}"
            );
        }
        let other_cursor = encode(&"not a pair", QUERY);
        assert_eq!(read(1, &other_cursor, QUERY).unwrap_err(), ["page_token"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, bytes: Vec<u8>) {
            let _ = read(1, &text, QUERY);
            let _ = read(1, &URL_SAFE_NO_PAD.encode(bytes), QUERY);
        }
    }
}
