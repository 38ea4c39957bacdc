//! Questions to a collector, by a release's protocol, and their answers.

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Map, Value, json};
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::Endpoint;

use crate::raw::{Raw, method};
use crate::reduce::decode;

/// Largest answer, in bytes.
const ANSWER: usize = 64 << 20;

/// Fields that are about the collector at this moment, or mean something to it only.
const OF_THE_MOMENT: [&str; 8] = [
    "authenticated",
    "heartbeatInterval",
    "nextPageToken",
    "refusals",
    "startedAt",
    "store",
    "storeBytes",
    "version",
];

/// Every question that can be asked of a store, by name: the method, and what is asked for.
fn questions() -> [(&'static str, &'static str, Value); 12] {
    let filter = |filter: &str| json!({ "filter": filter });
    let by = |dimensions: &[&str]| json!({ "groupBy": dimensions });
    [
        (
            "facts",
            "ListFacts",
            json!({ "history": true, "pageSize": 10_000 }),
        ),
        ("facts, kept", "ListFacts", json!({ "pageSize": 10_000 })),
        (
            "facts, emulated",
            "ListFacts",
            json!({ "selection": filter("mode = emulated AND namespace != \"kube-system\"") }),
        ),
        (
            "sums",
            "SummarizeFacts",
            by(&["DIMENSION_NODE", "DIMENSION_MODE"]),
        ),
        (
            "sums by workload",
            "SummarizeFacts",
            by(&[
                "DIMENSION_NAMESPACE",
                "DIMENSION_WORKLOAD",
                "DIMENSION_ARCH",
            ]),
        ),
        (
            "sums by image",
            "SummarizeFacts",
            by(&["DIMENSION_CLUSTER", "DIMENSION_IMAGE"]),
        ),
        ("events", "ListEvents", json!({ "pageSize": 10_000 })),
        (
            "losses",
            "ListEvents",
            json!({ "kinds": ["loss"], "pageSize": 10_000 }),
        ),
        (
            "events as they happened",
            "StreamEvents",
            json!({ "since": "1970-01-01T00:00:00Z" }),
        ),
        ("nodes", "ListNodes", json!({ "pageSize": 10_000 })),
        ("images", "ListImages", json!({ "pageSize": 10_000 })),
        ("status", "GetServerStatus", json!({})),
    ]
}

/// Asks the collector at `url` everything, and returns what a program with this protocol sees of the answers.
///
/// # Errors
/// If it does not answer, or nonsense.
pub async fn all(protocol: &DescriptorPool, url: &str) -> Result<Value> {
    let channel = Endpoint::from_shared(url.to_owned())?.connect().await;
    let channel = channel.with_context(|| format!("connect to {url}"))?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(ANSWER);
    let mut answers = Map::new();
    for (name, rpc, request) in questions() {
        let path = format!("/archtrace.v1.Query/{rpc}");
        let method = method(protocol, &path).with_context(|| format!("there is no {rpc}"))?;
        let request = DynamicMessage::deserialize(method.input(), request)
            .with_context(|| format!("a {rpc} of {name}"))?;
        let request = Request::new(Bytes::from(request.encode_to_vec()));
        grpc.ready().await.context("connect")?;
        // One answer is a stream of one.
        let messages = grpc.server_streaming(request, PathAndQuery::try_from(path)?, Raw);
        let mut messages = messages.await.context(name)?.into_inner();
        let mut answer = Vec::new();
        while let Some(message) = messages.message().await.context(name)? {
            let message = decode(&method.output(), &message).context(name)?;
            let mut message = serde_json::to_value(message)?;
            drop_what_is_of_the_moment(&mut message);
            answer.push(message);
        }
        answers.insert(name.to_owned(), answer.into());
    }
    Ok(Value::Object(answers))
}

fn drop_what_is_of_the_moment(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
    }
}
