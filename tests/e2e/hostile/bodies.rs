//! Messages that almost are what a method expects.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};

use super::dice::Dice;

/// Numbers at the edges of what wire and database hold, as varints are written.
const EDGES: [u64; 8] = [
    0,
    1,
    0x7f,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX.cast_unsigned(),
    u64::MAX,
];

/// Changes `bytes` in a few places, as damage, a hole in a client or a person would.
pub(super) fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=dice.below(4) {
        if bytes.is_empty() {
            *bytes = dice.bytes(64);
            continue;
        }
        let at = dice.below(bytes.len());
        match dice.below(9) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.byte(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + 1 + dice.below(8)).min(bytes.len()))),
            4 => drop(bytes.splice(at..at, dice.bytes(16))),
            5 => {
                let end = (at + 1 + dice.below(32)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            6 => {
                let other = dice.one(others).clone();
                let from = dice.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            7 => drop(bytes.splice(at..=at, varint(*dice.one(&EDGES)))),
            // A field of its own at the end: any number, any wire type, those that no longer exist too.
            _ => {
                bytes.extend(varint(dice.word() & 0x7fff));
                bytes.extend(dice.bytes(12));
            }
        }
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0];
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A message in a message in a message, deeper than any reader should go.
pub(super) fn nested(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..dice.below(400) {
        let mut outer = vec![0x0a];
        outer.extend(varint(bytes.len() as u64));
        outer.extend(bytes);
        bytes = outer;
    }
    bytes
}

/// How long a list may become, and one in a message of a list: a list of lists of long texts is larger than any memory.
const LONGEST_LIST: usize = 600;
const LONGEST_INNER_LIST: usize = 4;

/// Gives a field of the message another value, which its type allows and the method perhaps does not.
pub(super) fn disturb(dice: &mut Dice, message: &mut DynamicMessage, page_tokens: &[String]) {
    disturb_with_lists(dice, message, page_tokens, LONGEST_LIST);
}

fn disturb_with_lists(
    dice: &mut Dice,
    message: &mut DynamicMessage,
    page_tokens: &[String],
    longest_list: usize,
) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    if fields.is_empty() {
        return;
    }
    let field = dice.one(&fields).clone();
    if field.is_map() {
        return;
    }
    let value = if field.name() == "page_token" {
        Value::String(page_token(dice, page_tokens))
    } else if let (false, Kind::Message(_)) = (field.is_list(), field.kind()) {
        if let Value::Message(inner) = message.get_field_mut(&field) {
            disturb_with_lists(dice, inner, page_tokens, longest_list);
        }
        return;
    } else {
        value(dice, &field.kind())
    };
    let value = if field.is_list() {
        // Mostly short.
        let times = dice.below(3) * dice.below(longest_list / 2);
        Value::List(vec![value; times])
    } else {
        value
    };
    message.set_field(&field, value);
}

fn value(dice: &mut Dice, kind: &Kind) -> Value {
    let edge = *dice.one(&EDGES);
    let [a, b, c, d, ..] = edge.to_le_bytes();
    let short = i32::from_le_bytes([a, b, c, d]);
    match kind {
        Kind::Bool => Value::Bool(dice.chance(50)),
        Kind::String => Value::String(text(dice)),
        Kind::Bytes => Value::Bytes(dice.bytes(300).into()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(short),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(edge.cast_signed()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(short.cast_unsigned()),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(edge),
        Kind::Float => Value::F32(f32::NAN),
        Kind::Double => Value::F64(f64::INFINITY),
        Kind::Enum(_) => Value::EnumNumber(short),
        Kind::Message(inner) => {
            let mut inner = DynamicMessage::new(inner.clone());
            disturb_with_lists(dice, &mut inner, &[], LONGEST_INNER_LIST);
            Value::Message(inner)
        }
    }
}

fn text(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => String::new(),
        1 => "x".repeat(dice.below(20_000)),
        2 => dice.text(2_000),
        3 => format!("EK-{}", dice.text(40)),
        4 => uuid::Uuid::from_u128(u128::from(dice.word())).to_string(),
        _ => dice.text(80),
    }
}

/// A token that some list gave out, for this query or another, whole or with a bit turned.
fn page_token(dice: &mut Dice, given: &[String]) -> String {
    if given.is_empty() {
        return dice.text(200);
    }
    let mut token = dice.one(given).clone().into_bytes();
    match dice.below(5) {
        0 => token.truncate(dice.below(token.len())),
        1 => token.extend(dice.text(40).bytes()),
        2 => token.rotate_left(1),
        3 => {}
        _ => {
            let at = dice.below(token.len());
            token[at] = dice.byte();
        }
    }
    String::from_utf8_lossy(&token).into_owned()
}
