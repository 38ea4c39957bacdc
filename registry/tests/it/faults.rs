//! What a registry does that fails or means ill: no real one can be told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use archtrace_facts::registry::Trouble;
use serde_json::json;

use super::{ask, client, listed, trouble};

/// The heads of all requests, each line after the other.
type Heads = Arc<Mutex<Vec<String>>>;

/// Answers the n-th request by `answer`, which is given its head and the address.
fn server(
    answer: impl Fn(usize, &str, SocketAddr, &mut TcpStream) + Send + 'static,
) -> (SocketAddr, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    let heads = Heads::default();
    let noted = Arc::clone(&heads);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("clones"));
            // What comes by TLS is answered by closing.
            if reader
                .fill_buf()
                .is_ok_and(|bytes| bytes.first() == Some(&22))
            {
                continue;
            }
            let lines = reader.lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let head = head.join("\n");
            let count = {
                let mut noted = noted.lock().expect("locks");
                noted.push(head.clone());
                noted.len() - 1
            };
            answer(count, &head, address, &mut stream);
        }
    });
    (address, heads)
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

fn index() -> String {
    let digest = format!("sha256:{}", "a".repeat(64));
    let platform = json!({ "os": "linux", "architecture": "arm64" });
    json!({ "manifests": [{ "digest": digest, "platform": platform }] }).to_string()
}

fn count(heads: &Heads) -> usize {
    heads.lock().expect("locks").len()
}

#[test]
fn what_passes_is_tried_again_and_no_oftener_than_that() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (address, heads) = server(move |n, _, _, stream| match n {
            0 | 1 => say(stream, status, "Retry-After: 0\r\n", ""),
            _ => say(stream, "200 OK", "", &index()),
        });
        let told = ask(&client(), &format!("{address}/app:1"), "{}");
        assert_eq!(listed(told), (true, "linux/arm64".to_owned()), "{status}");
        assert_eq!(count(&heads), 3);
    }
    for (status, expected) in [
        ("429 Too Many Requests", Trouble::Busy),
        ("500 Internal Server Error", Trouble::Unavailable),
    ] {
        let (address, heads) = server(move |_, _, _, stream| say(stream, status, "", ""));
        let told = ask(&client(), &format!("{address}/app:1"), "{}");
        trouble(&told, expected, "");
        assert_eq!(count(&heads), 3, "{status}");
        // One that wants to be asked later is, another time.
        let (address, heads) = server(move |_, _, _, stream| {
            say(stream, status, "Retry-After: 3600\r\n", "");
        });
        let begun = Instant::now();
        let told = ask(&client(), &format!("{address}/app:1"), "{}");
        let after = told.as_ref().expect_err("no listing").retry_after();
        assert_eq!(after.map(|after| after.as_secs()), Some(3600), "{status}");
        assert_eq!(count(&heads), 1, "{status}");
        assert!(begun.elapsed().as_secs() < 60);
    }
    // What will not pass is asked once.
    let (address, heads) = server(|_, _, _, stream| say(stream, "418 I'm a teapot", "", ""));
    let told = ask(&client(), &format!("{address}/app:1"), "{}");
    trouble(&told, Trouble::Invalid, "status 418");
    assert_eq!(count(&heads), 1);
}

#[test]
fn answers_are_bounded_and_have_to_make_sense() {
    let large = || format!("{{\"x\": \"{}\"}}", "y".repeat(5 << 20));
    let many = |count: usize, platform: fn(usize) -> String| {
        let digest = format!("sha256:{}", "a".repeat(64));
        let manifests: Vec<_> = (0..count)
            .map(|i| {
                let platform = json!({ "os": "linux", "architecture": platform(i) });
                json!({ "digest": digest, "platform": platform })
            })
            .collect();
        json!({ "manifests": manifests }).to_string()
    };
    let odd = json!({ "config": { "digest": "sha256:../../etc/passwd" } }).to_string();
    for (body, part) in [
        (large(), "more than 4 MiB"),
        ("no JSON".to_owned(), "no JSON (line 1, column 2)"),
        (
            format!("\"{}\"", "y".repeat(3 << 20)),
            "JSON of another form",
        ),
        ("{}".to_owned(), "neither an index nor a manifest"),
        (odd, "a digest in a manifest is none by sha256"),
        (
            many(1001, |_| "arm64".to_owned()),
            "more than 1,000 manifests",
        ),
        (many(101, |i| format!("a{i}")), "more than 100 platforms"),
    ] {
        let (address, _) = server(move |_, _, _, stream| say(stream, "200 OK", "", &body));
        let told = ask(&client(), &format!("{address}/app:1"), "{}");
        trouble(&told, Trouble::Invalid, part);
    }
    // Something else than what was asked for by its digest.
    let (address, _) = server(|_, _, _, stream| say(stream, "200 OK", "", &index()));
    let digest = format!("sha256:{}", "b".repeat(64));
    let told = ask(&client(), &format!("{address}/app@{digest}"), "{}");
    trouble(&told, Trouble::Invalid, "another digest");
}

#[test]
fn redirects_are_bounded_and_get_no_password() {
    let (address, heads) = server(|_, _, address, stream| {
        let place = format!("Location: http://{address}/again\r\n");
        say(stream, "307 Temporary Redirect", &place, "");
    });
    let told = ask(&client(), &format!("{address}/app:1"), "{}");
    trouble(&told, Trouble::Invalid, "more than five redirects");
    assert_eq!(count(&heads), 6);

    let (store, seen) = server(|_, _, _, stream| say(stream, "200 OK", "", &index()));
    let (address, heads) = server(move |_, head, _, stream| {
        if !head.contains("authorization: Basic") {
            return say(
                stream,
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=x\r\n",
                "",
            );
        }
        let place = format!("Location: http://{store}/x?signature=s3cret\r\n");
        say(stream, "302 Found", &place, "");
    });
    let config = json!({ "auths": { address.to_string(): { "username": "a", "password": "b" } } });
    let told = ask(&client(), &format!("{address}/app:1"), &config.to_string());
    assert_eq!(listed(told), (true, "linux/arm64".to_owned()));
    assert!(heads.lock().expect("locks")[1].contains("authorization: Basic YTpi"));
    let seen = seen.lock().expect("locks");
    assert!(seen[0].starts_with("GET /x?signature=s3cret"), "{seen:?}");
    assert!(!seen[0].contains("authorization"), "{seen:?}");

    // Out of this machine without TLS, and without saying the rest of the place.
    let (address, _) = server(|_, _, _, stream| {
        let place = "Location: http://elsewhere.example/x?signature=s3cret\r\n";
        say(stream, "302 Found", place, "");
    });
    let told = ask(&client(), &format!("{address}/app:1"), "{}");
    trouble(
        &told,
        Trouble::Invalid,
        "it leads to elsewhere.example without TLS",
    );
    assert!(!format!("{told:?}").contains("s3cret"), "{told:?}");
}

#[test]
fn a_password_is_sent_to_nobody_without_tls() {
    let (address, heads) = server(|_, _, _, stream| {
        let header = "WWW-Authenticate: Bearer realm=\"http://elsewhere.example/token\"\r\n";
        say(stream, "401 Unauthorized", header, "");
    });
    let config = json!({ "auths": { address.to_string(): { "username": "a", "password": "b" } } });
    let told = ask(&client(), &format!("{address}/app:1"), &config.to_string());
    trouble(&told, Trouble::Invalid, "elsewhere.example without TLS");
    assert_eq!(count(&heads), 1);
}

#[test]
fn nobody_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let told = ask(&client(), &format!("{address}/app:1"), "{}");
    trouble(
        &told,
        Trouble::Unreachable,
        &format!("cannot reach {address}"),
    );
}
