//! The list of nodes from an API server that answers what a test wants: a real one does not forbid, forget
//! or break off on order. Written by hand in the format of its API; none was recorded from a cluster.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archtrace_collector::fleet::{List, kubernetes};
use archtrace_query::Expected as _;
use kube::{Client, Config};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What it answers.
#[derive(Clone)]
enum Answer {
    /// A list, in a page of these names; and what asks for the next one.
    List(&'static [&'static str], &'static str),
    /// A watch: these lines, and then it stays open until somebody cuts it.
    Watch(Vec<String>),
    /// A watch that ends after these.
    Ended(Vec<String>),
    /// An error.
    Status(u16, &'static str),
}

/// A server that gives each answer once, the last one for ever, and keeps what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Ends a watch that stays open.
    cut: Arc<Notify>,
}

impl Server {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let cut: Arc<Notify> = Arc::default();
        let cuts = Arc::clone(&cut);
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.next().expect("an answer");
                if answers.peek().is_none() {
                    answers = vec![answer.clone()].into_iter().peekable();
                }
                tokio::spawn(serve(stream, answer, Arc::clone(&log), Arc::clone(&cuts)));
            }
        });
        Self { url, asked, cut }
    }

    fn list(&self) -> List {
        let config = Config::new(self.url.parse().expect("a URL"));
        let client = Client::try_from(config).expect("a client");
        kubernetes::start(client, None, CancellationToken::new())
    }

    fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Answer,
    asked: Arc<Mutex<Vec<String>>>,
    cut: Arc<Notify>,
) {
    let mut lines = BufReader::new(&mut stream).lines();
    let mut head = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let accept = head
        .iter()
        .find(|line| line.to_lowercase().starts_with("accept:"));
    let asks = format!("{} {}", head[0], accept.map_or("", String::as_str));
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asks);
    let (status, body, stays) = match answer {
        Answer::List(names, more) => (200, list(names, more), false),
        Answer::Watch(lines) => (200, lines.concat(), true),
        Answer::Ended(lines) => (200, lines.concat(), false),
        Answer::Status(code, reason) => (code, status(code, reason), false),
    };
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    if stays {
        cut.notified().await;
    }
}

fn list(names: &[&str], more: &str) -> String {
    let items: Vec<_> = names.iter().map(|name| node(name, 7)).collect();
    format!(
        r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"10","continue":"{more}"}},"items":[{}]}}"#,
        items.join(",")
    )
}

fn node(name: &str, version: u32) -> String {
    format!(
        r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"{name}","uid":"6f2a5f0e-4c1c-4f5e-9d0e-{version:012}","resourceVersion":"{version}","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"kubernetes.io/arch":"arm64","node.kubernetes.io/instance-type":"m7g.{version}","topology.kubernetes.io/zone":"z"}}}}}}"#
    )
}

fn change(kind: &str, name: &str, version: u32) -> String {
    format!(
        "{{\"type\":\"{kind}\",\"object\":{}}}\n",
        node(name, version)
    )
}

fn bookmark(version: u32) -> String {
    format!(
        "{{\"type\":\"BOOKMARK\",\"object\":{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"resourceVersion\":\"{version}\",\"creationTimestamp\":null}}}}}}\n"
    )
}

fn status(code: u16, reason: &str) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"on order","reason":"{reason}","code":{code}}}"#
    )
}

fn gone() -> String {
    format!(
        "{{\"type\":\"ERROR\",\"object\":{}}}\n",
        status(410, "Expired")
    )
}

/// Source and names.
fn told(list: &List) -> (String, Option<String>) {
    let nodes = list.nodes();
    let names = nodes.nodes.as_ref().map(|nodes| {
        let names = nodes.iter().map(|node| node.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    });
    (nodes.source.clone(), names)
}

async fn until(list: &List, source: &str, names: Option<&str>) {
    let is_it = || {
        let (told_source, told_names) = told(list);
        told_source.starts_with(source) && told_names.as_deref() == names
    };
    let wanted = async {
        while !is_it() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), wanted)
        .await
        .is_err()
    {
        panic!("{:?} and never {source} {names:?}", told(list));
    }
}

#[tokio::test]
async fn nodes_are_listed_in_pages_and_watched() {
    let server = Server::start(vec![
        Answer::List(&["a", "b"], "next"),
        Answer::List(&["c"], ""),
        // It ends as watches do after some minutes, and goes on from the bookmark.
        Answer::Ended(vec![
            change("ADDED", "d", 11),
            change("MODIFIED", "a", 12),
            change("DELETED", "b", 13),
            bookmark(20),
        ]),
        Answer::Watch(vec![change("ADDED", "e", 21)]),
    ])
    .await;
    let list = server.list();
    assert!(told(&list).0.starts_with("seen ("));
    until(&list, "kubernetes", Some("a c d e")).await;
    let nodes = list.nodes();
    let machine = |node| nodes.machine("any", node);
    let kind = |node| machine(node).map(|machine| machine.instance_type.as_str());
    assert_eq!(kind("a"), Some("m7g.12"), "as it is since it changed");
    assert_eq!((kind("b"), kind("e")), (None, Some("m7g.21")));
    assert_eq!(machine("a").map(|machine| machine.zone.as_str()), Some("z"));
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.contains("PartialObjectMetadata")),
        "{asked:#?}"
    );
    assert!(asked[1].contains("continue=next"), "{asked:#?}");
    assert!(
        asked[2].contains("watch=true") && asked[2].contains("resourceVersion=10"),
        "{asked:#?}"
    );
    assert!(asked[2].contains("allowWatchBookmarks=true"), "{asked:#?}");
    assert!(asked[3].contains("resourceVersion=20"), "{asked:#?}");
}

#[tokio::test]
async fn a_watch_that_is_too_old_begins_again_with_a_list() {
    let server = Server::start(vec![
        Answer::List(&["a", "b"], ""),
        // Cut before it says anything.
        Answer::Watch(Vec::new()),
        Answer::Ended(vec![gone()]),
        // The list stays while the API has troubles.
        Answer::Status(500, "InternalError"),
        Answer::Status(503, "ServiceUnavailable"),
        Answer::List(&["b", "c"], ""),
        Answer::Watch(Vec::new()),
    ])
    .await;
    let list = server.list();
    until(&list, "kubernetes", Some("a b")).await;
    server.cut.notify_one();
    until(&list, "kubernetes", Some("b c")).await;
}

#[tokio::test]
async fn without_the_right_to_list_those_that_reported_are_all_and_rights_may_come() {
    let server = Server::start(vec![
        Answer::Status(403, "Forbidden"),
        Answer::Status(403, "Forbidden"),
        Answer::List(&["a"], ""),
        Answer::Watch(vec![change("ADDED", "b", 11)]),
        // It is taken away again.
        Answer::Status(403, "Forbidden"),
    ])
    .await;
    let list = server.list();
    until(
        &list,
        "seen (the Kubernetes API does not let us list nodes)",
        None,
    )
    .await;
    until(&list, "kubernetes", Some("a b")).await;
    server.cut.notify_one();
    until(
        &list,
        "seen (the Kubernetes API does not let us list nodes)",
        None,
    )
    .await;
}

#[tokio::test]
async fn nonsense_is_no_list() {
    let server = Server::start(vec![
        Answer::Ended(vec!["{}".to_owned()]),
        Answer::Ended(vec!["no JSON at all".to_owned()]),
        Answer::List(&["a"], ""),
        Answer::Ended(vec!["{\"type\":\"WHAT\"}\n".to_owned()]),
        Answer::Watch(vec![change("ADDED", "b", 11)]),
    ])
    .await;
    let list = server.list();
    until(&list, "kubernetes", Some("a b")).await;
}
