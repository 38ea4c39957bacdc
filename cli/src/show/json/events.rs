//! Events, changes of handlers and losses, which have their fields in common.

use archtrace_facts::fact::{Cause, IllegalInstruction, Origin, Via};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::Record;
use archtrace_facts::sentence::sentence;
use serde::Serialize;

use super::identity::Owner;
use super::nodes::BinfmtHandler;
use crate::show::human::{hex, utc};

#[derive(Default, Serialize)]
pub(crate) struct Event<'a> {
    node: &'a str,
    time: String,
    kind: &'static str,
    pid: Option<u32>,
    comm: &'a str,
    binary: &'a str,
    arch: String,
    cause: Option<&'a str>,
    errno: Option<i32>,
    emulator: Option<&'a str>,
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    cgroup: &'a str,
    path_resolved: bool,
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    via: Option<&'static str>,
    instruction: Option<Instruction<'a>>,
    handler: Option<BinfmtHandler<'a>>,
    message: String,
    #[serde(flatten)]
    owner: Owner<'a>,
}

pub(crate) fn event(value: &NodeEvent) -> Event<'_> {
    let common = Event {
        node: &value.node,
        time: utc(value.record.time()),
        kind: value.record.kind(),
        cluster: &value.cluster,
        message: sentence(value),
        ..Event::default()
    };
    match &value.record {
        Record::Event(event) => Event {
            pid: Some(event.pid),
            comm: &event.comm,
            binary: &event.key.binary,
            arch: event.key.arch.to_string(),
            cause: event.key.cause.map(Cause::as_str),
            // An exec that succeeded has none.
            errno: event.key.cause.map(|_| event.errno),
            emulator: event.key.emulator.as_deref(),
            namespace: &value.identity.namespace,
            pod: &value.identity.pod,
            container: &value.identity.container,
            cgroup: &event.key.cgroup,
            path_resolved: event.key.path_resolved,
            // An older agent did not count.
            count: (event.count > 0).then_some(event.count),
            via: event.key.via.map(Via::as_str),
            instruction: event.instruction.as_ref().map(Instruction::from),
            owner: Owner::from(&value.identity),
            ..common
        },
        Record::Loss(loss) => Event {
            cause: Some(&loss.stage),
            count: Some(loss.count),
            since: Some(utc(loss.since)),
            until: Some(utc(loss.until)),
            ..common
        },
        Record::Handler(change) => Event {
            arch: change
                .handler
                .arch
                .map_or(String::new(), |arch| arch.to_string()),
            handler: Some(BinfmtHandler::from(&change.handler)),
            ..common
        },
    }
}

/// Numbers that people read as hexadecimal ones are texts: JSON's numbers have 53 bits in many
/// readers.
#[derive(Serialize)]
struct Instruction<'a> {
    origin: &'static str,
    code: i32,
    sender: Option<u32>,
    address: Option<String>,
    bytes: String,
    mnemonic: Option<&'a str>,
    extension: Option<&'a str>,
    cpu_has: Option<bool>,
    module: Option<&'a str>,
    offset: Option<String>,
}

impl<'a> From<&'a IllegalInstruction> for Instruction<'a> {
    fn from(instruction: &'a IllegalInstruction) -> Self {
        let IllegalInstruction {
            origin,
            code,
            sender,
            address,
            bytes,
            mnemonic,
            extension,
            cpu_has,
            module,
            offset,
        } = instruction;
        Self {
            origin: origin.as_str(),
            code: *code,
            sender: *sender,
            // Whoever else sends the signal names no instruction.
            address: (*origin == Origin::Cpu).then(|| format!("{address:#x}")),
            bytes: hex(bytes),
            mnemonic: mnemonic.as_deref(),
            extension: extension.as_deref(),
            cpu_has: *cpu_has,
            module: module.as_deref(),
            offset: offset.map(|offset| format!("{offset:#x}")),
        }
    }
}
