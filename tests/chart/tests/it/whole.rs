//! What objects say of each other: names, ports, labels and volumes that have to fit.

use std::collections::BTreeSet;

use archtrace_chart::{Rendered, with};
use serde_json::Value;

use super::matrix::matrix;

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn names(values: &Value) -> BTreeSet<&str> {
    list(values)
        .filter_map(|value| value["name"].as_str())
        .collect()
}

/// Whether all labels of a selector are among those.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("labels");
    wanted.iter().all(|(key, value)| labels[key] == *value)
}

/// The pods that a selector finds.
fn selected<'a>(rendered: &'a Rendered, selector: &Value) -> Vec<&'a Value> {
    rendered
        .pods()
        .filter(|pod| selects(selector, &pod["metadata"]["labels"]))
        .collect()
}

fn ports(pod: &Value) -> BTreeSet<&str> {
    names(&pod["spec"]["containers"][0]["ports"])
}

fn each(mut check: impl FnMut(&str, &Rendered)) {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            check(name, rendered);
        }
    });
}

#[test]
fn volumes_are_mounted_and_mounts_have_volumes() {
    each(|name, rendered| {
        let claims = rendered
            .of_kind("StatefulSet")
            .flat_map(|set| list(&set["spec"]["volumeClaimTemplates"]));
        let claims: BTreeSet<_> = claims
            .filter_map(|claim| claim["metadata"]["name"].as_str())
            .collect();
        for pod in rendered.pods() {
            let mut volumes = names(&pod["spec"]["volumes"]);
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "collector" {
                volumes.extend(&claims);
            }
            let mounts = names(&pod["spec"]["containers"][0]["volumeMounts"]);
            assert_eq!(volumes, mounts, "{name}");
        }
    });
}

#[test]
fn accounts_of_pods_are_there() {
    each(|name, rendered| {
        let accounts: BTreeSet<_> = rendered
            .of_kind("ServiceAccount")
            .filter_map(|account| account["metadata"]["name"].as_str())
            .collect();
        for pod in rendered.pods() {
            if let Some(account) = pod["spec"]["serviceAccountName"].as_str() {
                assert!(accounts.contains(account), "{name}: {account}");
            }
        }
    });
}

/// A Secret or ConfigMap that pods mount is made by the chart, or named in the values.
#[test]
fn what_is_mounted_is_made_or_was_named() {
    let brought = [
        "archtrace-collector-tls",
        "archtrace-database",
        "clients-ca",
        "collector-ca",
        "collector-certificate",
        "kube-root-ca.crt",
        "registries",
    ];
    each(|name, rendered| {
        let kinds = ["Secret", "ConfigMap", "Certificate"];
        let made = kinds.iter().flat_map(|kind| rendered.of_kind(kind));
        let made =
            made.flat_map(|object| [&object["metadata"]["name"], &object["spec"]["secretName"]]);
        let made: BTreeSet<_> = made.filter_map(Value::as_str).collect();
        for volume in rendered
            .pods()
            .flat_map(|pod| list(&pod["spec"]["volumes"]))
        {
            let of = [
                &volume["secret"]["secretName"],
                &volume["configMap"]["name"],
            ];
            for wanted in of.into_iter().filter_map(Value::as_str) {
                let is_there = made.contains(wanted) || brought.contains(&wanted);
                assert!(is_there, "{name}: {wanted} is not among {made:?}");
            }
        }
    });
}

#[test]
fn probes_services_and_policies_name_ports_that_are_there() {
    each(|name, rendered| {
        for pod in rendered.pods() {
            let container = &pod["spec"]["containers"][0];
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if let Some(port) = container[probe]["httpGet"]["port"].as_str() {
                    assert!(ports(pod).contains(port), "{name}: {probe}");
                }
            }
        }
        for service in rendered.of_kind("Service") {
            let pods = selected(rendered, &service["spec"]["selector"]);
            assert_eq!(pods.len(), 1, "{name}: {service}");
            for port in list(&service["spec"]["ports"]) {
                let target = port["targetPort"].as_str().expect("a name");
                assert!(ports(pods[0]).contains(target), "{name}: {service}");
            }
        }
        for policy in rendered.of_kind("NetworkPolicy") {
            let spec = &policy["spec"];
            let pods = selected(rendered, &spec["podSelector"]["matchLabels"]);
            assert_eq!(pods.len(), 1, "{name}: {policy}");
            let ingress = list(&spec["ingress"]).flat_map(|rule| list(&rule["ports"]));
            for port in ingress.filter_map(|port| port["port"].as_str()) {
                assert!(ports(pods[0]).contains(port), "{name}: {port}");
            }
            let peers = list(&spec["ingress"]).flat_map(|rule| list(&rule["from"]));
            let peers = peers.chain(list(&spec["egress"]).flat_map(|rule| list(&rule["to"])));
            // Those of other namespaces are named by the values.
            for peer in peers.filter(|peer| peer["namespaceSelector"].is_null()) {
                let of = selected(rendered, &peer["podSelector"]["matchLabels"]);
                assert_eq!(of.len(), 1, "{name}: {peer}");
            }
        }
    });
}

#[test]
fn monitors_find_what_they_are_for() {
    each(|name, rendered| {
        for monitor in rendered.of_kind("PodMonitor") {
            let pods = selected(rendered, &monitor["spec"]["selector"]["matchLabels"]);
            assert_eq!(pods.len(), 1, "{name}");
            let port = monitor["spec"]["podMetricsEndpoints"][0]["port"].as_str();
            assert!(
                port.is_some_and(|port| ports(pods[0]).contains(port)),
                "{name}"
            );
        }
        for monitor in rendered.of_kind("ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            let services = rendered.of_kind("Service");
            let services: Vec<_> = services
                .filter(|service| selects(selector, &service["metadata"]["labels"]))
                .collect();
            // Of two, Prometheus would scrape collectors twice.
            assert_eq!(services.len(), 1, "{name}");
            let port = monitor["spec"]["endpoints"][0]["port"].as_str();
            assert!(
                port.is_some_and(|port| names(&services[0]["spec"]["ports"]).contains(port)),
                "{name}"
            );
        }
    });
}

/// Agents and helm test come to the service, by a name of its certificate.
#[test]
fn the_collector_is_where_agents_look_for_it() {
    each(|name, rendered| {
        for (component, option) in [("agent", "--collector="), ("test", "--server=")] {
            let Some(pod) = rendered.pod(component) else {
                continue;
            };
            let arguments = list(&pod["spec"]["containers"][0]["args"]).filter_map(Value::as_str);
            let url = arguments
                .filter_map(|argument| argument.strip_prefix(option))
                .next();
            let url = url.expect("a collector");
            let Some(service) = rendered.of_kind("Service").next() else {
                assert_eq!(
                    (name, url),
                    ("agents-only", "https://collector.example.com")
                );
                continue;
            };
            let port = &service["spec"]["ports"][0];
            let scheme = if port["appProtocol"] == "https" {
                "https"
            } else {
                "http"
            };
            let host = "archtrace-collector.archtrace.svc";
            assert_eq!(url, format!("{scheme}://{host}:{}", port["port"]), "{name}");
            for certificate in rendered.of_kind("Certificate") {
                let names = list(&certificate["spec"]["dnsNames"]).filter_map(Value::as_str);
                let names: Vec<_> = names.collect();
                assert!(
                    names.contains(&host) && names.contains(&"localhost"),
                    "{name}: {names:?}"
                );
            }
        }
    });
}
