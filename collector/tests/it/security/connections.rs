//! Connections that speak something else, and messages that are not what they say.

use std::net::SocketAddr;
use std::time::Duration;

use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use archtrace_proto::v1::sync_request::Message as Request;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::bytes::Bytes;
use tonic::Code;
use tower::{Service as _, ServiceExt as _};

use super::peers::{Ca, Client, Files, collector, hello, until};
use crate::support::{Agent, Collector, channel};

/// What comes back until the other side closes, which it does in time.
async fn exchange(address: SocketAddr, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // It may close before it has read all.
    let _ = stream.write_all(said).await;
    let mut got = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut got));
    let read = reading.await.expect("the connection is closed");
    // A reset is a close too.
    drop(read);
    got
}

const HTTP1: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const CLIENT_HELLO: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3];

/// Bytes that mean nothing, the same in each run.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        u8::try_from(state >> 56).expect("eight bits")
    };
    (0..500).map(|_| next()).collect()
}

#[tokio::test]
async fn a_plaintext_port_says_what_it_is_not() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n")).await;
    let http1 = exchange(collector.address, HTTP1).await;
    assert!(http1.starts_with(b"HTTP/1.1 400"), "{http1:?}");
    assert_eq!(exchange(collector.address, CLIENT_HELLO).await, b"");
    for seed in 0..50 {
        exchange(collector.address, &noise(seed)).await;
    }
    // The beginning of HTTP/2, and then something else.
    for seed in 0..50 {
        let said = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), noise(seed)].concat();
        exchange(collector.address, &said).await;
    }
    let over_tls = Client::new(collector.address, &Ca::new().pem, None);
    over_tls.channel().await.expect_err("there is no TLS");

    let beat = Request::Heartbeat(v1::Heartbeat::default());
    agent.ask(beat).await.expect("the rest keeps working");
    let mut query = QueryClient::new(channel(&collector.url()).await);
    let status = query.get_server_status(v1::GetServerStatusRequest {}).await;
    let refusals = status.expect("an answer").into_inner().refusals;
    let count = |reason: &str| {
        let found = refusals.iter().find(|one| one.reason == reason);
        found.map_or(0, |one| one.count)
    };
    assert!(count("handshake") >= 2, "{refusals:?}");
    assert!(count("not_http2") >= 40, "{refusals:?}");
}

#[tokio::test]
async fn a_port_with_tls_refuses_the_rest() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    let collector = collector(files.options()).await;
    let http1 = exchange(collector.address, HTTP1).await;
    assert!(http1.starts_with(b"HTTP/1.1 400"), "{http1:?}");
    for seed in 0..20 {
        exchange(collector.address, &noise(seed)).await;
        exchange(collector.address, &[CLIENT_HELLO, &noise(seed)].concat()).await;
    }
    let url = format!("http://{}", collector.address);
    let plain = channel(&url).await;
    let plain = QueryClient::new(plain)
        .get_server_status(v1::GetServerStatusRequest {})
        .await;
    plain.expect_err("plaintext on a port with TLS");
    let agent = Client::new(collector.address, &ca.pem, Some(&ca.agent("n")));
    agent
        .report(&hello("n"))
        .await
        .expect("the rest keeps working");
    let reader = Client::new(collector.address, &ca.pem, Some(&ca.reader()));
    until("they are counted", async || {
        let refusals = reader.refusals().await;
        refusals
            .iter()
            .any(|(reason, count)| reason == "handshake" && *count >= 42)
    })
    .await;
}

/// Sends a body as it is to where agents report; what gRPC says at the end.
async fn sync_raw(collector: &Collector, body: Vec<u8>) -> Code {
    let mut channel = channel(&collector.url()).await;
    let body = tonic::body::Body::new(Full::new(Bytes::from(body)).map_err(|never| match never {}));
    let request = http::Request::post(format!("{}/archtrace.v1.AgentIngest/Sync", collector.url()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    let ready = channel.ready().await.expect("it is there");
    let answer = ready.call(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let trailers = body.collect().await.expect("an end").trailers().cloned();
    let status = head.headers.get("grpc-status").cloned();
    let status = status.or_else(|| trailers?.get("grpc-status").cloned());
    Code::from_bytes(status.expect("a status").as_bytes())
}

/// A message of gRPC that says it is that long.
fn framed(length: usize, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).expect("short enough");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn messages_that_are_not_what_they_say() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n")).await;
    let hello = v1::SyncRequest {
        message: Some(Request::Hello((&hello("m")).into())),
    };
    let good = hello.encode_to_vec();
    let whole = framed(good.len(), &good);
    let invalid = Code::InvalidArgument;
    for (what, body, code) in [
        ("nothing", Vec::new(), invalid),
        ("Hello and the end", whole.clone(), Code::Ok),
        ("an empty message", framed(0, &[]), invalid),
        ("a cut head", vec![0, 0, 0], Code::Internal),
        (
            "a cut message",
            framed(good.len() + 100, &good),
            Code::Internal,
        ),
        ("no protobuf", framed(4, &[255; 4]), Code::Internal),
        ("too large", framed((1 << 20) + 1, &[]), Code::OutOfRange),
        ("4 GB", framed(u32::MAX as usize, &[]), Code::OutOfRange),
        (
            "compressed by nothing",
            [&[1], &whole[1..]].concat(),
            Code::Internal,
        ),
        ("no flag", [&[7], &whole[1..]].concat(), Code::Internal),
        ("Hello twice", [&whole[..], &whole].concat(), invalid),
        (
            "noise after Hello",
            [whole, noise(1)].concat(),
            Code::Internal,
        ),
    ] {
        assert_eq!(sync_raw(&collector, body).await, code, "{what}");
    }
    let beat = Request::Heartbeat(v1::Heartbeat::default());
    agent.ask(beat).await.expect("the rest keeps working");
}
