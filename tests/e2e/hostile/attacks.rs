//! Connections that do not do what connections do, as bytes.

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types and flags of frames (RFC 9113, section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The setting of the window that each stream begins with.
const INITIAL_WINDOW: u16 = 0x4;

/// What the server must do about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// End it, by itself and soon.
    End,
    /// Bear it, or end it.
    Bear,
}

/// What is sent over one connection; then nothing more, and the connection stays open.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) opening: Vec<u8>,
    /// Pieces that follow: the first with number 0, and so on.
    pub(super) piece: fn(u32) -> Vec<u8>,
    pub(super) pieces: u32,
    pub(super) demand: Demand,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a length")
        .to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface and settings that change nothing.
fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A header that no table remembers. Name and value are shorter than 127 bytes.
fn header(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("short");
    let mut bytes = vec![0, length(name)];
    bytes.extend(name.as_bytes());
    bytes.push(length(value));
    bytes.extend(value.as_bytes());
    bytes
}

/// The head of a call without a token.
fn head() -> Vec<u8> {
    head_of("/latchkey.enrollment.v1.ClassService/GetClass")
}

/// The same of the method at `path`.
fn head_of(path: &str) -> Vec<u8> {
    [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", "localhost"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// The number of the client's stream with this place.
fn stream(place: u32) -> u32 {
    2 * place + 1
}

/// The greeting, then these frames.
fn after_greeting(frames: &[Vec<u8>]) -> Vec<u8> {
    [greeting(), frames.concat()].concat()
}

fn nothing(_: u32) -> Vec<u8> {
    Vec::new()
}

/// One that only opens its connection.
const fn opens(name: &'static str, opening: Vec<u8>, demand: Demand) -> Attack {
    Attack {
        name,
        opening,
        piece: nothing,
        pieces: 0,
        demand,
    }
}

/// What is no HTTP/2, or not enough of it. Each must be over after the time for the handshake.
fn strangers() -> Vec<Attack> {
    let tls: Vec<u8> = vec![
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    vec![
        opens("silence", Vec::new(), Demand::End),
        opens("half a preface", PREFACE[..11].to_vec(), Demand::End),
        opens(
            "HTTP/1.1",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            Demand::End,
        ),
        opens("a TLS greeting, or half of one", tls, Demand::End),
        opens("zeros", vec![0; 64], Demand::End),
        opens("noise", (0..=255).collect(), Demand::End),
    ]
}

/// Those who stand still. Each must be over when a PING has had no answer.
fn sleepers() -> Vec<Attack> {
    vec![
        opens("a preface alone", PREFACE.to_vec(), Demand::End),
        opens("a greeting", greeting(), Demand::End),
        opens(
            "headers without an end",
            after_greeting(&[frame(HEADERS, 0, 1, &head())]),
            Demand::End,
        ),
        opens(
            "half a frame",
            [
                greeting(),
                frame(HEADERS, END_HEADERS, 1, &head())[..20].to_vec(),
            ]
            .concat(),
            Demand::End,
        ),
        opens(
            "a call without a body",
            after_greeting(&[frame(HEADERS, END_HEADERS, 1, &head())]),
            Demand::End,
        ),
    ]
}

/// Frames that break the protocol. Each must end the connection.
fn breakers() -> Vec<Attack> {
    let begun = || frame(HEADERS, END_HEADERS, 1, &head());
    let breaks = |name, frames: &[Vec<u8>]| opens(name, after_greeting(frames), Demand::End);
    vec![
        breaks(
            "a frame larger than allowed",
            &[[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1].to_vec()],
        ),
        breaks("data of no stream", &[frame(DATA, 0, 0, b"x")]),
        breaks(
            "data of a stream that never was",
            &[frame(DATA, 0, 9, b"x")],
        ),
        breaks(
            "headers of a server's stream",
            &[frame(HEADERS, END_HEADERS, 2, &head())],
        ),
        breaks(
            "a continuation of nothing",
            &[frame(CONTINUATION, END_HEADERS, 1, b"")],
        ),
        breaks("settings of five bytes", &[frame(SETTINGS, 0, 0, b"12345")]),
        breaks(
            "a window of two to the 31",
            &[
                frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
                frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            ],
        ),
        breaks(
            "headers that no table explains",
            &[frame(HEADERS, END_HEADERS, 1, &[0xff; 32])],
        ),
        breaks("a ping of three bytes", &[frame(PING, 0, 0, b"123")]),
        breaks(
            "headers inside of headers",
            &[frame(HEADERS, 0, 1, &head()), begun()],
        ),
    ]
}

/// One that goes on after its opening.
const fn flood(
    name: &'static str,
    opening: Vec<u8>,
    piece: fn(u32) -> Vec<u8>,
    pieces: u32,
    demand: Demand,
) -> Attack {
    Attack {
        name,
        opening,
        piece,
        pieces,
        demand,
    }
}

/// The greeting of who gives answers no room.
fn without_window() -> Vec<u8> {
    let zero_window = [&INITIAL_WINDOW.to_be_bytes()[..], &[0; 4]].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &zero_window)].concat()
}

/// Those who open stream after stream.
fn floods_of_calls() -> Vec<Attack> {
    vec![
        flood(
            "calls that are reset at once",
            greeting(),
            |number| {
                let begun = frame(HEADERS, END_HEADERS, stream(number), &head());
                let cancel = 8_u32.to_be_bytes();
                [begun, frame(RST_STREAM, 0, stream(number), &cancel)].concat()
            },
            50_000,
            Demand::Bear,
        ),
        flood(
            "calls without a window for their answers",
            without_window(),
            |number| frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &head()),
            5_000,
            Demand::Bear,
        ),
        flood(
            "calls that never end",
            greeting(),
            |number| frame(HEADERS, END_HEADERS, stream(number), &head()),
            5_000,
            Demand::Bear,
        ),
    ]
}

/// Two questions of reflection for a file whose description is large.
fn two_questions() -> Vec<u8> {
    let name = b"buf/validate/validate.proto";
    let length = u8::try_from(name.len()).expect("short");
    // `file_by_filename`
    let question = [&[0, 0, 0, 0, length + 2, 0x1a, length][..], name].concat();
    question.repeat(2)
}

/// Those who need no token for calls that never end.
fn floods_of_open_calls() -> Vec<Attack> {
    const WATCH: &str = "/grpc.health.v1.Health/Watch";
    const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    vec![
        flood(
            "watches without end",
            greeting(),
            |number| {
                let begun = frame(HEADERS, END_HEADERS, stream(number), &head_of(WATCH));
                let all = frame(DATA, END_STREAM, stream(number), &[0; 5]);
                [begun, all].concat()
            },
            5_000,
            Demand::Bear,
        ),
        flood(
            "reflection whose answers nobody reads",
            without_window(),
            |number| {
                let begun = frame(HEADERS, END_HEADERS, stream(number), &head_of(REFLECT));
                [begun, frame(DATA, 0, stream(number), &two_questions())].concat()
            },
            1_000,
            Demand::Bear,
        ),
    ]
}

/// Those who send frames without end.
fn floods_of_frames() -> Vec<Attack> {
    let endless = |name, piece| flood(name, greeting(), piece, 100_000, Demand::Bear);
    let call = |flags| after_greeting(&[frame(HEADERS, flags, 1, &head())]);
    vec![
        flood(
            "continuations",
            call(0),
            |number| frame(CONTINUATION, 0, 1, &header("x-more", &number.to_string())),
            100_000,
            Demand::End,
        ),
        flood(
            "empty data",
            call(END_HEADERS),
            |_| frame(DATA, 0, 1, b""),
            100_000,
            Demand::Bear,
        ),
        endless("settings", |_| frame(SETTINGS, 0, 0, &[])),
        endless("pings", |_| frame(PING, 0, 0, b"12345678")),
        endless("frames of unknown types", |_| frame(0xfa, 0xff, 7, b"what")),
    ]
}

/// All of them.
pub(super) fn all() -> Vec<Attack> {
    [
        strangers(),
        sleepers(),
        breakers(),
        floods_of_calls(),
        floods_of_open_calls(),
        floods_of_frames(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A whole connection of a good client that makes one call, to be damaged.
pub(super) fn good_connection() -> Vec<u8> {
    let body = [0, 0, 0, 0, 2, 0x0a, 0];
    after_greeting(&[
        frame(HEADERS, END_HEADERS, 1, &head()),
        frame(DATA, END_STREAM, 1, &body),
        frame(PING, 0, 0, b"12345678"),
        frame(WINDOW_UPDATE, 0, 0, &1000_u32.to_be_bytes()),
    ])
}
