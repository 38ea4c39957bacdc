//! A real registry that wants a token, and one who gives them to those with a password.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use archtrace_distribution::{Access, PASSWORD, Registry, USER};
use archtrace_facts::registry::Trouble;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use super::{ask, client, listed, trouble};

/// What tokens are signed with.
struct Signer {
    key: EncodingKey,
    certificate: rcgen::Certificate,
}

impl Signer {
    fn new() -> Self {
        let pair = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["issuer.test".to_owned()]).expect("names");
        Self {
            certificate: params.self_signed(&pair).expect("a certificate"),
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
        }
    }

    /// A token that lets its holder do this with one repository.
    fn token(&self, repository: &str, actions: &[&str]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("now")
            .as_secs();
        let der = base64(self.certificate.der());
        let header = Header {
            x5c: Some(vec![der]),
            ..Header::new(Algorithm::ES256)
        };
        let claims = json!({
            "iss": "issuer-of-a-test", "sub": USER, "aud": "registry-of-a-test",
            "exp": now + 300, "nbf": now - 10, "iat": now, "jti": "1",
            "access": [{ "type": "repository", "name": repository, "actions": actions }],
        });
        jsonwebtoken::encode(&header, &claims, &self.key).expect("a token")
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for i in 0..4 {
            let six = usize::try_from(number >> (18 - 6 * i) & 63).expect("six bits");
            text.push(if i <= chunk.len() {
                char::from(LETTERS[six])
            } else {
                '='
            });
        }
    }
    text
}

/// Gives tokens for what they ask to those with the password, and notes what they asked.
fn issuer(signer: Arc<Signer>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("clones")).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let Some(first) = head.first() else { continue };
            noted.lock().expect("locks").push(first.clone());
            // printf archtrace:s3cret-of-a-test | base64
            let right = "authorization: Basic YXJjaHRyYWNlOnMzY3JldC1vZi1hLXRlc3Q=";
            let (status, body) = if head.iter().any(|line| line == right) {
                let token = signer.token("team/app", &["pull"]);
                (
                    "200 OK",
                    json!({ "token": token, "expires_in": 300 }).to_string(),
                )
            } else {
                ("401 Unauthorized", String::new())
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

#[test]
fn a_token_is_got_for_a_password() {
    let signer = Arc::new(Signer::new());
    let (issuer, asked) = issuer(Arc::clone(&signer));
    let access = Access::Token {
        realm: format!("http://{issuer}/token"),
        roots: signer.certificate.pem(),
    };
    let Some(mut registry) = Registry::start(&access) else {
        return;
    };
    let token = signer.token("team/app", &["pull", "push"]);
    registry.authorize(&format!("Bearer {token}"));
    registry.index("team/app", "1", &[("linux", "amd64"), ("linux", "arm64")]);
    let (host, client) = (registry.host(), client());
    let config = |password: &str| {
        json!({ "auths": { &*host: { "username": USER, "password": password } } }).to_string()
    };
    let told = ask(&client, &format!("{host}/team/app:1"), &config(PASSWORD));
    assert_eq!(listed(told), (true, "linux/amd64, linux/arm64".to_owned()));
    let first = asked.lock().expect("locks").first().cloned();
    assert_eq!(
        first.as_deref(),
        Some("GET /token?service=registry-of-a-test&scope=repository%3Ateam%2Fapp%3Apull HTTP/1.1")
    );
    // The issuer does not give one.
    let told = ask(&client, &format!("{host}/team/app:1"), &config("wr0ng"));
    trouble(&told, Trouble::Denied, "is not let in there");
    let told = ask(&client, &format!("{host}/team/app:1"), "{}");
    trouble(&told, Trouble::Denied, "has nothing for it");
    // It gives one that is for something else.
    let told = ask(&client, &format!("{host}/team/other:1"), &config(PASSWORD));
    trouble(&told, Trouble::Denied, "no such repository");
}
