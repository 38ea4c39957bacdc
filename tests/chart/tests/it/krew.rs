//! The plugin's manifest has the shape that krew asks for (its `internal/index/validation`), once a release has filled in
//! what only it knows.

use std::fs;

use archtrace_chart::{path, with};
use serde_json::Value;

#[test]
fn krew_would_take_the_manifest() {
    let mut text = fs::read_to_string(path("deploy/krew/archtrace.yaml")).expect("is read");
    let sum = "0123456789abcdef".repeat(4);
    for (name, value) in [
        ("${ARCHIVES}", "https://example.com/v1"),
        ("${SHA256_AMD64}", sum.as_str()),
        ("${SHA256_ARM64}", sum.as_str()),
    ] {
        assert!(text.contains(name), "{name}");
        text = text.replace(name, value);
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &text).expect("is written");
    with(|tools| {
        let documents = tools.read(file.path().to_str().expect("UTF-8"));
        let [plugin] = documents.as_slice() else {
            panic!("one document: {documents:?}")
        };
        assert_eq!(
            plugin["apiVersion"],
            "krew.googlecontainertools.github.com/v1alpha2"
        );
        assert_eq!(
            (&plugin["kind"], &plugin["metadata"]["name"]),
            (&Value::from("Plugin"), &Value::from("archtrace"))
        );
        let spec = &plugin["spec"];
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        assert_eq!(spec["version"], version, "that of the workspace");
        let short = spec["shortDescription"].as_str().expect("a text");
        // `kubectl krew search` has no more room.
        assert!(
            (1..=50).contains(&short.len()) && !short.ends_with('.'),
            "{short}"
        );
        let platforms = spec["platforms"].as_array().expect("platforms");
        let archs: Vec<_> = platforms
            .iter()
            .map(|platform| {
                let labels = &platform["selector"]["matchLabels"];
                assert_eq!(
                    (&labels["os"], &platform["bin"]),
                    (&"linux".into(), &"archtrace".into())
                );
                let arch = labels["arch"].as_str().expect("an architecture");
                let uri = platform["uri"].as_str().expect("a URI");
                assert!(uri.starts_with("https://") && uri.contains(arch), "{uri}");
                assert_eq!(platform["sha256"].as_str().map(str::len), Some(64));
                assert!(!uri.contains("${") && !platform["sha256"].to_string().contains("${"));
                arch
            })
            .collect();
        assert_eq!(archs, ["amd64", "arm64"]);
    });
}
