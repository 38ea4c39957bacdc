//! Questions to the collector, by way of the command-line program and its JSON.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Asks one collector.
#[derive(Clone, Debug)]
pub struct Client {
    /// The program `archtrace`.
    pub program: PathBuf,
    /// Such as `http://127.0.0.1:50061`.
    pub server: String,
    /// The agent's socket, to ask that instead.
    pub socket: Option<PathBuf>,
    /// Options besides, such as credentials.
    pub arguments: Vec<String>,
}

/// The fields of a fact that the cases look at.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace facts -o json` documents"
)]
pub struct Fact {
    pub node: String,
    pub node_arch: String,
    pub binary: String,
    pub arch: String,
    pub mode: String,
    pub emulator: Option<String>,
    pub cgroup: String,
    pub count: u64,
    pub processes: u64,
    pub cpu_seconds: f64,
    pub via: Option<String>,
    pub cause: Option<String>,
    #[serde(flatten)]
    pub owner: Owner,
}

/// Whose a fact or an event is. The texts are empty where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace facts -o json` documents"
)]
pub struct Owner {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    pub pod_uid: String,
    pub container_id: String,
    pub unit: String,
    pub image: String,
    pub image_id: String,
    pub image_arch: Option<String>,
    pub workload: String,
    pub restart_attempt: u32,
    pub last_exit_code: Option<i32>,
    pub last_exit_reason: Option<String>,
}

/// The fields of an image that the cases look at.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace images -o json` documents"
)]
pub struct Image {
    pub image_id: String,
    pub images: Vec<String>,
    pub image_arch: Option<String>,
    pub main_arch: Option<String>,
    pub audited: bool,
    pub foreign: Vec<ForeignFile>,
}

/// A file that is not for the platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace images -o json` documents"
)]
pub struct ForeignFile {
    pub path: String,
    pub arch: String,
    pub role: String,
}

/// The fields of an event, or of a loss among them, that the cases look at. The `cause` of a loss
/// is where something was lost.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace events -o json` documents"
)]
pub struct Event {
    pub time: String,
    pub kind: String,
    pub binary: String,
    pub arch: String,
    pub emulator: Option<String>,
    pub cgroup: String,
    pub cause: Option<String>,
    pub errno: Option<i32>,
    pub count: Option<u64>,
    pub via: Option<String>,
    pub message: Option<String>,
    pub instruction: Option<Instruction>,
    pub handler: Option<Handler>,
    #[serde(flatten)]
    pub owner: Owner,
}

/// What a process died of, as far as the cases look at it.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace events -o json` documents"
)]
pub struct Instruction {
    pub origin: String,
    pub sender: Option<u32>,
    /// Hexadecimal.
    pub bytes: Option<String>,
    pub mnemonic: Option<String>,
    pub extension: Option<String>,
    pub cpu_has: Option<bool>,
    pub module: Option<String>,
    /// Hexadecimal, after `0x`.
    pub offset: Option<String>,
}

/// A handler that came or went.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are those that `archtrace events -o json` documents"
)]
pub struct Handler {
    pub name: String,
    pub interpreter: String,
    pub flags: String,
    pub arch: Option<String>,
}

/// What came of a question, whatever its exit code says.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// What was printed: one object a line.
    pub objects: Vec<Value>,
    /// What was said on stderr.
    pub said: String,
}

impl Client {
    /// What `archtrace <arguments> -o json` prints: one object a line.
    ///
    /// # Errors
    /// If it fails, or prints anything else.
    pub fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let answer = self.answer(arguments)?;
        ensure!(
            answer.code == 0,
            "archtrace {} ended with {}: {}",
            arguments.join(" "),
            answer.code,
            answer.said.trim()
        );
        Ok(answer.objects)
    }

    /// The same, of a command that tells something by its exit code.
    ///
    /// # Errors
    /// If it is ended by a signal, or prints anything but objects.
    pub fn answer(&self, arguments: &[&str]) -> Result<Answer> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .args(["-o", "json", "--server", &self.server])
            .args(&self.arguments);
        if let Some(socket) = &self.socket {
            command.arg("--socket").arg(socket);
        }
        let output = command
            .output()
            .with_context(|| format!("start {}", self.program.display()))?;
        let question = arguments.join(" ");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        let code =
            code.with_context(|| format!("archtrace {question} ended with {}", output.status))?;
        let text = String::from_utf8(output.stdout)
            .with_context(|| format!("archtrace {question} printed no UTF-8"))?;
        let objects = text.lines().map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("archtrace {question} printed: {line}"))
        });
        Ok(Answer {
            code,
            objects: objects.collect::<Result<_>>()?,
            said,
        })
    }

    /// Every fact of `archtrace facts --history`, with further `arguments`: what ran in the cases may be
    /// gone by now.
    ///
    /// # Errors
    /// If a field is missing, or see [`Client::ask`].
    pub fn facts(&self, arguments: &[&str]) -> Result<Vec<Fact>> {
        parse(self.ask(&[&["facts", "--history"], arguments].concat())?)
    }

    /// Every image of `archtrace images`.
    ///
    /// # Errors
    /// If a field is missing, or see [`Client::ask`].
    pub fn images(&self) -> Result<Vec<Image>> {
        parse(self.ask(&["images"])?)
    }

    /// Every event and loss of `archtrace events`.
    ///
    /// # Errors
    /// If a field is missing, or see [`Client::ask`].
    pub fn events(&self) -> Result<Vec<Event>> {
        parse(self.ask(&["events"])?)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(objects: Vec<Value>) -> Result<Vec<T>> {
    objects
        .into_iter()
        .map(|object| {
            let text = object.to_string();
            serde_json::from_value(object).with_context(|| format!("unexpected fields in {text}"))
        })
        .collect()
}
