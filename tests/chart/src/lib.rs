//! Renders the chart of `deploy/chart`, by Helm itself, for tests that hold it against schemas and against
//! the programs.
//!
//! What must not happen here: no rule of Helm's or Kubernetes' written down again.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

/// Names a Python that has the packages which [`Tools`] uses; `cargo xtask chart` makes one.
pub const VARIABLE: &str = "ARCHTRACE_CHART_PYTHON";

/// Versions of Kubernetes whose schemas hold: the oldest that the chart is for, and the newest that is known.
pub const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

/// One program: the one defines what the other uses.
const SCRIPT: &str = concat!(include_str!("cluster.py"), "\n\n", include_str!("tools.py"));

/// A path of the repository.
#[must_use]
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(relative)
}

/// What one set of values makes.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// All objects, as JSON.
    pub objects: Vec<Value>,
    /// The templates' texts, by path.
    pub files: Vec<(String, String)>,
    /// What people are told afterwards.
    pub notes: String,
}

impl Rendered {
    /// Those of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// The pod of the component `name` (`agent`, `collector`, `test`): its template, or the pod itself.
    #[must_use]
    pub fn pod(&self, name: &str) -> Option<&Value> {
        let is_of = |pod: &&Value| pod["metadata"]["labels"]["app.kubernetes.io/component"] == name;
        self.pods().find(is_of)
    }

    /// All pods and templates of pods.
    pub fn pods(&self) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter_map(|object| match object["kind"].as_str()? {
                "Pod" => Some(object),
                "DaemonSet" | "Deployment" | "StatefulSet" => Some(&object["spec"]["template"]),
                _ => None,
            })
    }
}

/// Helm and schemas, in a process that ends with this one.
#[derive(Debug)]
pub struct Tools {
    _child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Does `work` with the tools that all tests of this process share. `None` where there are none: then tests
/// that need them are to be left out, which was said.
///
/// # Panics
/// If they do not start; and where there are none although `CI` is `true`: a pipeline has to test the chart.
pub fn with<T>(work: impl FnOnce(&mut Tools) -> T) -> Option<T> {
    static SHARED: OnceLock<Option<Mutex<Tools>>> = OnceLock::new();
    let shared = SHARED.get_or_init(start).as_ref()?;
    // A test that failed leaves no half of a request behind: each waits for its answer.
    let mut tools = shared.lock().unwrap_or_else(PoisonError::into_inner);
    Some(work(&mut tools))
}

fn start() -> Option<Mutex<Tools>> {
    let Some(python) = std::env::var_os(VARIABLE).filter(|set| !set.is_empty()) else {
        let missing = format!("{VARIABLE} is not set: run `cargo xtask chart`");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("warning: tests of the chart are LEFT OUT: {missing}");
        return None;
    };
    let python = Path::new(&python);
    let tools = Tools::start(python);
    let tools = tools.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    Some(Mutex::new(tools))
}

impl Tools {
    /// Starts them by a Python that has their packages.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(python: &Path) -> io::Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped")
        };
        Ok(Self {
            _child: child,
            requests,
            answers: BufReader::new(answers),
        })
    }

    /// What Helm has against the chart, be it a warning; not what it only recommends.
    pub fn lint(&mut self) -> Vec<String> {
        const WARNING: u64 = 2;
        let report = self.ask(json!({ "do": "lint" }));
        let messages = report["messages"].as_array().into_iter().flatten();
        let grave = messages.filter(|message| message["severity"].as_u64() >= Some(WARNING));
        grave.map(ToString::to_string).collect()
    }

    /// Renders the chart with `values` (YAML), as the release `name` in `namespace`.
    ///
    /// # Errors
    /// What Helm says against the values.
    pub fn render(
        &mut self,
        values: &str,
        name: &str,
        namespace: &str,
    ) -> Result<Rendered, String> {
        let request =
            json!({ "do": "render", "values": values, "name": name, "namespace": namespace });
        self.rendered(request)
    }

    /// What an installation, or an upgrade, would make in a cluster that has `secret`.
    ///
    /// # Errors
    /// What Helm says against it.
    pub fn install(
        &mut self,
        values: &str,
        name: &str,
        namespace: &str,
        secret: &Value,
    ) -> Result<Rendered, String> {
        let request = json!({ "do": "install", "values": values, "name": name, "namespace": namespace,
            "secret": secret });
        self.rendered(request)
    }

    fn rendered(&mut self, request: Value) -> Result<Rendered, String> {
        let told = self.ask(request);
        if let Some(refused) = told["refused"].as_str() {
            return Err(refused.to_owned());
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let files = told["files"].as_object().into_iter().flatten();
        Ok(Rendered {
            objects: told["objects"].as_array().cloned().unwrap_or_default(),
            files: files
                .map(|(path, file)| (path.clone(), text(file)))
                .collect(),
            notes: text(&told["notes"]),
        })
    }

    /// What the schemas of [`KUBERNETES`], or of the object's CRD, have against it.
    ///
    /// # Errors
    /// The first thing, and where.
    pub fn validate(&mut self, object: &Value) -> Result<(), String> {
        let told = self.ask(json!({ "do": "validate", "object": object, "versions": KUBERNETES }));
        match &told["error"] {
            Value::Null if told["refused"].is_null() => Ok(()),
            _ => Err(told.to_string()),
        }
    }

    /// The documents of a file of the repository.
    ///
    /// # Panics
    /// If it cannot be read, or is no YAML.
    pub fn read(&mut self, relative: &str) -> Vec<Value> {
        let mut told = self.ask(json!({ "do": "read", "path": path(relative) }));
        match told["documents"].take() {
            Value::Array(documents) => documents,
            _ => panic!("{relative}: {told}"),
        }
    }

    fn ask(&mut self, mut request: Value) -> Value {
        request["chart"] = path("deploy/chart").display().to_string().into();
        writeln!(self.requests, "{request}").expect("the tools run; their stderr is above");
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        read.expect("the tools run; their stderr is above");
        serde_json::from_str(&line).expect("an answer is JSON; the tools' stderr is above")
    }
}
