//! `kubectl archtrace`: finds the collector by itself.
//!
//! kubectl is stood in for by a script: there is no API server here for a real one, and its port-forward is SPDY,
//! of which a small server is not made. The script plays what the real one prints, and above all its faults.

mod complete;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Collector;

/// Generous: the machine may have much else to do.
const SOON: Duration = Duration::from_secs(60);

const SERVICE: &str = r#"{"items":[{"metadata":{"name":"archtrace-collector","namespace":"ops"},
    "spec":{"ports":[{"name":"grpc","port":50061,"appProtocol":"kubernetes.io/h2c"}]}}]}"#;

/// What kubectl does when it is asked for services, and when it is to forward a port: lines of a shell.
struct Kubectl<'a> {
    get: &'a str,
    forward: &'a str,
}

/// A directory with a kubectl that notes what it was asked, and the plugin.
fn place(kubectl: &Kubectl<'_>) -> tempfile::TempDir {
    let Kubectl { get, forward } = kubectl;
    let dir = tempfile::tempdir().expect("a directory");
    let noted = dir.path().display();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {noted}/asked\ncase \"$*\" in\n*'get services'*) {get} ;;\n\
         *port-forward*) echo $$ > {noted}/pid; {forward} ;;\nesac\n"
    );
    executable(&dir.path().join("kubectl"), &script);
    symlink(
        env!("CARGO_BIN_EXE_archtrace"),
        dir.path().join("kubectl-archtrace"),
    )
    .expect("is linked");
    dir
}

/// Has another process write it: a child that another test starts meanwhile would have inherited the descriptor
/// until its exec, and who executes what somebody may write to gets ETXTBSY (execve(2)).
fn executable(file: &Path, script: &str) {
    let mut install = Command::new("install")
        .args(["--mode=755", "/dev/stdin"])
        .arg(file)
        .stdin(Stdio::piped())
        .spawn()
        .expect("coreutils have it");
    let mut stdin = install.stdin.take().expect("piped");
    stdin.write_all(script.as_bytes()).expect("it reads");
    drop(stdin);
    assert!(install.wait().expect("it is ours").success());
}

fn run(dir: &Path, args: &[&str], server: Option<&str>) -> Output {
    let mut command = Command::new(dir.join("kubectl-archtrace"));
    command.args(args).env_remove("ARCHTRACE_SERVER");
    command.env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
    command.envs(server.map(|server| ("ARCHTRACE_SERVER", server)));
    command.output().expect("starts")
}

fn asked(dir: &Path) -> Vec<String> {
    let asked = fs::read_to_string(dir.join("asked")).unwrap_or_default();
    asked.lines().map(str::to_owned).collect()
}

/// Waits until the child is gone.
fn is_over(dir: &Path) -> bool {
    let pid = fs::read_to_string(dir.join("pid")).expect("it was started");
    let process = Path::new("/proc").join(pid.trim());
    let deadline = Instant::now() + SOON;
    while process.exists() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// What plays a port that is forwarded to the collector of this process.
fn forwarding(collector: &Collector) -> String {
    let url = collector.url();
    let port = url.rsplit(':').next().expect("a port");
    format!("echo 'Forwarding from 127.0.0.1:{port} -> 50061'; exec sleep 1000")
}

#[test]
fn it_finds_the_collector_and_leaves_nothing() {
    let collector = Collector::filled();
    let get = format!("echo '{SERVICE}'");
    let kubectl = Kubectl {
        get: &get,
        forward: &forwarding(&collector),
    };
    for (args, options, namespace) in [
        (&["nodes"][..], "", "--all-namespaces"),
        (
            &[
                "nodes",
                "--context",
                "prod",
                "--kubeconfig",
                "/k",
                "--collector-namespace",
                "ops",
            ],
            "--context prod --kubeconfig /k ",
            "--namespace ops",
        ),
    ] {
        let dir = place(&kubectl);
        let output = run(dir.path(), args, None);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("n1"),
            "{args:?}: {output:?}"
        );
        let selector =
            "app.kubernetes.io/name=archtrace-collector,app.kubernetes.io/part-of=archtrace";
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            told.contains("service archtrace-collector in namespace ops"),
            "{told}"
        );
        assert_eq!(
            asked(dir.path()),
            [
                format!("{options}get services --output=json --selector {selector} {namespace}"),
                format!(
                    "{options}port-forward --address=127.0.0.1 --namespace ops service/archtrace-collector :50061"
                ),
            ]
        );
        assert!(is_over(dir.path()), "the child goes on");
    }
}

/// Who says where the collector is, or asks nobody, needs no kubectl.
#[test]
fn it_asks_kubectl_only_if_it_has_to() {
    let collector = Collector::filled();
    let get = format!("echo '{SERVICE}'");
    let url = collector.url();
    for (args, server, asks) in [
        (&["nodes"][..], Some(url.as_str()), false),
        (&["nodes", "--server", &url], None, false),
        (
            &["nodes", "--port-forward"],
            Some("http://127.0.0.1:1"),
            true,
        ),
        (&["completions", "bash"], None, false),
        (&["--help"], None, false),
    ] {
        let dir = place(&Kubectl {
            get: &get,
            forward: &forwarding(&collector),
        });
        let output = run(dir.path(), args, server);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert_eq!(!asked(dir.path()).is_empty(), asks, "{args:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let found = format!("echo '{SERVICE}'");
    let two = SERVICE.replace(
        "[{\"metadata",
        "[{\"metadata\":{\"name\":\"c\",\"namespace\":\"b\"},\"spec\":\
        {\"ports\":[{\"name\":\"grpc\",\"port\":1}]}},{\"metadata",
    );
    let two = format!("echo '{two}'");
    let none = "echo '{\"items\":[]}'";
    let forbidden = "echo 'Error from server (Forbidden): services is forbidden' >&2; exit 1";
    let lost = "echo 'Forwarding from 127.0.0.1:1 -> 50061'; echo 'error: lost connection to pod' >&2; exit 1";
    for (get, forward, said) in [
        (
            none,
            "",
            &["no service with the labels", "deploy/chart", "--context"][..],
        ),
        (
            two.as_str(),
            "",
            &["b/c, ops/archtrace-collector", "--collector-namespace"],
        ),
        (
            forbidden,
            "",
            &["services is forbidden", "--collector-namespace"],
        ),
        ("echo no JSON", "", &["as JSON", "--server"]),
        (
            found.as_str(),
            "echo 'error: unable to forward port because pod is not running' >&2; exit 1",
            &["has ended", "pod is not running", "--server"],
        ),
        (
            found.as_str(),
            "exit 0",
            &["kubectl port-forward has ended", "--server"],
        ),
        (
            found.as_str(),
            lost,
            &["has ended", "lost connection to pod"],
        ),
    ] {
        let dir = place(&Kubectl { get, forward });
        let output = run(dir.path(), &["nodes"], None);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{error}");
        for said in said {
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}

/// Anybody who may make a service anywhere may label it: by that alone, without TLS, it gets no token.
#[test]
fn a_token_is_for_whom_people_named() {
    let collector = Collector::filled();
    let get = format!("echo '{SERVICE}'");
    let kubectl = Kubectl {
        get: &get,
        forward: &forwarding(&collector),
    };
    for (option, namespace, is_refused) in [
        ("--token-file", None, true),
        ("--tls-ca", None, true),
        ("--tls-server-name", None, true),
        ("--token-file", Some("ops"), false),
    ] {
        let dir = place(&kubectl);
        let file = dir.path().join("secret");
        fs::write(&file, "secret").expect("is written");
        let file = file.to_str().expect("a path");
        let mut args = vec!["nodes", option, file];
        args.extend(namespace.map(|_| "--collector-namespace"));
        args.extend(namespace);
        let output = run(dir.path(), &args, None);
        let error = String::from_utf8_lossy(&output.stderr);
        let words = format!(
            "ops/archtrace-collector, which was found by its labels, has no TLS, and {option}"
        );
        assert_eq!(error.contains(&words), is_refused, "{args:?}: {error}");
        assert_eq!(output.status.success(), !is_refused, "{args:?}: {error}");
        let forwards = asked(dir.path()).len() > 1;
        assert_eq!(forwards, !is_refused, "{args:?}: {error}");
    }
}

/// One that ends while somebody follows ends that too: nobody would come to a port that is gone.
#[test]
fn a_child_that_dies_is_told() {
    let collector = Collector::filled();
    let url = collector.url();
    let port = url.rsplit(':').next().expect("a port");
    let forward = format!(
        "echo 'Forwarding from 127.0.0.1:{port} -> 50061'; sleep 1; echo 'error: lost connection to pod' >&2; exit 1"
    );
    let get = format!("echo '{SERVICE}'");
    let dir = place(&Kubectl {
        get: &get,
        forward: &forward,
    });
    let output = run(dir.path(), &["events", "--follow"], None);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("lost connection to pod"), "{error}");
}

/// Whoever ends it ends the child too, in whichever way, also while nothing is forwarded yet.
#[test]
fn a_signal_leaves_no_child() {
    let collector = Collector::filled();
    let get = format!("echo '{SERVICE}'");
    let (forwards, waits) = (forwarding(&collector), "exec sleep 1000".to_owned());
    for (forward, signal) in [
        (&forwards, Signal::SIGTERM),
        (&waits, Signal::SIGTERM),
        (&forwards, Signal::SIGKILL),
        (&waits, Signal::SIGKILL),
    ] {
        let dir = place(&Kubectl { get: &get, forward });
        let mut command = Command::new(dir.path().join("kubectl-archtrace"));
        let verify = ["verify", "--namespace", "pay", "--arch", "arm64"];
        command.args(verify).args(["--for", "5m"]);
        command
            .env_remove("ARCHTRACE_SERVER")
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()));
        let mut child = command.stdout(Stdio::null()).spawn().expect("starts");
        let deadline = Instant::now() + SOON;
        let pid = dir.path().join("pid");
        while !fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
            assert!(Instant::now() < deadline, "kubectl is not started");
            std::thread::sleep(Duration::from_millis(20));
        }
        let id = i32::try_from(child.id()).expect("a pid");
        kill(Pid::from_raw(id), signal).expect("it is ours");
        let status = child.wait().expect("it is ours");
        assert!(!status.success(), "{status}");
        assert!(is_over(dir.path()), "after {signal} the child goes on");
    }
}

#[test]
fn without_kubectl_it_says_so() {
    let dir = place(&Kubectl {
        get: "",
        forward: "",
    });
    fs::remove_file(dir.path().join("kubectl")).expect("is there");
    let mut command = Command::new(dir.path().join("kubectl-archtrace"));
    let output = command
        .arg("nodes")
        .env("PATH", dir.path())
        .env_remove("ARCHTRACE_SERVER")
        .output();
    let output = output.expect("starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(
        error.contains("no kubectl in your PATH") && error.contains("--server"),
        "{error}"
    );
}

#[test]
fn usage_is_that_of_the_name() {
    let dir = place(&Kubectl {
        get: "",
        forward: "",
    });
    for (args, usage) in [
        (&["--help"][..], "Usage: kubectl archtrace "),
        (
            &["emulated", "--help"],
            "Usage: kubectl archtrace emulated ",
        ),
    ] {
        let output = run(dir.path(), args, None);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(usage), "{text}");
    }
}

/// The pod of helm test gives options that the program knows.
#[test]
fn the_chart_asks_what_there_is_to_ask() {
    let template =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart/templates/tests/reader.yaml");
    let template = fs::read_to_string(template).expect("is read");
    let options = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- --"));
    let options: Vec<_> = options
        .map(|line| line.split('=').next().unwrap_or_default())
        .collect();
    assert_eq!(options.len(), 4, "{options:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_archtrace"))
        .args(["status", "--help"])
        .output();
    let help = String::from_utf8_lossy(&output.expect("starts").stdout).into_owned();
    for option in options {
        assert!(help.contains(&format!("--{option} ")), "{option}");
    }
}
