//! What collectors may do, and how many there are.

use archtrace_chart::{Rendered, with};
use serde_json::{Value, json};

use super::matrix::{NAME, NAMESPACE, matrix};

/// The collector's pods of each set of values that has them.
fn each(mut check: impl FnMut(&str, &Rendered, &Value)) {
    with(|tools| {
        let matrix = matrix(tools);
        let mut seen = 0;
        for (name, rendered) in matrix {
            if let Some(pod) = rendered.pod("collector") {
                check(name, rendered, &pod["spec"]);
                seen += 1;
            }
        }
        assert_eq!(seen, matrix.len() - 1, "agents-only alone has none");
    });
}

#[test]
fn a_collector_has_no_privileges() {
    each(|name, _, pod| {
        let context = &pod["containers"][0]["securityContext"];
        for (what, is, shall) in [
            (
                "capabilities",
                &context["capabilities"],
                json!({ "drop": ["ALL"] }),
            ),
            (
                "escalation",
                &context["allowPrivilegeEscalation"],
                json!(false),
            ),
            (
                "root file system",
                &context["readOnlyRootFilesystem"],
                json!(true),
            ),
            ("root", &pod["securityContext"]["runAsNonRoot"], json!(true)),
            ("hostPID", &pod["hostPID"], Value::Null),
            ("hostNetwork", &pod["hostNetwork"], Value::Null),
            (
                "API token",
                &pod["automountServiceAccountToken"],
                json!(false),
            ),
        ] {
            assert_eq!(*is, shall, "{name}: {what}");
        }
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        let of_node = volumes.filter(|volume| !volume["hostPath"].is_null());
        assert_eq!(of_node.count(), 0, "{name}");
    });
}

#[test]
fn a_collector_may_list_nodes_only_where_it_does() {
    each(|name, rendered, pod| {
        let nodes =
            json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"] });
        let roles = rendered.of_kind("ClusterRole");
        let rules = roles.filter_map(|role| role["rules"].as_array());
        let may = rules.flatten().any(|rule| *rule == nodes);
        let arguments = &pod["containers"][0]["args"];
        let lists = arguments
            .as_array()
            .is_some_and(|arguments| arguments.contains(&json!("--nodes-from=kubernetes")));
        let seen = ["everything-off", "node"].contains(&name);
        assert_eq!(lists, !seen, "{name}");
        assert_eq!(may, lists, "{name}");
    });
}

/// Each of what else it asks has its own rules, and its own option.
#[test]
fn rules_come_with_what_needs_them() {
    let rule = |group: &str, resource: &str, verbs: [&str; 2]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    let pods = [("", "pods"), ("apps", "replicasets"), ("batch", "jobs")];
    let pods = pods.map(|(group, resource)| rule(group, resource, ["list", "watch"]));
    let events = [rule("", "events", ["create", "patch"])];
    with(|tools| {
        for (values, rules, option) in [
            ("pods: true", &pods[..], "--kubernetes-pods"),
            ("events: true", &events[..], "--kubernetes-events"),
        ] {
            let values =
                format!("collector: {{ nodes: {{ from: seen }}, kubernetes: {{ {values} }} }}");
            let rendered = tools
                .render(&values, "archtrace", "archtrace")
                .expect("renders");
            let role = rendered.of_kind("ClusterRole").next().expect("a role");
            assert_eq!(role["rules"], json!(rules), "{values}");
            let pod = &rendered.pod("collector").expect("a collector")["spec"];
            let arguments = pod["containers"][0]["args"].as_array().expect("arguments");
            let asks = arguments.iter().filter_map(Value::as_str);
            let asks: Vec<_> = asks
                .filter(|argument| argument.starts_with("--kubernetes"))
                .collect();
            assert_eq!(asks, [option]);
        }
    });
}

/// The key of the certificate is mounted by the collector and by nobody else.
#[test]
fn only_collectors_have_the_key() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            for pod in rendered.pods() {
                let is_collector =
                    pod["metadata"]["labels"]["app.kubernetes.io/component"] == "collector";
                let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
                for secret in volumes.map(|volume| &volume["secret"]) {
                    // A volume without items is all of the Secret.
                    let items = secret["items"].as_array().cloned().unwrap_or_default();
                    let has_key =
                        items.is_empty() || items.iter().any(|item| item["key"] == "tls.key");
                    assert!(
                        secret.is_null() || is_collector || !has_key,
                        "{name}: {pod}"
                    );
                }
            }
        }
    });
}

#[test]
fn replicas_share_a_database_and_one_may_be_away() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let stateful = rendered.of_kind("StatefulSet").next();
            let deployed = rendered.of_kind("Deployment").next();
            let budgets = rendered.of_kind("PodDisruptionBudget").count();
            match name.as_str() {
                "postgres" => {
                    assert_eq!(
                        deployed.map(|set| &set["spec"]["replicas"]),
                        Some(&json!(3))
                    );
                    assert_eq!((stateful.is_none(), budgets), (true, 1));
                }
                "agents-only" => assert!(stateful.is_none() && deployed.is_none()),
                _ => {
                    let set = stateful.expect("SQLite is on a disk");
                    assert_eq!(set["spec"]["replicas"], 1, "{name}");
                    let claims = &set["spec"]["volumeClaimTemplates"];
                    let has_own = !matches!(name.as_str(), "everything-off" | "existing-secret");
                    assert_eq!(claims.is_array(), has_own, "{name}");
                    assert_eq!((deployed.is_none(), budgets), (true, 0), "{name}");
                }
            }
        }
    });
}

/// The notes say what to do next, and warn of what should not stay as it is.
#[test]
fn notes_fit_the_values() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let warns = rendered.notes.contains("WARNING: tls.mode is none");
            assert_eq!(warns, name == "everything-off", "{name}");
            let asks = rendered.notes.contains("kubectl archtrace nodes");
            assert_eq!(asks, name != "agents-only", "{name}");
            let token = rendered
                .notes
                .contains("create token archtrace-reader --audience archtrace");
            let has_none = matches!(
                name.as_str(),
                "everything-off" | "certificates" | "agents-only" | "node"
            );
            assert_eq!(token, !has_none, "{name}");
        }
    });
}

/// How far Events were told is kept wherever there is a disk for it.
#[test]
fn events_go_on_after_a_restart_where_there_is_a_disk() {
    let events = "kubernetes: { events: true }";
    let database = "store: { kind: postgresql, postgresql: { url: \"postgres://a@db/a\", existingSecret: a } }";
    for (values, is_kept) in [
        (events.to_owned(), true),
        (format!("{events}, {database}"), false),
        (
            format!("{events}, {database}, exports: {{ ocsf: true }}"),
            true,
        ),
        (database.to_owned(), false),
    ] {
        with(|tools| {
            let told = format!("collector: {{ {values} }}");
            let rendered = tools.render(&told, NAME, NAMESPACE).expect("renders");
            let pod = rendered.pod("collector").expect("a collector");
            let arguments = pod["spec"]["containers"][0]["args"].as_array();
            let state = json!("--export-state=/var/lib/archtrace/exports");
            let has_state = arguments.is_some_and(|arguments| arguments.contains(&state));
            assert_eq!(has_state, is_kept, "{values}");
        });
    }
}
