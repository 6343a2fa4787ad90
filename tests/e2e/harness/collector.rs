//! A collector of traces, such as services send them to.

use std::sync::{Arc, Mutex};

use latchkey::stack::process::ANY_PORT;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A collector, and what it got: which service sent which span.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().expect("not poisoned");
        for part in request.into_inner().resource_spans {
            let resource = part.resource.expect("a resource");
            let service = text(&resource.attributes, "service.name");
            let sent = part.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(sent.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one; returns its address too.
    pub(crate) async fn start() -> (Self, String) {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let collector = Self::default();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        (collector, format!("http://{address}"))
    }

    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        self.0.lock().expect("not poisoned").clone()
    }

    /// The span of `service` of this kind for a method.
    pub(crate) fn find(&self, service: &str, kind: SpanKind, method: &str) -> Result<Span, String> {
        let spans = self.spans();
        let found = spans
            .iter()
            .find(|(by, span)| by == service && span.kind() == kind && span.name.ends_with(method));
        found.map(|(_, span)| span.clone()).ok_or_else(|| {
            let names: Vec<_> = spans.iter().map(|(by, span)| (by, &span.name)).collect();
            format!("no {kind:?} span of {service} for {method} in {names:?}")
        })
    }
}

/// The text of an attribute.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> String {
    let attribute = attributes.iter().find(|attribute| attribute.key == key);
    let value = attribute.and_then(|attribute| attribute.value.as_ref()?.value.clone());
    match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} is {other:?} in {attributes:?}"),
    }
}
