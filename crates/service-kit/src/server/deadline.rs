//! When a call's answer must be there.

use std::collections::HashMap;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::timeout_header::{self, NAME};
use crate::config::LimitsConfig;
use crate::status::ApiError;

/// How much earlier than the caller's own alarm ours goes off. The transport watches the same header and would answer
/// CANCELLED, without a reason; timers tick in milliseconds, so that two make sure that ours is first. The caller also
/// gains the chance to hear the answer before giving up.
const MARGIN: Duration = Duration::from_millis(2);

/// The deadlines a server gives.
#[derive(Debug, Clone)]
pub(super) struct Deadlines {
    default: Duration,
    maximum: Duration,
    /// Of the methods whose answers are streams, by path: the default and the maximum at once, because how long a stream
    /// lasts is up to how fast it is read.
    streams: HashMap<&'static str, Duration>,
}

impl Deadlines {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            default: Duration::from_millis(limits.default_deadline_ms),
            maximum: Duration::from_millis(limits.max_deadline_ms),
            streams: HashMap::new(),
        }
    }

    /// The same, with how long the answers of these methods may go on.
    pub(super) fn with_streams(self, streams: HashMap<&'static str, Duration>) -> Self {
        Self { streams, ..self }
    }

    /// The deadline of a `request` that arrived at `arrival`: what it asks for, within the maximum, else the default.
    pub(super) fn of<B>(
        &self,
        request: &Request<B>,
        arrival: Instant,
    ) -> Result<Instant, ApiError> {
        let stream = self.streams.get(request.uri().path()).copied();
        let given = match request.headers().get(NAME) {
            None => stream.unwrap_or(self.default),
            Some(value) => value
                .to_str()
                .ok()
                .and_then(timeout_header::read)
                .ok_or_else(|| {
                    ApiError::invalid_field(
                        NAME,
                        "must be up to 8 digits and one of H, M, S, m, u, n",
                    )
                })?
                .saturating_sub(MARGIN),
        };
        Ok(arrival + given.min(stream.unwrap_or(self.maximum)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: Option<&str>) -> Result<Duration, String> {
        of_method("/test.v1.Test/Get", header)
    }

    fn of_method(path: &'static str, header: Option<&str>) -> Result<Duration, String> {
        let deadlines = Deadlines {
            default: Duration::from_secs(10),
            maximum: Duration::from_mins(1),
            streams: HashMap::from([("/test.v1.Test/Export", Duration::from_mins(10))]),
        };
        let mut request = Request::new(());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(header) = header {
            request.headers_mut().insert(NAME, header.parse().unwrap());
        }
        let arrival = Instant::now();
        deadlines
            .of(&request, arrival)
            .map(|deadline| deadline - arrival)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn deadlines_default_are_honoured_and_bounded() {
        assert_eq!(of(None), Ok(Duration::from_secs(10)));
        assert_eq!(of(Some("500m")), Ok(Duration::from_millis(498)));
        assert_eq!(of(Some("1M")), Ok(Duration::from_millis(59_998)));
        assert_eq!(of(Some("99999999H")), Ok(Duration::from_mins(1)));
        assert_eq!(of(Some("1n")), Ok(Duration::ZERO));
        for bad in ["", "1", "S", "1x", "-1S", "1.5S", "123456789S"] {
            assert!(
                of(Some(bad)).unwrap_err().starts_with("grpc-timeout"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_stream_may_go_on_for_its_own_time_and_no_longer() {
        let of = |header| of_method("/test.v1.Test/Export", header);
        assert_eq!(of(None), Ok(Duration::from_mins(10)));
        assert_eq!(of(Some("5M")), Ok(Duration::from_millis(299_998)));
        assert_eq!(of(Some("500m")), Ok(Duration::from_millis(498)));
        assert_eq!(of(Some("1H")), Ok(Duration::from_mins(10)));
    }
}
