//! What kubectl tells: which services there are, and which port it forwards.

use serde::Deserialize;

/// How the chart labels the collector's service.
pub(super) const SELECTOR: &str =
    "app.kubernetes.io/name=archtrace-collector,app.kubernetes.io/part-of=archtrace";

/// What the chart calls the port that answers questions.
const PORT: &str = "grpc";

/// The collector's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    #[serde(default)]
    name: String,
    port: u16,
    #[serde(default)]
    app_protocol: String,
}

/// The one that there is.
///
/// # Errors
/// That it is not one, and what to do then.
pub(super) fn only(list: &[u8]) -> Result<Service, (String, &'static str)> {
    let list: List = serde_json::from_slice(list).map_err(|error| {
        let what = format!("kubectl does not tell services as JSON: {error}");
        (what, "Name the collector with --server URL.")
    })?;
    let mut services: Vec<_> = list.items.into_iter().filter_map(service).collect();
    let one = services.pop();
    let Some(service) = one else {
        let what = format!("there is no service with the labels {SELECTOR} and a port {PORT}");
        let help = "Install deploy/chart (helm), choose another cluster with --context, or name the collector \
                    with --server URL.";
        return Err((what, help));
    };
    if services.is_empty() {
        return Ok(service);
    }
    services.push(service);
    services.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let names = services.iter().map(
        |Service {
             namespace, name, ..
         }| format!("{namespace}/{name}"),
    );
    let what = format!(
        "there are several: {}",
        names.collect::<Vec<_>>().join(", ")
    );
    let help = "Choose with --collector-namespace NAME, or forward a port yourself and name it with --server URL.";
    Err((what, help))
}

fn service(item: Item) -> Option<Service> {
    let Item { metadata, spec } = item;
    let port = spec.ports.into_iter().find(|port| port.name == PORT)?;
    Some(Service {
        namespace: metadata.namespace,
        name: metadata.name,
        port: port.port,
        is_tls: port.app_protocol == "https",
    })
}

/// The port on loopback that a line of kubectl port-forward tells, such as
/// `Forwarding from 127.0.0.1:40113 -> 50061`.
pub(super) fn port(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("Forwarding from 127.0.0.1:")?;
    rest.split_once(" -> ")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(namespace: &str, port: &str) -> String {
        format!(
            r#"{{ "metadata": {{ "name": "c", "namespace": "{namespace}" }}, "spec": {{ "ports": [
                {{ "name": "web", "port": 50080 }}, {port} ] }} }}"#
        )
    }

    #[test]
    fn one_service_is_found() {
        let plain = r#"{ "name": "grpc", "port": 50061, "appProtocol": "kubernetes.io/h2c" }"#;
        let tls = r#"{ "name": "grpc", "port": 443, "appProtocol": "https" }"#;
        let other = r#"{ "port": 1 }"#;
        let found = |port, is_tls| {
            Ok(Service {
                namespace: "a".to_owned(),
                name: "c".to_owned(),
                port,
                is_tls,
            })
        };
        for (items, expected) in [
            (vec![item("a", plain)], found(50061, false)),
            (vec![item("a", tls)], found(443, true)),
            (vec![item("a", tls), item("b", other)], found(443, true)),
            (vec![item("b", other)], Err("no service")),
            (vec![], Err("no service")),
            (vec![item("b", tls), item("a", tls)], Err("a/c, b/c")),
        ] {
            let list = format!(r#"{{ "items": [{}] }}"#, items.join(","));
            match (only(list.as_bytes()), expected) {
                (Ok(service), expected) => assert_eq!(Ok(service), expected, "{list}"),
                (Err((what, _)), Err(said)) => assert!(what.contains(said), "{what}"),
                (Err(error), Ok(_)) => panic!("{list}: {error:?}"),
            }
        }
        for garbage in ["", "{}", "No resources found"] {
            assert!(only(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn the_port_is_read() {
        for (line, expected) in [
            ("Forwarding from 127.0.0.1:40113 -> 50061", Some(40113)),
            ("Forwarding from [::1]:40113 -> 50061", None),
            ("Forwarding from 127.0.0.1:99999 -> 50061", None),
            ("Handling connection for 40113", None),
            ("", None),
        ] {
            assert_eq!(port(line), expected, "{line}");
        }
    }
}
