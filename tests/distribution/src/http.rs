//! As little of HTTP as pushing takes: one request to a connection, to loopback.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) location: String,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    pub(crate) media_type: &'a str,
    /// Whole, such as `Basic …`; empty for none.
    pub(crate) authorization: &'a str,
    pub(crate) body: &'a [u8],
}

pub(crate) fn send(address: SocketAddr, asked: &Asked<'_>) -> std::io::Result<Reply> {
    let Asked {
        method,
        path,
        media_type,
        authorization,
        body,
    } = asked;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    if !authorization.is_empty() {
        head.push_str(&format!("Authorization: {authorization}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let mut lines = answer.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let location = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("location"));
    Ok(Reply {
        status: status.ok_or_else(|| std::io::Error::other("no answer in HTTP"))?,
        location: location.map_or(String::new(), |(_, value)| value.to_owned()),
    })
}
