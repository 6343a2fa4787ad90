//! The field rules that stand in the contract, as far as cases are made from them.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::harness::dynamic::pool;

/// What the contract demands of one field.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(super) struct Rules {
    /// It must not be missing or empty.
    pub(super) required: bool,
    /// It must be a UUID (or empty, when it is not required).
    pub(super) uuid: bool,
    /// A string has a greatest length.
    pub(super) bounded: bool,
    /// A number has both a least and a greatest value.
    pub(super) range: bool,
    /// The most items of a list.
    pub(super) max_items: Option<u64>,
}

/// The rules of `field`.
pub(super) fn of(field: &FieldDescriptor) -> Rules {
    let extension = pool()
        .get_extension_by_name("buf.validate.field")
        .expect("the contract has field rules");
    let options = field.options();
    if !options.has_extension(&extension) {
        return Rules::default();
    }
    let stated = options.get_extension(&extension).into_owned();
    let Value::Message(stated) = stated else {
        panic!("field rules are a message")
    };
    let string = message(&stated, "string");
    let repeated = message(&stated, "repeated");
    let ignores_zero = stated.has_field_by_name("ignore");
    let uuid = string
        .as_ref()
        .is_some_and(|rules| rules.has_field_by_name("uuid"));
    let email = string
        .as_ref()
        .is_some_and(|rules| rules.has_field_by_name("email"));
    let min_length = string
        .as_ref()
        .and_then(|rules| number(rules, "min_len"))
        .unwrap_or(0);
    let min_items = repeated
        .as_ref()
        .and_then(|rules| number(rules, "min_items"))
        .unwrap_or(0);
    let demanded =
        stated.has_field_by_name("required") || uuid || email || min_length > 0 || min_items > 0;
    let range = ["int32", "int64"].iter().any(|kind| {
        message(&stated, kind)
            .is_some_and(|rules| rules.has_field_by_name("gte") && rules.has_field_by_name("lte"))
    });
    Rules {
        required: demanded && !ignores_zero,
        uuid,
        bounded: uuid
            || string
                .as_ref()
                .is_some_and(|rules| rules.has_field_by_name("max_len")),
        range,
        max_items: repeated
            .as_ref()
            .and_then(|rules| number(rules, "max_items")),
    }
}

fn message(of: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    if !of.has_field_by_name(field) {
        return None;
    }
    let value = of.get_field_by_name(field)?.into_owned();
    let Value::Message(message) = value else {
        panic!("{field} is a message")
    };
    Some(message)
}

fn number(of: &DynamicMessage, field: &str) -> Option<u64> {
    if !of.has_field_by_name(field) {
        return None;
    }
    of.get_field_by_name(field)?.as_u64()
}

/// The fields of a request that must be there, by name; what a missing message would hold is not among them.
pub(super) fn required(request: &MessageDescriptor) -> Vec<String> {
    let fields = request.fields().filter(|field| of(field).required);
    fields.map(|field| field.name().to_owned()).collect()
}

/// Whether the field holds a message of the well-known kinds: a time, a span, a mask.
pub(super) fn is_well_known(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.package_name() == "google.protobuf")
}
