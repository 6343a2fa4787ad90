//! The invariants of a service's schema: where they were looked for, and what breaks them.

use std::collections::BTreeMap;

use serde::Serialize;

/// A row, or several with one id, for which an invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The table in which it stands, with its schema.
    pub table: &'static str,
    /// The id of the row, or what else names it.
    pub id: String,
    /// What should hold, in words.
    pub invariant: &'static str,
    /// What was found instead.
    pub found: String,
}

/// A row that breaks an invariant, as the query of [`broken!`](crate::broken) selects it.
#[derive(Debug)]
pub struct Broken {
    /// Its id, or what else names it.
    pub id: String,
    /// What was found there.
    pub found: String,
}

/// Everything that breaks an invariant, by table. The tables that were looked at stand in it without a finding too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(BTreeMap<&'static str, Vec<Finding>>);

impl Findings {
    /// `invariant` was looked for in `table`, and all of `broken` break it.
    pub fn add(&mut self, table: &'static str, invariant: &'static str, broken: Vec<Broken>) {
        let findings = broken.into_iter().map(|Broken { id, found }| Finding {
            table,
            id,
            invariant,
            found,
        });
        self.0.entry(table).or_default().extend(findings);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.values().flatten()
    }

    /// All of them, for themselves.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0.into_values().flatten().collect()
    }

    /// How many there are in each table that was looked at.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.0.iter().map(|(table, found)| (*table, found.len()))
    }
}

/// Adds to [`Findings`] what breaks `$invariant`: `$sql`, checked against the caller's schema, selects one [`Broken`] row for
/// each finding.
#[macro_export]
macro_rules! broken {
    ($findings:ident, $connection:ident, $table:literal, $invariant:literal, $sql:literal) => {
        let rows = sqlx::query_as!($crate::invariants::Broken, $sql)
            .fetch_all(&mut *$connection)
            .await?;
        $findings.add($table, $invariant, rows);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_finding_is_counted_too() {
        let mut findings = Findings::default();
        findings.add("a.good", "all is well", Vec::new());
        let broken = |id: &str| Broken {
            id: id.to_owned(),
            found: "not well".to_owned(),
        };
        findings.add("a.bad", "all is well", vec![broken("1"), broken("2")]);
        findings.add("a.bad", "nothing else is wrong", Vec::new());
        assert_eq!(
            findings.counts().collect::<Vec<_>>(),
            [("a.bad", 2), ("a.good", 0)]
        );
        let ids: Vec<String> = findings.into_vec().into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["1", "2"]);
    }
}
