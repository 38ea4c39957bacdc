//! Tables, JSON and gRPC say the same.

use std::time::Duration;

use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use super::answers::{objects, printed};
use super::support::Collector;

type Client = QueryClient<Channel>;

/// What identifies a row, as text: of the answer by gRPC.
type Ask = fn(&Runtime, &mut Client) -> Vec<Vec<String>>;

/// A command, what identifies a row in gRPC, and where that is in JSON.
const QUESTIONS: [(&[&str], Ask, &[&str]); 7] = [
    (
        &["facts"],
        facts,
        &["/node", "/binary", "/arch", "/mode", "/count"],
    ),
    (
        &["cost", "--by", "workload,node"],
        cost,
        &["/workload", "/node", "/cpu_seconds"],
    ),
    (&["events"], events, &["/node", "/kind", "/binary"]),
    (
        &["findings"],
        findings,
        &["/severity", "/finding", "/subject", "/binary"],
    ),
    (&["images"], images, &["/images/0", "/image_arch"]),
    (&["nodes"], nodes, &["/node", "/state", "/kernel_release"]),
    (&["summary", "--by", "mode"], summary, &["/mode", "/facts"]),
];

fn facts(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let answer = runtime.block_on(client.list_facts(v1::ListFactsRequest::default()));
    let facts = answer.expect("answers").into_inner().facts;
    let row = |told: v1::NodeFact| {
        let fact = told.fact.expect("always");
        let key = fact.key.expect("always");
        let mode = key.mode().as_str_name();
        let mode = mode.trim_start_matches("EXECUTION_MODE_").to_lowercase();
        vec![
            told.node,
            key.binary,
            key.arch,
            mode,
            fact.count.to_string(),
        ]
    };
    facts.into_iter().map(row).collect()
}

fn events(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let answer = runtime.block_on(client.list_events(v1::ListEventsRequest::default()));
    let events = answer.expect("answers").into_inner().events;
    let row = |told: v1::NodeEvent| match told.record {
        Some(v1::node_event::Record::Event(event)) => {
            let kind = event.kind().as_str_name();
            let kind = kind.trim_start_matches("EVENT_KIND_").to_lowercase();
            vec![told.node, kind, event.key.expect("always").binary]
        }
        Some(v1::node_event::Record::Loss(_)) => {
            vec![told.node, "loss".to_owned(), String::new()]
        }
        other => panic!("there is no {other:?}"),
    };
    events.into_iter().map(row).collect()
}

fn findings(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let answer = runtime.block_on(client.list_findings(v1::ListFindingsRequest::default()));
    let findings = answer.expect("answers").into_inner().findings;
    let row = |told: v1::Finding| vec![told.severity, told.id, told.subject, told.binary];
    findings.into_iter().map(row).collect()
}

fn images(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let answer = runtime.block_on(client.list_images(v1::ListImagesRequest::default()));
    let images = answer.expect("answers").into_inner().images;
    let row = |told: v1::FleetImage| {
        let image = told.image.expect("always");
        vec![image.names[0].clone(), image.arch]
    };
    images.into_iter().map(row).collect()
}

fn nodes(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let answer = runtime.block_on(client.list_nodes(v1::ListNodesRequest::default()));
    let nodes = answer.expect("answers").into_inner().nodes;
    let row = |told: v1::NodeStatus| {
        let state = told.state().as_str_name();
        let state = state.trim_start_matches("NODE_STATE_").to_lowercase();
        let info = told.info.expect("always");
        vec![info.name, state, info.kernel_release]
    };
    nodes.into_iter().map(row).collect()
}

fn summary(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let request = v1::SummarizeFactsRequest {
        group_by: vec![v1::Dimension::Mode.into()],
        ..v1::SummarizeFactsRequest::default()
    };
    let rows = runtime.block_on(client.summarize_facts(request));
    let rows = rows.expect("answers").into_inner().rows;
    let row = |told: v1::SummaryRow| vec![told.values[0].clone(), told.facts.to_string()];
    rows.into_iter().map(row).collect()
}

fn cost(runtime: &Runtime, client: &mut Client) -> Vec<Vec<String>> {
    let by = [v1::CostDimension::Workload, v1::CostDimension::Node];
    let request = v1::GetCostRequest {
        group_by: by.map(Into::into).into(),
        ..v1::GetCostRequest::default()
    };
    let rows = runtime.block_on(client.get_cost(request));
    let rows = rows.expect("answers").into_inner().rows;
    let row = |told: v1::CostRow| {
        let seconds = Duration::from_nanos(told.cpu_nanoseconds).as_secs_f64();
        [told.values, vec![seconds.to_string()]].concat()
    };
    rows.into_iter().map(row).collect()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn every_answer_is_the_same_in_each_form() {
    let collector = Collector::filled();
    let runtime = Runtime::new().expect("a runtime");
    let endpoint = Endpoint::from_shared(collector.url()).expect("a URL");
    let channel = runtime.block_on(endpoint.connect()).expect("connects");
    let mut client = QueryClient::new(channel);
    for (command, ask, pointers) in QUESTIONS {
        let mut told = ask(&runtime, &mut client);
        told.sort_unstable();
        assert!(!told.is_empty(), "{command:?}");
        let mut read: Vec<Vec<_>> = objects(&collector, command)
            .iter()
            .map(|object| {
                let values = pointers.iter().map(|pointer| object.pointer(pointer));
                values.map(|value| text(value.expect("a field"))).collect()
            })
            .collect();
        read.sort_unstable();
        assert_eq!(read, told, "{command:?}");
        let table = printed(&collector, command);
        // The head, and below sums for how many nodes they are.
        let rows: Vec<_> = table
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .collect();
        assert_eq!(rows.len(), told.len(), "{command:?}\n{table}");
        for row in &told {
            // 1234 is shown as 1,234.
            let has = |line: &&&str| {
                let line = line.replace(',', "");
                row.iter().all(|word| line.contains(word.as_str()))
            };
            assert!(rows.iter().any(|line| has(&line)), "{row:?} in\n{table}");
        }
    }
}
