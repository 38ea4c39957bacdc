//! A real browser without a window, driven over WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::http::{ask, request};

/// Names the driver to tests; `cargo xtask test` sets it.
const VARIABLE: &str = "ARCHTRACE_CHROMEDRIVER";

/// Where Debian's package `chromium-driver` has it, and `chromium` the browser.
const DRIVER: &str = "/usr/bin/chromedriver";
const BROWSER: &str = "/usr/bin/chromium";

/// A page on a screen that nobody sees.
pub(crate) struct Browser {
    address: SocketAddr,
    session: String,
    // Dropped in this order, when the browser has ended.
    _driver: Child,
    _profile: tempfile::TempDir,
}

/// The driver, if there is one. In a pipeline there has to be.
fn driver() -> Option<PathBuf> {
    let set = std::env::var_os(VARIABLE).filter(|set| !set.is_empty());
    let path = set.map_or_else(|| DRIVER.into(), PathBuf::from);
    if path.is_file() && Path::new(BROWSER).is_file() {
        return Some(path);
    }
    let missing = "there is no Chromium with its driver here: run `cargo xtask setup --test`";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    eprintln!("warning: tests with a browser are LEFT OUT: {missing}");
    None
}

impl Browser {
    /// `None` where there is none, which was said.
    pub(crate) async fn start() -> Option<Self> {
        let driver = driver()?;
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port: u16 = loop {
            let line = lines
                .next_line()
                .await
                .expect("reads")
                .expect("says its port");
            let port = line.split_once("successfully on port ");
            if let Some((_, port)) = port {
                break port.trim_end_matches('.').parse().expect("a number");
            }
        };
        let mut browser = Self {
            address: ([127, 0, 0, 1], port).into(),
            session: String::new(),
            _driver: child,
            _profile: profile,
        };
        browser.open().await;
        Some(browser)
    }

    async fn open(&mut self) {
        let data = format!("--user-data-dir={}", self._profile.path().display());
        // Root has no sandbox, and nothing but these pages is looked at; nor is anything asked of others.
        let options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &data,
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": BROWSER, "args": options },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let told = self.send(Method::POST, "/session", &capabilities).await;
        self.session = told["sessionId"].as_str().expect("a session").to_owned();
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let body = if method == Method::POST {
            body.to_string()
        } else {
            String::new()
        };
        let mut asked = request(method, path, &body);
        let json = "application/json".parse().expect("a header");
        asked.headers_mut().insert("content-type", json);
        let answer = ask(self.address, asked).await;
        assert!(answer.status.is_success(), "{path} {body}: {}", answer.text);
        let mut told: Value = serde_json::from_str(&answer.text).expect("JSON");
        told["value"].take()
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.send(Method::POST, &path, &body).await
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post("execute/sync", body).await
    }

    /// Presses a key, in the words of WebDriver: a character, or one of its private ones.
    pub(crate) async fn press(&self, key: &str) {
        let actions = [
            json!({ "type": "keyDown", "value": key }),
            json!({ "type": "keyUp", "value": key }),
        ];
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    /// The size of what is seen.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.browser("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// `dark` or `light`.
    pub(crate) async fn colours(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.browser(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await;
    }

    async fn browser(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.post("goog/cdp/execute", body).await
    }

    /// What the browser complained of since it was last asked.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let told = self.post("se/log", json!({ "type": "browser" })).await;
        let told = told.as_array().expect("a list");
        told.iter().map(|one| one["message"].to_string()).collect()
    }

    /// A picture of the whole page, if somebody wants to look at it: ARCHTRACE_SCREENSHOTS names a
    /// directory.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(dir) = std::env::var_os("ARCHTRACE_SCREENSHOTS") else {
            return;
        };
        let params = json!({ "captureBeyondViewport": true });
        let told = self.browser("Page.captureScreenshot", params).await;
        let text = told["data"].as_str().expect("base64");
        let path = Path::new(&dir).join(format!("{name}.png"));
        std::fs::write(path, decode(text)).expect("writes");
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.run(script).await != Value::Bool(true) {
            let text = "return document.body.innerText";
            if tokio::time::Instant::now() > deadline {
                panic!("never {what}: {}", self.run(text).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The driver ends the browser when it is told to, and only then. Also where a test has failed.
impl Drop for Browser {
    fn drop(&mut self) {
        let end = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let path = format!("/session/{}", self.session);
            write!(
                stream,
                "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )?;
            // It answers when the browser has ended.
            stream.read_to_end(&mut Vec::new())
        };
        if let Err(error) = end() {
            eprintln!("warning: the browser may still run: {error}");
        }
    }
}

/// Base64 (RFC 4648, 4).
fn decode(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for six in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}
