//! What services tell about themselves, and calls that are made of nothing else.

use std::collections::{BTreeMap, HashMap};

use latchkey::stack::Service;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value};
use prost_types::FileDescriptorProto;
use tokio_stream::iter;
use tonic::transport::Channel;
use tonic_reflection::pb::v1;

use crate::harness::dynamic::call;
use crate::harness::{Caller, Stack};

use v1::server_reflection_client::ServerReflectionClient;
use v1::server_reflection_request::MessageRequest;
use v1::server_reflection_response::MessageResponse;

/// Asks a service about itself.
pub(super) struct Mirror(pub(super) ServerReflectionClient<Channel>);

impl Mirror {
    pub(super) fn of(stack: &Stack, service: Service) -> Self {
        Self(ServerReflectionClient::new(stack.channel(service)))
    }

    async fn ask(&mut self, question: MessageRequest) -> MessageResponse {
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let mut answers = self
            .0
            .server_reflection_info(iter([request]))
            .await
            .expect("reflection")
            .into_inner();
        let answer = answers
            .message()
            .await
            .expect("an answer")
            .expect("an answer");
        answer.message_response.expect("an answer")
    }

    pub(super) async fn services(&mut self) -> Vec<String> {
        let answer = self.ask(MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(list) = answer else {
            panic!("{answer:?}")
        };
        list.service
            .into_iter()
            .map(|service| service.name)
            .collect()
    }

    /// The files that define `symbol`, and all that they need.
    async fn learn(&mut self, symbol: &str, files: &mut BTreeMap<String, FileDescriptorProto>) {
        let mut questions = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
        while let Some(question) = questions.pop() {
            let answer = self.ask(question).await;
            let MessageResponse::FileDescriptorResponse(found) = answer else {
                panic!("{answer:?}")
            };
            for bytes in found.file_descriptor_proto {
                let file =
                    FileDescriptorProto::decode(bytes.as_slice()).expect("a description of a file");
                let unknown = file
                    .dependency
                    .iter()
                    .filter(|name| !files.contains_key(*name));
                questions.extend(unknown.cloned().map(MessageRequest::FileByFilename));
                files.insert(file.name().to_owned(), file);
            }
        }
    }
}

/// What a client learnt about both services.
pub(super) struct Learnt {
    pub(super) pool: DescriptorPool,
    /// Which of them has a service.
    places: HashMap<String, Service>,
}

impl Learnt {
    pub(super) async fn from(stack: &Stack) -> Self {
        let (mut files, mut places) = (BTreeMap::new(), HashMap::new());
        for service in [Service::Keys, Service::Enrollment] {
            let mut mirror = Mirror::of(stack, service);
            for name in mirror.services().await {
                if !name.starts_with("grpc.") {
                    mirror.learn(&name, &mut files).await;
                    places.insert(name, service);
                }
            }
        }
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(files.into_values())
            .expect("complete descriptions");
        Self { pool, places }
    }

    /// Calls a method of a service with these fields.
    pub(super) async fn call(
        &self,
        caller: &Caller,
        service: &str,
        method: &str,
        fields: &[(&str, Value)],
    ) -> DynamicMessage {
        let described = self.pool.get_service_by_name(service).expect("a service");
        let mut methods = described.methods();
        let described = methods
            .find(|known| known.name() == method)
            .expect("a method");
        let mut request = DynamicMessage::new(described.input());
        for (path, value) in fields {
            set(&mut request, path, value.clone());
        }
        let connection = match self.places[service] {
            Service::Keys => caller.to_keys(),
            Service::Enrollment => caller.to_enrollment(),
        };
        call(connection, &described, request)
            .await
            .unwrap_or_else(|refusal| panic!("{method}: {refusal}"))
    }
}

/// Sets the field at a path such as `event_key.generated`.
fn set(message: &mut DynamicMessage, path: &str, value: Value) {
    match path.split_once('.') {
        None => message.set_field_by_name(path, value),
        Some((first, rest)) => {
            let field = message.descriptor_field(first);
            match message.get_field_mut(&field) {
                Value::Message(inner) => set(inner, rest, value),
                other => panic!("{first} is {other:?}"),
            }
        }
    }
}

/// Reads the text at a path such as `keys.0.key_id`.
pub(super) fn read(message: &DynamicMessage, path: &str) -> String {
    match look(message, path) {
        Value::String(text) => text,
        other => panic!("{path} is {other:?}"),
    }
}

pub(super) fn look(message: &DynamicMessage, path: &str) -> Value {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = message
        .get_field_by_name(first)
        .unwrap_or_else(|| panic!("no {first}"))
        .into_owned();
    match (value, rest) {
        (value, None) => value,
        (Value::Message(inner), Some(rest)) => look(&inner, rest),
        (Value::List(items), Some(rest)) => {
            let (index, rest) = rest.split_once('.').expect("an index and a field");
            match &items[index.parse::<usize>().expect("an index")] {
                Value::Message(inner) => look(inner, rest),
                other => panic!("{first} holds {other:?}"),
            }
        }
        (other, Some(_)) => panic!("{first} is {other:?}"),
    }
}

trait Fields {
    fn descriptor_field(&self, name: &str) -> prost_reflect::FieldDescriptor;
}

impl Fields for DynamicMessage {
    fn descriptor_field(&self, name: &str) -> prost_reflect::FieldDescriptor {
        use prost_reflect::ReflectMessage as _;
        self.descriptor()
            .get_field_by_name(name)
            .unwrap_or_else(|| panic!("no field {name}"))
    }
}

pub(super) fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

pub(super) fn texts(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| text(value)).collect())
}

/// The name of an enumeration's value.
pub(super) fn enum_name(message: &DynamicMessage, field: &str) -> String {
    let described = message.descriptor_field(field);
    let (Kind::Enum(values), Value::EnumNumber(number)) = (described.kind(), look(message, field))
    else {
        panic!("{field} is no enumeration")
    };
    values
        .get_value(number)
        .expect("a value of the contract")
        .name()
        .to_owned()
}
