//! Calls whose messages are known only by their descriptors.

use std::fmt::Display;
use std::sync::OnceLock;

use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body as HttpBody, StdError};
use tonic::{Request, Status};

use super::callers::Authorized;

/// The contract.
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(latchkey_proto::FILE_DESCRIPTOR_SET).expect("the contract")
    })
}

/// Every method of the contract.
pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let services = pool()
        .services()
        .filter(|service| service.full_name().starts_with("latchkey."));
    services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// A method's path, for example `/latchkey.keys.v1.TrainingKeyService/GetTrainingKey`.
pub(crate) fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Calls `method` with `request`.
pub(crate) async fn call<T>(
    connection: T,
    method: &MethodDescriptor,
    request: DynamicMessage,
) -> Result<DynamicMessage, Status>
where
    T: GrpcService<Body>,
    T::Error: Display,
    T::ResponseBody: HttpBody + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError>,
{
    let mut client = Grpc::new(connection);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path: PathAndQuery = path_of(method).parse().expect("a path");
    let codec = DynamicCodec(method.output());
    Ok(client
        .unary(Request::new(request), path, codec)
        .await?
        .into_inner())
}

/// Calls the method at `path` with bytes that need not be a message.
pub(crate) async fn call_raw(
    connection: Authorized,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(connection);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path: PathAndQuery = path.parse().expect("a path");
    Ok(client
        .unary(Request::new(body), path, RawCodec)
        .await?
        .into_inner())
}

/// Leaves bytes as they are.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

/// Encodes and decodes by descriptor.
#[derive(Debug, Clone)]
struct DynamicCodec(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for DynamicCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DynamicCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let decoded = DynamicMessage::decode(self.0.clone(), buffer);
        decoded
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
