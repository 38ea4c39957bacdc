//! The questions, asked by gRPC: what each row of the answer should be shown as.

use std::time::{Duration, SystemTime};

use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use super::super::support::{Collector, ago};
use super::told::Told;

pub(super) type Rows = Vec<Vec<Told>>;

/// Somebody who asks by gRPC.
pub(super) struct Asker {
    runtime: Runtime,
    client: QueryClient<Channel>,
}

/// Asks a question of the generated client, and waits for the answer.
macro_rules! ask {
    ($asker:expr, $question:ident, $request:expr) => {{
        let Asker { runtime, client } = $asker;
        let answer = runtime.block_on(client.$question($request));
        answer.expect("answers").into_inner()
    }};
}

fn text(text: impl Into<String>) -> Told {
    Told::Text(text.into())
}

fn time(time: Option<impl TryInto<SystemTime>>) -> Told {
    let time = time.map(|time| time.try_into().ok().expect("a time"));
    Told::Time(time)
}

fn word(name: &str, prefix: &str) -> Told {
    Told::Text(name.trim_start_matches(prefix).to_lowercase())
}

fn of_fact(told: v1::NodeFact, emulator: bool) -> Vec<Told> {
    let fact = told.fact.expect("always");
    let key = fact.key.expect("always");
    let identity = told.identity.unwrap_or_default();
    let mode = word(key.mode().as_str_name(), "EXECUTION_MODE_");
    vec![
        text(told.node),
        text(identity.image),
        text(key.binary),
        text(key.arch),
        if emulator { text(key.emulator) } else { mode },
        Told::Number(fact.count),
        Told::Number(fact.processes),
        time(fact.last_seen),
        Told::Nanos(fact.cpu_nanoseconds),
    ]
}

pub(super) fn emulated(asker: &mut Asker) -> Rows {
    let filter = v1::Filter {
        modes: vec![v1::ExecutionMode::Emulated.into()],
        since: Some(ago(24).into()),
        ..v1::Filter::default()
    };
    let request = v1::ListFactsRequest {
        selection: Some(v1::Selection {
            allow: vec![filter],
            ..v1::Selection::default()
        }),
        ..v1::ListFactsRequest::default()
    };
    let facts = ask!(asker, list_facts, request).facts;
    facts.into_iter().map(|fact| of_fact(fact, true)).collect()
}

pub(super) fn facts(asker: &mut Asker) -> Rows {
    let facts = ask!(asker, list_facts, v1::ListFactsRequest::default()).facts;
    let row = |fact| {
        let mut row = of_fact(fact, false);
        // Tables tell CPU time of emulation only.
        row.pop();
        row
    };
    facts.into_iter().map(row).collect()
}

pub(super) fn events(asker: &mut Asker) -> Rows {
    let events = ask!(asker, list_events, v1::ListEventsRequest::default()).events;
    let row = |told: v1::NodeEvent| match told.record {
        Some(v1::node_event::Record::Event(event)) => {
            let kind = word(event.kind().as_str_name(), "EVENT_KIND_");
            let key = event.key.expect("always");
            let (pid, comm, at) = (
                text(event.pid.to_string()),
                text(event.comm),
                time(event.time),
            );
            let (binary, arch) = (text(key.binary), text(key.arch));
            vec![text(told.node), kind, comm, binary, arch, at, pid]
        }
        Some(v1::node_event::Record::Loss(loss)) => {
            let nothing = || text("");
            let at = time(loss.until);
            vec![
                text(told.node),
                text("loss"),
                nothing(),
                nothing(),
                nothing(),
                at,
                nothing(),
            ]
        }
        other => panic!("there is no {other:?}"),
    };
    events.into_iter().map(row).collect()
}

pub(super) fn findings(asker: &mut Asker) -> Rows {
    let findings = ask!(asker, list_findings, v1::ListFindingsRequest::default()).findings;
    let row = |told: v1::Finding| {
        vec![
            text(told.severity),
            text(told.id),
            text(told.binary),
            text(told.arch),
            Told::Number(told.nodes),
            Told::Number(told.processes),
            time(told.last_seen),
        ]
    };
    findings.into_iter().map(row).collect()
}

pub(super) fn images(asker: &mut Asker) -> Rows {
    let images = ask!(asker, list_images, v1::ListImagesRequest::default()).images;
    let row = |told: v1::FleetImage| {
        let image = told.image.expect("always");
        vec![
            text(&image.names[0]),
            text(image.arch),
            time(told.last_seen),
        ]
    };
    images.into_iter().map(row).collect()
}

pub(super) fn nodes(asker: &mut Asker) -> Rows {
    let nodes = ask!(asker, list_nodes, v1::ListNodesRequest::default()).nodes;
    let row = |told: v1::NodeStatus| {
        let state = word(told.state().as_str_name(), "NODE_STATE_");
        let info = told.info.expect("always");
        let preflight = told.preflight.unwrap_or_default();
        vec![
            text(info.name),
            state,
            text(info.arch),
            text(info.kernel_release),
            Told::Number(preflight.handlers.len() as u64),
            Told::Number(preflight.uncovered.len() as u64),
            Told::Number(told.facts),
            Told::Number(told.emulated_facts),
            Told::Number(told.failed_facts),
            Told::Number(told.emulated_processes),
        ]
    };
    nodes.into_iter().map(row).collect()
}

pub(super) fn summary(asker: &mut Asker) -> Rows {
    let by = [v1::Dimension::Node, v1::Dimension::Mode];
    let request = v1::SummarizeFactsRequest {
        group_by: by.map(Into::into).into(),
        ..v1::SummarizeFactsRequest::default()
    };
    let rows = ask!(asker, summarize_facts, request).rows;
    let row = |told: v1::SummaryRow| {
        let [node, mode] = <[String; 2]>::try_from(told.values).expect("two");
        vec![
            text(node),
            text(mode),
            Told::Number(told.facts),
            Told::Number(told.nodes),
            Told::Number(told.pods),
            Told::Number(told.processes),
            Told::Number(told.count),
            Told::Nanos(told.cpu_nanoseconds),
        ]
    };
    rows.into_iter().map(row).collect()
}

pub(super) fn status(asker: &mut Asker) -> Rows {
    let told = ask!(asker, get_server_status, v1::GetServerStatusRequest {});
    let policy = told.policy.expect("there is a policy");
    vec![vec![
        text(told.version),
        Told::Number(told.nodes_reporting),
        Told::Number(told.nodes_stale),
        Told::Number(told.coverage.expect("always").unknown),
        Told::Number(told.facts),
        Told::Number(told.emulated_facts),
        Told::Number(told.failed_facts),
        Told::Number(told.events),
        Told::Number(told.unexplained_gap),
        time(told.started_at),
        Told::Number(policy.agents),
        text(policy.source),
        time(policy.loaded_at),
    ]]
}

/// With the prices and the slowdown that the command is given.
pub(super) fn cost(asker: &mut Asker) -> Rows {
    let by = [v1::CostDimension::Namespace, v1::CostDimension::Workload];
    let price = v1::MachinePrice {
        instance_type: "m7g.large".to_owned(),
        per_hour: Some(v1::Money {
            units: 7200,
            nanos: 0,
        }),
        cpus: 2,
    };
    let request = v1::GetCostRequest {
        group_by: by.map(Into::into).into(),
        prices: Some(v1::PriceTable {
            currency: "EUR".to_owned(),
            machines: vec![price],
        }),
        slowdown_thousandths: 4000,
        ..v1::GetCostRequest::default()
    };
    let told = ask!(asker, get_cost, request);
    assert_eq!(told.currency, "EUR");
    let row = |row: v1::CostRow| {
        let [namespace, workload] = <[String; 2]>::try_from(row.values).expect("two");
        let bill = row.bill.expect("there are prices");
        let machines = bill.machine_time.expect("always");
        let machines = Duration::try_from(machines).expect("a time").as_nanos();
        let machines = match bill.cost {
            Some(_) => Told::Nanos(u64::try_from(machines).expect("some hours")),
            // Nothing has a price.
            None => Told::Money(None),
        };
        vec![
            text(namespace),
            text(workload),
            Told::Nanos(row.cpu_nanoseconds),
            Told::Nanos(row.avoidable_cpu_nanoseconds.expect("there is a slowdown")),
            machines,
            Told::Nanos(bill.unpriced_cpu_nanoseconds),
            Told::Money(bill.cost),
            Told::Money(bill.avoidable_cost),
        ]
    };
    told.rows.into_iter().map(row).collect()
}

pub(super) fn coverage(asker: &mut Asker) -> Rows {
    let rows = ask!(asker, get_coverage, v1::GetCoverageRequest::default()).rows;
    let row = |told: v1::AgentCoverage| {
        vec![
            text(told.agent),
            text(told.cluster),
            text(told.node),
            text(told.node_arch),
            text(told.status),
            text(told.workload),
            text(told.binary),
            text(told.image),
            time(told.seen),
            text(told.reason),
        ]
    };
    rows.into_iter().map(row).collect()
}

pub(super) fn matrix(asker: &mut Asker) -> Rows {
    let workloads = ask!(asker, get_matrix, v1::GetMatrixRequest::default()).workloads;
    let mut rows = Vec::new();
    for told in workloads {
        rows.extend(told.rows.into_iter().map(|row| {
            let such_as = row.evidence.first().map(|evidence| evidence.what.clone());
            vec![
                text(&told.namespace),
                text(row.layer),
                text(row.component),
                text(row.status),
                text(row.why),
                text(such_as.unwrap_or_default()),
            ]
        }));
    }
    rows
}

fn verified(asker: &mut Asker) -> v1::VerifyPodsResponse {
    let request = v1::VerifyPodsRequest {
        namespace: "pay".to_owned(),
        arch: "amd64".to_owned(),
        ..v1::VerifyPodsRequest::default()
    };
    let mut stream = ask!(asker, verify_pods, request);
    let answer = asker.runtime.block_on(stream.message());
    let answer = answer.expect("no error").expect("an answer");
    assert!(answer.ended, "nothing is waited for");
    let end = asker.runtime.block_on(stream.message());
    assert_eq!(end.expect("no error"), None);
    answer
}

/// What is not native.
pub(super) fn not_native(asker: &mut Asker) -> Rows {
    let row = |told: v1::NotNative| {
        let fact = told.fact.expect("always");
        let key = fact.fact.expect("always").key.expect("always");
        let mode = word(key.mode().as_str_name(), "EXECUTION_MODE_");
        let why = match &*told.why {
            "emulated" => format!("by {}", key.emulator),
            "failed" => key.cause().as_str_name().to_lowercase(),
            other => panic!("there is no {other}"),
        };
        let why = why.trim_start_matches("failure_cause_").to_owned();
        vec![
            text(fact.node),
            text(key.binary),
            text(key.arch),
            mode,
            text(why),
        ]
    };
    verified(asker).not_native.into_iter().map(row).collect()
}

/// What died: a message, and the line that it is.
pub(super) fn died(asker: &mut Asker) -> Rows {
    let row = |told: v1::NodeEvent| {
        let Some(v1::node_event::Record::Event(event)) = told.record else {
            panic!("only events die");
        };
        let key = event.key.expect("always");
        let mode = word(key.mode().as_str_name(), "EXECUTION_MODE_");
        vec![
            text(told.node),
            text(key.binary),
            text(key.arch),
            mode,
            time(event.time),
        ]
    };
    verified(asker).died.into_iter().map(row).collect()
}

/// The answer itself, and how many pods it is about.
pub(super) fn verdict(asker: &mut Asker) -> Rows {
    let told = verified(asker);
    vec![vec![
        text(told.verdict),
        Told::Number(told.native_pods),
        Told::Number(told.pods),
    ]]
}

impl Asker {
    pub(super) fn of(collector: &Collector) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let endpoint = Endpoint::from_shared(collector.url()).expect("a URL");
        let channel = runtime.block_on(endpoint.connect()).expect("connects");
        Self {
            runtime,
            client: QueryClient::new(channel),
        }
    }
}
