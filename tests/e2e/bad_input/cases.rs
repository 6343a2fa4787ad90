//! Cases of bad input, made from a good request and the rules of its fields.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

use super::rules::{self, Rules};
use crate::harness::new_id;

/// Longer than any text that the contract allows.
const OVERSIZED: usize = 10 * 1024;

/// Texts that break what does not expect them.
const HOSTILE: [(&str, &str); 9] = [
    ("a NUL", "a\0b"),
    ("turned right to left", "\u{202e}gnikcah\u{202c}"),
    ("an emoji of several code points", "👩‍👩‍👧‍👦🏴‍☠️"),
    ("SQL", "'; DROP TABLE enrollment.students; --"),
    ("a backslash and a percent sign", "\\%_'\"$1{}"),
    ("control characters", "\u{1b}[2J\u{7}\u{8}\r\n"),
    (
        "combining characters",
        "Z\u{351}\u{36b}\u{343}\u{36a}\u{302}\u{36b}\u{33d}",
    ),
    ("not a character", "\u{fffe}\u{ffff}\u{10ffff}"),
    ("only spaces", " \u{a0}\u{2003} "),
];

/// Seconds and nanoseconds that are no time between the years 1 and 9999.
const NO_TIMES: [(i64, i32); 5] = [
    (i64::MAX, 0),
    (i64::MIN, 0),
    (0, -1),
    (0, i32::MAX),
    (253_402_300_800, 0),
];

/// Seconds and nanoseconds that are no span of time which lies ahead.
const NO_SPANS: [(i64, i32); 5] = [
    (i64::MAX, 0),
    (i64::MIN, 0),
    (-1, 0),
    (0, -1),
    (0, i32::MAX),
];

/// What must be true of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// It is refused, and the field is named.
    Named,
    /// It is refused and the field is named, or it is answered as any other request: with a good answer or with a
    /// refusal for a reason of the domain.
    NamedOrGood,
}

/// A request in which one field is bad.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) field: String,
    pub(super) what: &'static str,
    pub(super) request: DynamicMessage,
    pub(super) demand: Demand,
}

/// Where a field stands in a request: the fields on the way to it, of which lists mean their first item.
type Path = Vec<FieldDescriptor>;

/// All cases of a good request.
pub(super) fn of(good: &DynamicMessage) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in paths(good) {
        let field = path.last().expect("a path has an end");
        let rules = rules::of(field);
        let mut add = |what, demand, value: Option<Value>| {
            let mut request = renewed(good);
            put(&mut request, &path, value);
            cases.push(Case {
                field: name(&path),
                what,
                request,
                demand,
            });
        };
        if rules.required {
            add("missing", Demand::Named, None);
        }
        if field.is_list() {
            of_list(good, &path, &rules, &mut add);
        } else {
            of_value(&field.kind(), &rules, &mut add);
        }
    }
    cases
}

/// The request as a new wish: what must be new with each wish is.
fn renewed(good: &DynamicMessage) -> DynamicMessage {
    let mut request = good.clone();
    let makes = good.descriptor().name().starts_with("Create")
        || good.descriptor().name().starts_with("Register");
    let redeems = makes || good.descriptor().name().starts_with("Redeem");
    for (field, renew) in [
        ("request_id", true),
        ("redemption_id", redeems),
        ("email", makes),
    ] {
        if renew && let Some(field) = good.descriptor().get_field_by_name(field) {
            let id = new_id();
            let value = if field.name() == "email" {
                format!("{id}@example.com")
            } else {
                id
            };
            request.set_field(&field, Value::String(value));
        }
    }
    request
}

fn of_list(
    good: &DynamicMessage,
    path: &Path,
    rules: &Rules,
    add: &mut impl FnMut(&'static str, Demand, Option<Value>),
) {
    let items = items(good, path);
    if let (Some(most), Some(first)) = (rules.max_items, items.first()) {
        let many = usize::try_from(most).expect("a size") + 1;
        add(
            "one item too many",
            Demand::Named,
            Some(Value::List(vec![first.clone(); many])),
        );
    }
    if matches!(items.first(), Some(Value::String(_))) {
        let long = Value::String("x".repeat(OVERSIZED));
        add(
            "an oversized item",
            Demand::Named,
            Some(Value::List(vec![long])),
        );
        add(
            "an item that is empty",
            Demand::Named,
            Some(Value::List(vec![Value::String(String::new())])),
        );
        for (what, text) in HOSTILE {
            let hostile = Value::List(vec![Value::String(text.to_owned())]);
            add(what, Demand::NamedOrGood, Some(hostile));
        }
    }
}

/// What must be true where a rule of the contract is broken, or may be.
fn named_if(broken: bool) -> Demand {
    if broken {
        Demand::Named
    } else {
        Demand::NamedOrGood
    }
}

fn of_value(kind: &Kind, rules: &Rules, add: &mut impl FnMut(&'static str, Demand, Option<Value>)) {
    match kind {
        Kind::String => {
            let bounded = named_if(rules.bounded);
            for (what, long) in [("oversized", "x"), ("oversized in bytes", "é")] {
                add(what, bounded, Some(Value::String(long.repeat(OVERSIZED))));
            }
            for (what, text) in HOSTILE {
                let hostile = Value::String(text.to_owned());
                add(what, named_if(rules.uuid), Some(hostile));
            }
        }
        Kind::Int32 => {
            for number in [i32::MIN, -1, i32::MAX] {
                add(
                    "out of range",
                    named_if(rules.range),
                    Some(Value::I32(number)),
                );
            }
        }
        Kind::Int64 => {
            for number in [i64::MIN, -1, i64::MAX] {
                add(
                    "out of range",
                    named_if(rules.range),
                    Some(Value::I64(number)),
                );
            }
        }
        Kind::Enum(_) => {
            for number in [-1, 99, i32::MAX] {
                let value = Value::EnumNumber(number);
                add("no value of the contract", Demand::Named, Some(value));
            }
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            for parts in NO_TIMES {
                add("no time", Demand::Named, Some(of_parts(message, parts)));
            }
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Duration" => {
            for parts in NO_SPANS {
                add(
                    "no span of time",
                    Demand::Named,
                    Some(of_parts(message, parts)),
                );
            }
        }
        _ => {}
    }
}

/// A time or a span of seconds and nanoseconds.
fn of_parts(message: &MessageDescriptor, (seconds, nanos): (i64, i32)) -> Value {
    let mut value = DynamicMessage::new(message.clone());
    value.set_field_by_name("seconds", Value::I64(seconds));
    value.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(value)
}

/// The request with every field at fault that can be, and the names of those fields.
pub(super) fn all_broken(good: &DynamicMessage) -> (DynamicMessage, Vec<String>) {
    let mut request = good.clone();
    let mut broken = Vec::new();
    for path in paths(good) {
        let field = path.last().expect("a path has an end");
        let rules = rules::of(field);
        let value = match field.kind() {
            _ if field.is_list() => continue,
            Kind::String if rules.bounded => Value::String("x".repeat(OVERSIZED)),
            Kind::Int32 if rules.range => Value::I32(i32::MIN),
            Kind::Enum(_) => Value::EnumNumber(99),
            _ => continue,
        };
        put(&mut request, &path, Some(value));
        broken.push(name(&path));
    }
    (request, broken)
}

/// The paths to every field of `message`: of messages that are not there too, except of those that would change which
/// of several is chosen.
fn paths(message: &DynamicMessage) -> Vec<Path> {
    let mut found = Vec::new();
    for field in message.descriptor().fields() {
        found.push(vec![field.clone()]);
        if rules::is_well_known(&field) {
            continue;
        }
        let inner = match message.get_field(&field).into_owned() {
            Value::Message(inner) if message.has_field(&field) => Some(inner),
            Value::List(items) => match items.into_iter().next() {
                Some(Value::Message(inner)) => Some(inner),
                _ => None,
            },
            _ => None,
        };
        for rest in inner.iter().flat_map(paths) {
            found.push([vec![field.clone()], rest].concat());
        }
    }
    found
}

fn name(path: &Path) -> String {
    let (last, way) = path.split_last().expect("a path has an end");
    let mut name = String::new();
    for field in way {
        name.push_str(field.name());
        name.push_str(if field.is_list() { "[0]." } else { "." });
    }
    name + last.name()
}

fn items(message: &DynamicMessage, path: &Path) -> Vec<Value> {
    let (first, rest) = path.split_first().expect("a path has a beginning");
    match (message.get_field(first).into_owned(), rest) {
        (Value::List(items), []) => items,
        (Value::Message(inner), rest) => items(&inner, &rest.to_vec()),
        (Value::List(list), rest) => match list.first() {
            Some(Value::Message(inner)) => items(inner, &rest.to_vec()),
            other => panic!("{other:?} has no {rest:?}"),
        },
        (other, _) => panic!("{other:?} is no list"),
    }
}

/// Sets the field at `path`, or clears it.
fn put(message: &mut DynamicMessage, path: &[FieldDescriptor], value: Option<Value>) {
    let (first, rest) = path.split_first().expect("a path has a beginning");
    if rest.is_empty() {
        match value {
            Some(value) => message.set_field(first, value),
            None => message.clear_field(first),
        }
        return;
    }
    match message.get_field_mut(first) {
        Value::Message(inner) => put(inner, rest, value),
        Value::List(items) => match items.first_mut() {
            Some(Value::Message(inner)) => put(inner, rest, value),
            other => panic!("{other:?} holds no fields"),
        },
        other => panic!("{other:?} holds no fields"),
    }
}

/// Makes the update mask name these fields.
pub(super) fn set_mask(request: &mut DynamicMessage, paths: &[&str]) {
    let names = paths
        .iter()
        .map(|path| Value::String((*path).to_owned()))
        .collect();
    let field = request
        .descriptor()
        .get_field_by_name("update_mask")
        .expect("an update");
    match request.get_field_mut(&field) {
        Value::Message(mask) => mask.set_field_by_name("paths", Value::List(names)),
        other => panic!("{other:?} is no mask"),
    }
}
