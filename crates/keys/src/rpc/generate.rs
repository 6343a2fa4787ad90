//! Messages of a generation, and how they are streamed.

use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::server::{Outlet, Place, Places};
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;

use super::convert::{number, training_key, warnings};
use super::errors::api_error;
use crate::app::generate_keys::{GenerateKeys, Generation, Progress};
use crate::domain::generation::{CHUNK, Summary};

/// The path of the method.
pub(crate) const METHOD: &str = "/latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys";

/// What a request asks for.
pub(super) fn wish(request: &proto::GenerateTrainingKeysRequest) -> Result<GenerateKeys, ApiError> {
    let mut violations = Violations::of(request);
    let command = GenerateKeys {
        request_id: violations.uuid("request_id", &request.request_id),
        class_id: violations.uuid("class_id", &request.class_id),
        count: request.count,
        telling: !request.omit_keys,
    };
    violations.finish()?;
    Ok(command)
}

/// The place that `command` needs among the long calls: none if it is done by one transaction, as a call that is answered at
/// once.
pub(super) fn place(command: &GenerateKeys, places: &Places) -> Result<Option<Place>, ApiError> {
    (command.count > CHUNK).then(|| places.enter()).transpose()
}

/// Tells of a generation until all keys are made and told, or nobody listens.
pub(super) async fn follow(
    mut generation: Generation,
    outlet: Outlet<proto::GenerateTrainingKeysResponse>,
    place: Option<Place>,
) -> Result<(), ApiError> {
    while let Some(progress) = generation.next().await.map_err(api_error)? {
        outlet.send(message(progress)).await?;
    }
    drop(place);
    Ok(())
}

fn message(progress: Progress) -> proto::GenerateTrainingKeysResponse {
    proto::GenerateTrainingKeysResponse {
        generated: progress.generated,
        count: progress.count,
        keys: progress.keys.into_iter().map(training_key).collect(),
        summary: progress.summary.as_ref().map(summary),
    }
}

fn summary(summary: &Summary) -> proto::GenerationSummary {
    proto::GenerationSummary {
        live_keys: number(summary.live_keys),
        maximum_keys: summary.maximum_keys,
        warnings: warnings(&summary.warnings),
    }
}
