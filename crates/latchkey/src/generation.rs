//! Generated keys all at once: for those who generate few, or count them.

use latchkey_proto::keys::v1::{GenerateTrainingKeysResponse, GenerationSummary, TrainingKey};
use tonic::{Response, Status, Streaming};

/// What a call of `GenerateTrainingKeys` came to.
#[derive(Debug, Clone, Default)]
pub struct Generated {
    /// How many keys the request has made.
    pub generated: i32,
    /// They, oldest first; none if they were to be omitted.
    pub keys: Vec<TrainingKey>,
    /// What was told at the end.
    pub summary: GenerationSummary,
}

/// All of the answer.
///
/// # Errors
/// The refusal, or why it broke off: the same request goes on where it stopped.
pub async fn whole(
    answer: Result<Response<Streaming<GenerateTrainingKeysResponse>>, Status>,
) -> Result<Response<Generated>, Status> {
    let mut stream = answer?.into_inner();
    let mut whole = Generated::default();
    while let Some(progress) = stream.message().await? {
        whole.generated = progress.generated;
        whole.keys.extend(progress.keys);
        if let Some(summary) = progress.summary {
            whole.summary = summary;
            return Ok(Response::new(whole));
        }
    }
    Err(Status::unavailable(
        "the generation broke off before its end",
    ))
}
