//! deploy/rbac gives the rights that the program uses, and no others.

use std::collections::BTreeSet;
use std::path::Path;

use archtrace_facts::fact::EventKind;
use archtrace_facts::report::Record;
use serde::Deserialize;

use super::super::support::{batch, event};
use super::agent;
use super::program::{Program, until};
use super::server::{Answer, Asked, JOBS, NODES, PODS, SETS, Server};

/// Group, resource and verb.
type Right = (String, String, String);

#[derive(Debug, Deserialize)]
struct Document {
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// What a file gives.
fn given(name: &str) -> BTreeSet<Right> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/rbac")
        .join(name);
    let text = std::fs::read_to_string(&path).expect("it is there");
    let mut rights = BTreeSet::new();
    for document in text.split("\n---\n") {
        let document: Document = serde_saphyr::from_str(document).expect("YAML of Kubernetes");
        assert!(document.rules.is_empty() || document.kind == "ClusterRole");
        for rule in document.rules {
            for group in &rule.api_groups {
                for resource in &rule.resources {
                    for verb in &rule.verbs {
                        let right = (group.clone(), resource.clone(), verb.clone());
                        assert!(rights.insert(right.clone()), "{right:?} is given twice");
                    }
                }
            }
        }
    }
    rights
}

/// What a request needs: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>.
fn needed(asked: &Asked) -> Right {
    let parts: Vec<_> = asked.path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => panic!("{asked:?}"),
    };
    let (resource, is_one) = match rest {
        ["namespaces", _, resource] | [resource] => (*resource, false),
        ["namespaces", _, resource, _] | [resource, _] => (*resource, true),
        _ => panic!("{asked:?}"),
    };
    let verb = match (asked.method.as_str(), is_one) {
        ("GET", false) if asked.query.contains("watch=true") => "watch",
        ("GET", false) => "list",
        ("GET", true) => "get",
        ("POST", false) => "create",
        ("PATCH", true) => "patch",
        _ => panic!("{asked:?}"),
    };
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// What a program with these options needs, once it does all that it does.
async fn used(options: &[&str], is_enough: impl Fn(&BTreeSet<Right>) -> bool) -> BTreeSet<Right> {
    let list = |name| [Answer::List(name), Answer::Quiet];
    let (sets, jobs) = (list("replicasets-2.json"), list("jobs.json"));
    let (pods, nodes) = (list("pods-2.json"), list("nodes.json"));
    let server =
        Server::start(&[(SETS, &sets), (JOBS, &jobs), (PODS, &pods), (NODES, &nodes)]).await;
    // Two of them, so that one finds what the other wrote.
    let programs = [(); 2].map(|()| Program::start(&server.address, options));
    for program in &programs {
        if options.contains(&"--kubernetes-events") {
            until("it reads events", || {
                !program
                    .logged("exports what happens from now on")
                    .is_empty()
            })
            .await;
        }
        let mut agent = agent(&program.url, &[("nightly-1-abcde", 2)]).await;
        let mut happened = event("/app", 0);
        if let Record::Event(event) = &mut happened {
            assert_eq!(event.kind, EventKind::EmulatedExec);
            event.time = std::time::SystemTime::now();
            event.key.cgroup = "/kubepods/nightly-1-abcde".to_owned();
        }
        agent
            .events(&batch(0, vec![happened]))
            .await
            .expect("taken");
    }
    let used = || -> BTreeSet<Right> { server.asked().iter().map(needed).collect() };
    until("it uses all that it needs", || is_enough(&used())).await;
    used()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_of_a_collector_are_those_that_it_uses() {
    let rights = given("collector.yaml");
    let options = ["--nodes-from", "kubernetes", "--kubernetes-pods"];
    let used = used(&options, |used| used.len() >= rights.len()).await;
    assert_eq!(used, rights);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_to_write_events_are_those_that_it_uses() {
    let rights = given("collector-events.yaml");
    let used = used(&["--kubernetes-events"], |used| used.len() >= rights.len()).await;
    assert_eq!(used, rights);
}
