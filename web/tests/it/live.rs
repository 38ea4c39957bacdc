//! Events as they come in.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::fleet::{HOSTILE, event};
use crate::http::{begin, get};
use crate::server::Server;

/// The next event of a stream; what is there only as a sign of life is left out.
async fn next(body: &mut Incoming, text: &mut String) -> Value {
    loop {
        while let Some((message, rest)) = text.split_once("\n\n") {
            let data = message.lines().find_map(|line| line.strip_prefix("data: "));
            let data = data.map(|data| serde_json::from_str(data).expect("JSON"));
            *text = rest.to_owned();
            if let Some(data) = data {
                return data;
            }
        }
        let frame = timeout(Duration::from_secs(60), body.frame()).await;
        let frame = frame
            .expect("in time")
            .expect("it goes on")
            .expect("no error");
        let data = frame.into_data().expect("data");
        text.push_str(std::str::from_utf8(&data).expect("text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_as_they_come_in() {
    let server = Server::start().await;
    let response = begin(server.address, get("/events/live?kind=emulated_exec")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut body, mut text) = (response.into_body(), String::new());
    // What happened a moment before the stream began, so that nothing is between it and the page.
    let first = next(&mut body, &mut text).await;
    assert_eq!(first["binary"], HOSTILE);
    server.tell(vec![event("/bin/new")]).await;
    let told = next(&mut body, &mut text).await;
    assert_eq!(told["binary"], "/bin/new");
    assert_eq!(told["kind"], "emulated_exec");
    assert_eq!(told["node"], "ip-10-0-0-0.internal");
    let link = told["place_link"].as_str().expect("a link");
    assert!(link.contains("name=Deployment%2Fservice-3"), "{link}");
    assert_ne!(first["key"], told["key"]);
}
