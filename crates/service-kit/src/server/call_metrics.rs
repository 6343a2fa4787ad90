//! Rate, errors and duration of calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tokio::time::Instant;
use tonic::Code;

use super::admission::EXEMPT_SERVICES;
use crate::access::AccessTable;
use crate::metrics::code_name;

/// What stands for the name of a service or method that there is not: a caller can ask for any.
const UNKNOWN: &str = "unknown";

/// The methods of the exempt services.
const EXEMPT_METHODS: [&str; 3] = ["Check", "Watch", "ServerReflectionInfo"];

/// The metrics of a server's calls, found once for each method.
pub(super) struct CallMetrics {
    /// By path.
    methods: HashMap<String, Arc<MethodMetrics>>,
    unknown: Arc<MethodMetrics>,
    in_progress: Gauge,
}

struct MethodMetrics {
    service: String,
    method: String,
    succeeded: Counter,
    /// Found once for each way to fail: there are a few, and in an overload many calls of one.
    failed: Mutex<HashMap<(Code, &'static str), Counter>>,
    duration: Histogram,
}

/// A call that is counted among those in progress until [`ended`](Self::ended).
pub(super) struct CountedCall {
    method: Arc<MethodMetrics>,
    in_progress: Gauge,
}

impl CallMetrics {
    /// Knows the methods of `access` and of the exempt services.
    pub(super) fn new(access: &AccessTable) -> Self {
        let exempt = EXEMPT_SERVICES.iter().flat_map(|service| {
            EXEMPT_METHODS
                .iter()
                .map(move |method| format!("/{service}/{method}"))
        });
        let paths = access.methods().into_iter().map(str::to_owned);
        Self {
            methods: paths
                .chain(exempt)
                .map(|path| {
                    let method = MethodMetrics::of(&path);
                    (path, Arc::new(method))
                })
                .collect(),
            unknown: Arc::new(MethodMetrics::new(UNKNOWN, UNKNOWN)),
            in_progress: gauge!("latchkey_calls_in_progress"),
        }
    }

    /// A call of `path` arrived.
    pub(super) fn begin(&self, path: &str) -> CountedCall {
        self.in_progress.increment(1.0);
        CountedCall {
            method: Arc::clone(self.methods.get(path).unwrap_or(&self.unknown)),
            in_progress: self.in_progress.clone(),
        }
    }
}

impl MethodMetrics {
    /// The method at `/package.v1.Service/Method`.
    fn of(path: &str) -> Self {
        let (service, method) = path.rsplit_once('/').unwrap_or((UNKNOWN, UNKNOWN));
        let service = service.rsplit(['.', '/']).next().unwrap_or(service);
        Self::new(service, method)
    }

    fn new(service: &str, method: &str) -> Self {
        Self {
            service: service.to_owned(),
            method: method.to_owned(),
            succeeded: calls(service, method, Code::Ok, ""),
            failed: Mutex::default(),
            duration: histogram!(
                "latchkey_call_duration_seconds",
                "service" => service.to_owned(),
                "method" => method.to_owned(),
            ),
        }
    }

    fn failed(&self, code: Code, reason: &'static str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed
            .entry((code, reason))
            .or_insert_with(|| calls(&self.service, &self.method, code, reason))
            .increment(1);
    }
}

impl CountedCall {
    /// It ended. Once a call.
    pub(super) fn ended(&self, arrival: Instant, code: Code, reason: Option<&'static str>) {
        self.in_progress.decrement(1.0);
        self.method.duration.record(arrival.elapsed());
        if code == Code::Ok {
            self.method.succeeded.increment(1);
        } else {
            self.method.failed(code, reason.unwrap_or_default());
        }
    }
}

fn calls(service: &str, method: &str, code: Code, reason: &'static str) -> Counter {
    counter!(
        "latchkey_calls_total",
        "service" => service.to_owned(),
        "method" => method.to_owned(),
        "code" => code_name(code),
        "reason" => reason,
    )
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::access::Row;

    #[test]
    fn calls_are_counted_by_method_and_what_is_no_method_has_no_name() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let table = AccessTable::new(&[Row {
                method: "/test.v1.TestService/Echo",
                grants: &[],
            }]);
            let all = CallMetrics::new(&table);
            let now = Instant::now();
            all.begin("/test.v1.TestService/Echo")
                .ended(now, Code::Ok, None);
            all.begin("/test.v1.TestService/Secret").ended(
                now,
                Code::Unimplemented,
                Some("METHOD_UNKNOWN"),
            );
            let _still = all.begin("/grpc.health.v1.Health/Watch");
        });
        let text = recorder.handle().render();
        for line in [
            r#"latchkey_calls_total{service="TestService",method="Echo",code="OK",reason=""} 1"#,
            r#"latchkey_calls_total{service="unknown",method="unknown",code="UNIMPLEMENTED",reason="METHOD_UNKNOWN"} 1"#,
            "latchkey_calls_in_progress 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("Secret"), "{text}");
    }
}
