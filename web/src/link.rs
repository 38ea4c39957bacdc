//! Addresses of pages: all of them relative to the host, so that a proxy in front needs to know nothing.

use form_urlencoded::Serializer;

pub(crate) const FLEET: &str = "/";
pub(crate) const FINDINGS: &str = "/findings";
pub(crate) const EMULATED: &str = "/emulated";
pub(crate) const WORKLOADS: &str = "/workloads";
pub(crate) const WORKLOAD: &str = "/workload";
pub(crate) const NODES: &str = "/nodes";
pub(crate) const NODE: &str = "/node";
pub(crate) const COVERAGE: &str = "/coverage";
pub(crate) const COVERED: &str = "/coverage/nodes";
pub(crate) const EVENTS: &str = "/events";
pub(crate) const LIVE: &str = "/events/live";

/// One node.
pub(crate) fn node(cluster: &str, name: &str) -> String {
    with(NODE, &[("cluster", cluster), ("name", name)])
}

/// One workload; nothing where it is not known which.
pub(crate) fn workload(cluster: &str, namespace: &str, name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let names = [
        ("cluster", cluster),
        ("namespace", namespace),
        ("name", name),
    ];
    with(WORKLOAD, &names)
}

/// A page with some of its conditions; those that are empty are left out.
pub(crate) fn with(page: &str, conditions: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in conditions.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        empty if empty.is_empty() => page.to_owned(),
        query => format!("{page}?{query}"),
    }
}

/// The value of a condition in an address; the first one, and empty if it is not there.
pub(crate) fn condition(query: Option<&str>, name: &str) -> String {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut values = pairs.filter(|(key, _)| key == name);
    values
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_names_hold_comes_back() {
        for (cluster, name) in [
            ("prod", "ip-10-0-1-7.internal"),
            ("", "n"),
            ("a b&c", "d=e?f#g%h/ж+"),
        ] {
            let link = node(cluster, name);
            let query = link.split_once('?').map(|(_, query)| query);
            assert!(link.is_ascii() && !link.contains([' ', '"', '<']), "{link}");
            assert_eq!(condition(query, "cluster"), cluster);
            assert_eq!(condition(query, "name"), name);
        }
        assert_eq!(workload("c", "n", ""), "");
        assert_eq!(with(EVENTS, &[("kind", "")]), EVENTS);
        assert_eq!(condition(None, "kind"), "");
    }
}
