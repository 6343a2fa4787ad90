//! Comparing what one service has with the copy that the other keeps, item by item.

use std::cmp::Ordering;
use std::pin::pin;

use futures::{Stream, StreamExt, TryStreamExt};
use uuid::Uuid;

/// One thing, as one side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// What identifies it on both sides.
    pub(super) id: Id,
    /// What must be the same on both sides: field names, the same and in the same order for all items, and values.
    pub(super) content: Vec<(&'static str, String)>,
}

/// One identifier, or the two of a pair.
pub(super) type Id = (Uuid, Option<Uuid>);

/// How an item differs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Difference {
    /// The item.
    pub(super) id: Id,
    /// On which side it stands alone, or what is different.
    pub(super) kind: Kind,
}

/// See [`Difference`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Keys has no copy of it.
    Missing,
    /// Keys has a copy of something that enrollment does not have.
    Stray,
    /// The copy says something else.
    Differs(String),
}

/// The differences between the originals and their copies, each in ascending order of their ids.
pub(super) async fn differences(
    originals: impl Stream<Item = anyhow::Result<Item>>,
    copies: impl Stream<Item = anyhow::Result<Item>>,
) -> anyhow::Result<Vec<Difference>> {
    let mut originals = pin!(originals.peekable());
    let mut copies = pin!(copies.peekable());
    let mut differences = Vec::new();
    loop {
        let original = originals.as_mut().peek().await;
        let copy = copies.as_mut().peek().await;
        let order = match (original, copy) {
            (None, None) => return Ok(differences),
            (Some(Ok(original)), Some(Ok(copy))) => original.id.cmp(&copy.id),
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
        };
        let original = match order {
            Ordering::Less | Ordering::Equal => originals.try_next().await?,
            Ordering::Greater => None,
        };
        let copy = match order {
            Ordering::Greater | Ordering::Equal => copies.try_next().await?,
            Ordering::Less => None,
        };
        differences.extend(difference(original, copy));
    }
}

fn difference(original: Option<Item>, copy: Option<Item>) -> Option<Difference> {
    let (id, kind) = match (original, copy) {
        (Some(original), Some(copy)) if original == copy => return None,
        (Some(original), Some(copy)) => (original.id, Kind::Differs(compared(&original, &copy))),
        (Some(original), None) => (original.id, Kind::Missing),
        (None, Some(copy)) => (copy.id, Kind::Stray),
        (None, None) => return None,
    };
    Some(Difference { id, kind })
}

fn compared(original: &Item, copy: &Item) -> String {
    let fields = original.content.iter().zip(&copy.content);
    let different = fields.filter(|(original, copy)| original != copy);
    let texts: Vec<String> = different
        .map(|((field, original), (_, copy))| format!("{field} is {copy} instead of {original}"))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn item(id: u128, student: &str) -> Item {
        Item {
            id: (Uuid::from_u128(id), None),
            content: vec![
                ("student", student.to_owned()),
                ("generation", "1".to_owned()),
            ],
        }
    }

    async fn compare(originals: Vec<Item>, copies: Vec<Item>) -> Vec<(u128, Kind)> {
        let stream = |items: Vec<Item>| stream::iter(items.into_iter().map(Ok));
        let found = differences(stream(originals), stream(copies)).await;
        let found = found.expect("no stream fails");
        found
            .into_iter()
            .map(|difference| (difference.id.0.as_u128(), difference.kind))
            .collect()
    }

    #[tokio::test]
    async fn what_is_missing_stray_or_different_is_told() {
        let originals = vec![item(1, "a"), item(2, "b"), item(4, "d"), item(5, "e")];
        let copies = vec![item(2, "b"), item(3, "c"), item(4, "x"), item(6, "f")];
        let found = compare(originals, copies).await;
        let differs = Kind::Differs("student is x instead of d".to_owned());
        assert_eq!(
            found,
            [
                (1, Kind::Missing),
                (3, Kind::Stray),
                (4, differs),
                (5, Kind::Missing),
                (6, Kind::Stray),
            ]
        );
    }

    #[tokio::test]
    async fn the_same_on_both_sides_is_no_difference() {
        let items = vec![item(1, "a"), item(7, "b")];
        assert_eq!(compare(items.clone(), items).await, []);
        assert_eq!(compare(Vec::new(), Vec::new()).await, []);
    }

    #[tokio::test]
    async fn a_side_that_cannot_be_read_is_an_error() {
        let broken = || stream::iter(vec![Ok(item(1, "a")), Err(anyhow::anyhow!("gone"))]);
        let whole = || stream::iter(vec![Ok(item(1, "a")), Ok(item(2, "b"))]);
        differences(broken(), whole()).await.expect_err("originals");
        differences(whole(), broken()).await.expect_err("copies");
        let empty = || stream::iter(Vec::new());
        differences(empty(), broken())
            .await
            .expect_err("copies alone");
    }
}
