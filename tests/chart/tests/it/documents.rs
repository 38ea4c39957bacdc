//! What documents say of the chart is taken by it: values, what `--set` sets, and what kubectl is asked for.

use archtrace_chart::with;
use archtrace_docs::{Page, shell};
use serde_json::Value;

use super::matrix::{NAME, NAMESPACE, matrix};

/// What documents write for a digest that nobody knows yet.
const DIGEST: &str = "sha256:...";

/// Commands of all documents, in words.
fn commands() -> impl Iterator<Item = (String, Vec<String>)> {
    Page::all().into_iter().flat_map(|page| {
        let blocks = page
            .blocks()
            .into_iter()
            .filter(|block| block.language == "sh");
        let commands = blocks.flat_map(|block| shell::commands(&block.text).unwrap_or_default());
        let words: Vec<_> = commands
            .map(|command| (page.path.clone(), shell::words(&command)))
            .collect();
        words
    })
}

#[test]
fn values_are_taken() {
    let page = Page::read("docs/install.md");
    let blocks: Vec<_> = page
        .blocks()
        .into_iter()
        .filter(|block| block.language == "yaml")
        .collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    with(|tools| {
        for block in &blocks {
            let digest = format!("sha256:{}", "1".repeat(64));
            let rendered = tools.render(&block.text.replace(DIGEST, &digest), NAME, NAMESPACE);
            assert!(
                rendered.is_ok(),
                "{}:{}: {rendered:?}",
                page.path,
                block.line
            );
        }
    });
}

#[test]
fn what_helm_is_told_to_set_is_taken() {
    let mut found = 0;
    with(|tools| {
        for (page, words) in commands() {
            if words.first().is_none_or(|program| program != "helm") {
                continue;
            }
            found += 1;
            let set = words.windows(2).filter(|pair| pair[0] == "--set");
            for setting in set.map(|pair| &pair[1]) {
                let (path, value) = setting.split_once('=').expect("a value");
                let inner = Value::from(value);
                let values = path
                    .rsplit('.')
                    .fold(inner, |inner, key| serde_json::json!({ key: inner }));
                let rendered = tools.render(&values.to_string(), NAME, NAMESPACE);
                assert!(rendered.is_ok(), "{page}: {setting}: {rendered:?}");
            }
        }
        assert!(found >= 4, "{found}");
    });
}

/// Values that running text names are values of the chart.
#[test]
fn values_in_running_text_are_there() {
    with(|tools| {
        let values = tools.read("deploy/chart/values.yaml").remove(0);
        let parts = [
            "agent",
            "auth",
            "collector",
            "monitoring",
            "networkPolicy",
            "test",
            "tls",
        ];
        let mut found = 0;
        for page in Page::all() {
            for (line, code) in page.codes() {
                let name = code.split([':', ' ']).next().unwrap_or_default();
                let name = name.trim_end_matches(".*");
                let begins = name
                    .split_once('.')
                    .is_some_and(|(part, _)| parts.contains(&part));
                // Files are none.
                if !begins
                    || [".crt", ".key", ".rs", ".sock", ".toml"]
                        .iter()
                        .any(|end| name.ends_with(end))
                {
                    continue;
                }
                found += 1;
                let pointer = format!("/{}", name.replace('.', "/"));
                assert!(
                    values.pointer(&pointer).is_some(),
                    "{}:{line}: there is no value {name}",
                    page.path
                );
            }
        }
        assert!(found > 30, "{found}");
    });
}

/// `KIND/NAME`, or a kind and behind it a name, of what kubectl is asked for.
fn asked_for(words: &[String]) -> Option<(String, String)> {
    let slashed = words.iter().find_map(|word| {
        word.split_once('/')
            .filter(|(kind, _)| kind_of(kind).is_some())
    });
    let two = || {
        let pair = words
            .windows(2)
            .find(|pair| kind_of(&pair[0]).is_some() && pair[1].starts_with(NAME))?;
        Some((&*pair[0], &*pair[1]))
    };
    let (kind, name) = slashed.or_else(two)?;
    Some((kind_of(kind)?.to_owned(), name.to_owned()))
}

fn kind_of(word: &str) -> Option<&'static str> {
    match word {
        "configmap" => Some("ConfigMap"),
        "daemonset" => Some("DaemonSet"),
        "deployment" => Some("Deployment"),
        "secret" => Some("Secret"),
        "service" => Some("Service"),
        "statefulset" => Some("StatefulSet"),
        _ => None,
    }
}

#[test]
fn what_kubectl_is_asked_for_is_there() {
    // Made by the document itself.
    const OWN: [&str; 1] = ["archtrace-cleanup"];
    with(|tools| {
        let objects: Vec<_> = matrix(tools)
            .iter()
            .flat_map(|(_, rendered)| &rendered.objects)
            .collect();
        let mut found = 0;
        let texts = Page::all().into_iter().flat_map(|page| {
            let codes: Vec<_> = page
                .codes()
                .into_iter()
                .map(|(_, code)| (page.path.clone(), shell::words(&code)))
                .collect();
            codes
        });
        for (page, words) in commands().chain(texts) {
            let kubectl = words.first().is_some_and(|program| program == "kubectl");
            let Some((kind, name)) =
                asked_for(&words).filter(|(_, name)| kubectl && !OWN.contains(&&**name))
            else {
                continue;
            };
            found += 1;
            let is_it =
                |object: &&Value| object["kind"] == *kind && object["metadata"]["name"] == *name;
            assert!(
                objects.iter().any(is_it),
                "{page}: the chart makes no {kind} {name}"
            );
        }
        assert!(found >= 6, "{found}");
    });
}
