//! The names of students.

use std::collections::HashMap;

use anyhow::Context;
use latchkey_proto::enrollment::v1::BatchGetStudentsRequest;
use latchkey_proto::enrollment::v1::student_service_client::StudentServiceClient;
use secrecy::ExposeSecret;

use super::received::Row;
use super::{Access, refusal};
use crate::stack::sample::authorized;

/// The most students that are asked for at once, as the contract has it.
const AT_ONCE: usize = 1_000;

/// A student's name.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) given: String,
    pub(super) family: String,
}

/// Names by student.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Name>);

impl Names {
    /// The name of `student_id`; `None` without one, or when the enrollment service does not know it (any more).
    pub(super) fn get(&self, student_id: Option<&str>) -> Option<&Name> {
        self.0.get(student_id?)
    }
}

/// The names of those who use the keys of `rows`.
pub(super) async fn of(rows: &[Row], access: &Access) -> anyhow::Result<Names> {
    let mut ids: Vec<String> = rows
        .iter()
        .filter_map(|row| row.redeemed_by.clone())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut names = Names::default();
    let mut client = StudentServiceClient::new(access.enrollment.clone());
    for student_ids in ids.chunks(AT_ONCE).map(<[String]>::to_vec) {
        let request = BatchGetStudentsRequest { student_ids };
        let request = authorized(request, access.token.expose_secret())?;
        let answer = client.batch_get_students(request).await;
        let answer = answer
            .map_err(|status| refusal(&status))
            .context("cannot ask for the names of students")?;
        for student in answer.into_inner().students {
            let name = Name {
                given: student.given_name,
                family: student.family_name,
            };
            names.0.insert(student.student_id, name);
        }
    }
    Ok(names)
}
