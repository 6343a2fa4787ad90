//! What lies beyond a caller's reach, beside what nobody ever made: the same answer, byte by byte, after the same
//! statements.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use latchkey::stack::Service;
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use regex::bytes::Regex;

use super::matrix::Beyond::Empty;
use super::places::World;
use super::{ask, request, row, services, unreached};
use crate::harness::dynamic::{methods, path_of};
use crate::harness::{Caller, Options, Scene, Stack};

/// Nothing that the enrollment process does by itself comes in between.
const STILL: &str = "[sweeper]\nlook_interval_ms = 3600000\nsweep_interval_ms = 3600000\n[guessing]\nexchange_interval_ms = 60000";
/// Nor the keys process.
const STILL_TOO: &str = "[guessing]\nexchange_interval_ms = 60000";

/// How often two lists of statements that differ are made again: a connection that sees a type for the first time asks
/// the catalog about it, and the first time that a caller goes beyond their reach is audited, a moment after the answer.
const TRIES: u32 = 6;

/// Of the statement that asks, after the answers, whose the things are that callers were told do not exist.
const ASKED_LATER: &str = "AS w (kind, id)";

/// The statements that Postgres is given for the databases that log them.
struct Statements {
    log: PathBuf,
    read: u64,
}

impl Statements {
    /// Has the stack's database log every statement from now on.
    async fn of(stack: &mut Stack) -> Self {
        for service in [Service::Enrollment, Service::Keys] {
            stack.replica(service, 0).stop().await;
        }
        let every = "DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database());
        END $$";
        stack.site().database.execute(every).await;
        for service in [Service::Keys, Service::Enrollment] {
            stack.replica(service, 0).run().await;
        }
        Self {
            log: stack.site().database.server_log().await,
            read: 0,
        }
    }

    /// The statements since the last time. Without those that come at some time after the answer: what each connection is told
    /// when it is given back, and what the trail asks of everything, there or not.
    fn since(&mut self) -> Vec<String> {
        let mut file = File::open(&self.log).expect("the log of Postgres");
        file.seek(SeekFrom::Start(self.read)).expect("its end");
        let mut text = String::new();
        self.read += u64::try_from(file.read_to_string(&mut text).expect("text")).expect("a size");
        let begins = r"^\S+ \S+ UTC \[\d+\] (?:LOG:  (?:execute [^:]*|statement): (.*))?";
        let begins = regex::Regex::new(begins).expect("a pattern");
        let mut statements: Vec<String> = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            match begins.captures(line) {
                Some(found) => {
                    inside = found.get(1).is_some();
                    statements.extend(found.get(1).map(|text| text.as_str().to_owned()));
                }
                None if inside => {
                    let last = statements.last_mut().expect("a statement goes on");
                    last.push('\n');
                    last.push_str(line.trim());
                }
                None => {}
            }
        }
        statements.retain(|text| text != "BEGIN; ROLLBACK" && !text.contains(ASKED_LATER));
        statements
    }
}

/// All that a call brings its caller, without the ids: they are the caller's own, or the name of the call.
async fn answer(
    caller: &Caller,
    method: &MethodDescriptor,
    service: &str,
    scene: &Scene<'_>,
) -> (String, Vec<u8>, Vec<String>) {
    let request = request(scene, method, false).await;
    let (code, bytes, mut headers) = match ask(service, caller, method, request).await {
        Ok(message) => ("OK".to_owned(), message.encode_to_vec(), Vec::new()),
        Err(refusal) => {
            let text = [refusal.message().as_bytes(), refusal.details()].concat();
            let headers = refusal.metadata().keys().map(|key| format!("{key:?}"));
            (format!("{:?}", refusal.code()), text, headers.collect())
        }
    };
    headers.sort();
    let id = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a pattern");
    (
        code,
        id.replace_all(&bytes, &b"ID"[..]).into_owned(),
        headers,
    )
}

/// The same call about what is beyond reach and about what nobody ever made.
struct Pair<'p> {
    name: String,
    caller: &'p Caller,
    method: &'p MethodDescriptor,
    service: &'static str,
    scenes: [&'p Scene<'p>; 2],
}

impl Pair<'_> {
    /// Fails unless both are answered alike after the same statements; how many these were.
    async fn compare(&self, statements: &mut Statements) -> usize {
        let name = &self.name;
        for attempt in 1..=TRIES {
            let mut seen = Vec::new();
            for scene in self.scenes {
                statements.since();
                let answer = answer(self.caller, self.method, self.service, scene).await;
                seen.push((answer, statements.since()));
            }
            assert_eq!(seen[0].0, seen[1].0, "{name}: the answers");
            if seen[0].1 == seen[1].1 {
                return seen[0].1.len();
            }
            let (beyond, nowhere) = (&seen[0].1, &seen[1].1);
            assert!(attempt < TRIES, "{name}: {beyond:#?} and {nowhere:#?}");
        }
        unreachable!("the last try is the last");
    }
}

#[tokio::test]
async fn what_is_beyond_reach_looks_like_what_does_not_exist() {
    let mut stack = Stack::with(Options {
        enrollment: STILL,
        keys: STILL_TOO,
        ..Options::default()
    })
    .await;
    let mut statements = Statements::of(&mut stack).await;
    let world = World::new(&stack).await;
    let nowhere = world.own().nowhere();
    let (mut compared, mut most) = (0, 0);
    for method in methods() {
        for (role, place, scene) in unreached(&world, &method) {
            // A list of an organization that is partly within reach holds the rest of it.
            if row(&method).beyond == Empty && !place.is_apart() {
                continue;
            }
            let caller = world.caller(role);
            for service in services(&method) {
                let pair = Pair {
                    name: format!("{} by {role} on {place:?} in {service}", path_of(&method)),
                    caller: &caller,
                    method: &method,
                    service,
                    scenes: [scene, &nowhere],
                };
                most = most.max(pair.compare(&mut statements).await);
                compared += 1;
            }
        }
    }
    println!("{compared} pairs of answers, up to {most} statements each");
    assert!(compared > 300 && most > 1, "nothing was compared");
    stack.finish().await;
}
