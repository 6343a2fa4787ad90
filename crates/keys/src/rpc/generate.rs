//! Messages of a generation, and how they are streamed.

use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::server::{Outlet, Place, Places, Streamed, streamed};
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use tonic::Request;

use super::convert::{number, training_key, warnings};
use super::errors::api_error;
use super::terms::terms;
use crate::app::generate_keys::{GenerateKeys, Generation, Progress, generate_keys};
use crate::app::{App, Call};
use crate::domain::generation::{CHUNK, Summary};
use crate::domain::target::Target;

/// The paths of the methods.
pub(crate) const METHODS: [&str; 3] = [
    "/latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys",
    "/latchkey.keys.v1.KeyPoolService/GeneratePoolKeys",
    "/latchkey.keys.v1.SubscriptionKeyService/GenerateSubscriptionKeys",
];

/// What a request for a class asks for.
pub(super) fn of_class(
    request: &proto::GenerateTrainingKeysRequest,
) -> Result<GenerateKeys, ApiError> {
    let mut violations = Violations::of(request);
    let command = GenerateKeys {
        request_id: violations.own_id("request_id", &request.request_id),
        target: Target::Class(violations.uuid("class_id", &request.class_id)),
        count: request.count,
        telling: !request.omit_keys,
    };
    violations.finish()?;
    Ok(command)
}

/// What a request for a pool asks for.
pub(super) fn of_pool(request: &proto::GeneratePoolKeysRequest) -> Result<GenerateKeys, ApiError> {
    let mut violations = Violations::of(request);
    let command = GenerateKeys {
        request_id: violations.own_id("request_id", &request.request_id),
        target: Target::Pool(violations.uuid("pool_id", &request.pool_id)),
        count: request.count,
        telling: !request.omit_keys,
    };
    violations.finish()?;
    Ok(command)
}

/// What a request for a subscription profile asks for.
pub(super) fn of_profile(
    request: &proto::GenerateSubscriptionKeysRequest,
) -> Result<GenerateKeys, ApiError> {
    let mut violations = Violations::of(request);
    let command = GenerateKeys {
        request_id: violations.own_id("request_id", &request.request_id),
        target: Target::Profile(
            violations.uuid("profile_id", &request.profile_id),
            terms(request.terms.as_ref(), &mut violations),
        ),
        count: request.count,
        telling: !request.omit_keys,
    };
    violations.finish()?;
    Ok(command)
}

/// Generates what `command` asks for, and streams how it goes.
pub(super) async fn generated<Q, M: From<Progress> + Send + 'static>(
    app: &App,
    places: &Places,
    request: &Request<Q>,
    call: &Call,
    command: GenerateKeys,
) -> Result<Streamed<M>, ApiError> {
    let place = place(&command, places)?;
    let generation = generate_keys(app, call, command).await.map_err(api_error)?;
    streamed(request, |outlet| follow(generation, outlet, place))
}

/// The place that `command` needs among the long calls: none if it is done by one transaction, as a call that is answered at
/// once.
fn place(command: &GenerateKeys, places: &Places) -> Result<Option<Place>, ApiError> {
    (command.count > CHUNK).then(|| places.enter()).transpose()
}

/// Tells of a generation until all keys are made and told, or nobody listens.
async fn follow<M: From<Progress> + Send + 'static>(
    mut generation: Generation,
    outlet: Outlet<M>,
    place: Option<Place>,
) -> Result<(), ApiError> {
    while let Some(progress) = generation.next().await.map_err(api_error)? {
        outlet.send(progress.into()).await?;
    }
    drop(place);
    Ok(())
}

impl From<Progress> for proto::GenerateTrainingKeysResponse {
    fn from(progress: Progress) -> Self {
        let summary = |summary: &Summary| proto::GenerationSummary {
            live_keys: number(summary.live_keys),
            maximum_keys: summary.maximum_keys.unwrap_or_default(),
            warnings: warnings(&summary.warnings),
        };
        Self {
            generated: progress.generated,
            count: progress.count,
            keys: progress.keys.into_iter().map(training_key).collect(),
            summary: progress.summary.as_ref().map(summary),
        }
    }
}

impl From<Progress> for proto::GeneratePoolKeysResponse {
    fn from(progress: Progress) -> Self {
        Self {
            generated: progress.generated,
            count: progress.count,
            keys: progress.keys.into_iter().map(training_key).collect(),
            summary: progress.summary.as_ref().map(unlimited),
        }
    }
}

impl From<Progress> for proto::GenerateSubscriptionKeysResponse {
    fn from(progress: Progress) -> Self {
        Self {
            generated: progress.generated,
            count: progress.count,
            keys: progress.keys.into_iter().map(training_key).collect(),
            summary: progress.summary.as_ref().map(unlimited),
        }
    }
}

fn unlimited(summary: &Summary) -> proto::UnlimitedGenerationSummary {
    proto::UnlimitedGenerationSummary {
        live_keys: summary.live_keys,
    }
}
