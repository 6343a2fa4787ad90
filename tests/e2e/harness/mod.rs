//! What end-to-end tests stand on: a private Postgres for the run, stacks of real service processes, callers of every
//! role, and the making of what a test needs.

pub(crate) mod callers;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod cores;
pub(crate) mod dynamic;
pub(crate) mod invariants;
pub(crate) mod logs;
pub(crate) mod mail;
pub(crate) mod memory;
pub(crate) mod plans;
pub(crate) mod policy;
pub(crate) mod pools;
pub(crate) mod proxy;
pub(crate) mod refusals;
pub(crate) mod scene;
pub(crate) mod site;
pub(crate) mod stack;
pub(crate) mod subscriptions;
pub(crate) mod time;
pub(crate) mod waiting;
pub(crate) mod world;

pub(crate) use callers::Caller;
pub(crate) use pools::PoolDraft;
pub(crate) use refusals::{reason_of, refused};
pub(crate) use scene::Scene;
pub(crate) use site::{Entrance, Options};
pub(crate) use stack::Stack;
pub(crate) use time::{at, ids, new_id, now};
pub(crate) use waiting::{a_session, eventually, insist};
pub(crate) use world::{ClassDraft, Organization};
