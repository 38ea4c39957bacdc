//! An API server that answers what a test wants: a real one does not forbid, forget or break off on order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What it answers when it is asked to list or watch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// What a file holds.
    List(&'static str),
    /// Nothing, until somebody says [`Server::go`]; then what a file holds, and it stays open.
    Watch(&'static str),
    /// What a file holds, and the stream ends as streams do.
    Ended(&'static str),
    /// What a file holds, and half of a line; then the connection breaks off.
    Cut(&'static str),
    /// A watch of which nothing comes.
    Quiet,
    /// An error.
    Status(u16, &'static str),
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) accept: String,
}

#[derive(Default)]
struct State {
    /// By path; the last answer is given for ever.
    answers: HashMap<&'static str, VecDeque<Answer>>,
    asked: Vec<Asked>,
    /// Events by namespace and name, and how often each was written.
    events: BTreeMap<String, (Value, u32)>,
    /// What is answered to whoever writes Events, once each.
    refusals: VecDeque<(u16, &'static str)>,
}

/// The server.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    go: Arc<Notify>,
}

pub(crate) const PODS: &str = "/api/v1/pods";
pub(crate) const SETS: &str = "/apis/apps/v1/replicasets";
pub(crate) const JOBS: &str = "/apis/batch/v1/jobs";
pub(crate) const NODES: &str = "/api/v1/nodes";

impl Server {
    pub(crate) async fn start(answers: &[(&'static str, &[Answer])]) -> Self {
        Self::start_at("127.0.0.1:0", answers).await
    }

    pub(crate) async fn start_at(at: &str, answers: &[(&'static str, &[Answer])]) -> Self {
        let listener = TcpListener::bind(at).await.expect("a port");
        let answers = answers.iter();
        let state = State {
            answers: answers
                .map(|(path, answers)| (*path, answers.iter().copied().collect()))
                .collect(),
            ..State::default()
        };
        let server = Self {
            address: listener.local_addr().expect("bound").to_string(),
            state: Arc::new(Mutex::new(state)),
            go: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a watch that waits tell what it has.
    pub(crate) fn go(&self) {
        self.go.notify_one();
    }

    /// Whoever writes an Event next is refused so.
    pub(crate) fn refuse(&self, code: u16, reason: &'static str) {
        self.state().refusals.push_back((code, reason));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// What it was asked about one path.
    pub(crate) fn asked_of(&self, path: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.path == path);
        asked
    }

    /// Events by namespace and name, and how often each was written.
    pub(crate) fn events(&self) -> BTreeMap<String, (Value, u32)> {
        self.state().events.clone()
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (Vec::new(), 0_usize);
        let mut accept = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                match name.to_ascii_lowercase().as_str() {
                    "accept" => value.clone_into(&mut accept),
                    "content-length" => length = value.parse().expect("a number"),
                    _ => {}
                }
            }
            head.push(line.to_owned());
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let mut words = head[0].split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        self.state().asked.push(Asked {
            method: method.clone(),
            path: path.clone(),
            query,
            accept,
        });
        let stream = stream.into_inner();
        if method == "GET" {
            return self.read(stream, &path).await;
        }
        let body = serde_json::from_slice(&body).expect("JSON");
        let (code, answer) = self.write(&method, &path, body);
        respond(stream, code, &answer.to_string()).await;
    }

    fn next(&self, path: &str) -> Answer {
        let mut state = self.state();
        let Some(answers) = state.answers.get_mut(path) else {
            return Answer::Status(404, "NotFound");
        };
        if answers.len() > 1 {
            answers.pop_front().expect("more than one")
        } else {
            answers[0]
        }
    }

    async fn read(&self, mut stream: TcpStream, path: &str) {
        match self.next(path) {
            Answer::List(name) | Answer::Ended(name) => respond(stream, 200, &file(name)).await,
            Answer::Status(code, reason) => {
                respond(stream, code, &status(code, reason).to_string()).await;
            }
            Answer::Quiet => {
                chunk(&mut stream, "", true).await;
                std::future::pending::<()>().await;
            }
            Answer::Watch(name) => {
                chunk(&mut stream, "", true).await;
                self.go.notified().await;
                chunk(&mut stream, &file(name), false).await;
                std::future::pending::<()>().await;
            }
            Answer::Cut(name) => {
                let text = file(name) + "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Partial";
                chunk(&mut stream, &text, true).await;
            }
        }
    }

    /// As an API server keeps Events: one by each name.
    fn write(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let mut state = self.state();
        if let Some((code, reason)) = state.refusals.pop_front() {
            return (code, status(code, reason));
        }
        let (namespace, name) = path
            .strip_prefix("/api/v1/namespaces/")
            .and_then(|rest| rest.split_once("/events"))
            .expect("Events are all that is written");
        let named = body["metadata"]["name"].as_str();
        let name = named.unwrap_or_else(|| name.trim_start_matches('/'));
        let key = format!("{namespace}/{name}");
        let known = state.events.get_mut(&key);
        match (method, known) {
            ("POST", Some(_)) => (409, status(409, "AlreadyExists")),
            ("POST", None) => {
                state.events.insert(key, (body.clone(), 1));
                (201, body)
            }
            ("PATCH", None) => (404, status(404, "NotFound")),
            ("PATCH", Some((event, count))) => {
                for (field, value) in body.as_object().expect("an object") {
                    event[field] = value.clone();
                }
                *count += 1;
                (200, event.clone())
            }
            _ => (405, status(405, "MethodNotAllowed")),
        }
    }
}

/// All of it, and then the connection ends.
async fn respond(mut stream: TcpStream, code: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {code} Answer\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    );
    // Whoever asked may be gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

/// A part of a stream that goes on.
async fn chunk(stream: &mut TcpStream, text: &str, is_first: bool) {
    let mut told = String::new();
    if is_first {
        told.push_str(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
    }
    if !text.is_empty() {
        told.push_str(&format!("{:x}\r\n{text}\r\n", text.len()));
    }
    let _ = stream.write_all(told.as_bytes()).await;
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kubernetes")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("on order: {reason}"), "reason": reason, "code": code,
    })
}
