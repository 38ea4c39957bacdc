//! How long pages take: `cargo run --profile release-tests -p archtrace-web --example page -- [NODES]
//! [FACTS PER NODE] [stay]`. Prints figures; decides nothing. With `stay` it goes on serving, for people
//! to look at, until it is interrupted.

#[path = "../tests/it/fleet.rs"]
#[expect(dead_code, reason = "tests tell of more events")]
mod fleet;

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use archtrace_collector::serve::{self, Listeners, Settings};
use archtrace_collector::store::sqlite::SqliteStore;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

/// How often each page is asked for.
const TIMES: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).and_then(|text| text.parse().ok());
    let size = fleet::Size {
        nodes: number(0).unwrap_or(10_000),
        facts: number(1).unwrap_or(30),
    };
    let dir = tempfile::tempdir_in(".")?;
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path)?;
    let begun = Instant::now();
    fleet::fill(&store, size).await;
    println!("{size:?}: stored in {:?}", begun.elapsed());
    let listen = async || TcpListener::bind("127.0.0.1:0").await;
    let web = listen().await?;
    let address = web.local_addr()?;
    let grpc = listen().await?;
    let server = grpc.local_addr()?;
    let listeners = Listeners {
        grpc,
        web: Some(web),
    };
    let settings = Settings::new("sqlite:example".to_owned(), Duration::from_secs(600));
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve::serve(listeners, store, settings, shutdown.clone()));
    let begun = Instant::now();
    let (code, _) = get(address, "/").await?;
    println!(
        "the first page ({code}), facts being read: {:?}",
        begun.elapsed()
    );
    let node = format!("/node?cluster=prod&name={}", fleet::node_name(0));
    let workload = "/workload?cluster=prod&namespace=team-3&name=Deployment%2Fservice-3";
    for path in [
        "/",
        "/emulated",
        "/workloads",
        workload,
        "/nodes",
        &node,
        "/events",
    ] {
        let mut times = Vec::new();
        let mut told = (0, 0);
        for _ in 0..TIMES {
            let begun = Instant::now();
            told = get(address, path).await?;
            times.push(begun.elapsed());
        }
        times.sort();
        let (code, bytes) = told;
        println!(
            "{path}: {code}, {bytes} bytes, p50 {:?}, most {:?}",
            times[TIMES / 2],
            times[TIMES - 1]
        );
    }
    if args.iter().any(|arg| arg == "stay") {
        println!("http://{address}/ and archtrace --server http://{server}");
        tokio::signal::ctrl_c().await?;
    }
    shutdown.cancel();
    Ok(serving.await??)
}

async fn get(address: SocketAddr, path: &str) -> Result<(u16, usize), Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost");
    let request = request.body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let code = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((code, body.len()))
}
