//! SARIF 2.1.0 (OASIS), as code scanning and CI systems read it: one run, a rule for each finding of
//! the catalogue that a scan can tell.

use archtrace_facts::finding::{Entry, Id, Severity};
use serde_json::{Value, json};

use super::scan::{Finding, Target, reason};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What a scan can find; results name a rule by its place here.
const RULES: [Id; 6] = [
    Id::MislabelledImage,
    Id::WrongPlatformImage,
    Id::MissingPlatform,
    Id::ForeignProgram,
    Id::ForeignLibrary,
    Id::ForeignFile,
];

/// The whole log.
pub(super) fn log(targets: &[Target]) -> Value {
    let results: Vec<_> = targets
        .iter()
        .flat_map(|target| {
            let findings = target.findings.iter();
            findings.filter_map(|finding| result(target, finding))
        })
        .collect();
    let notes: Vec<_> = targets.iter().flat_map(notes).collect();
    let successful = !targets.iter().any(Target::has_failed);
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "archtrace",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().filter_map(|id| id.entry()).map(rule).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": successful,
                "toolExecutionNotifications": notes,
            }],
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    })
}

fn rule(entry: &Entry) -> Value {
    let Entry {
        id,
        severity,
        title,
        meaning,
        evidence: _,
        confirm,
        fix,
    } = entry;
    let help = format!(
        "To confirm:\n{}\n\nTo fix:\n- {}",
        confirm.join("\n"),
        fix.join("\n- ")
    );
    let markdown = format!(
        "**To confirm:**\n\n```sh\n{}\n```\n\n**To fix:**\n\n- {}",
        confirm.join("\n"),
        fix.join("\n- ")
    );
    json!({
        "id": id.as_str(),
        "shortDescription": {"text": title},
        "fullDescription": {"text": meaning},
        "help": {"text": help, "markdown": markdown},
        "defaultConfiguration": {"level": level(*severity)},
        "properties": {"tags": ["architecture"], "severity": severity.as_str()},
    })
}

fn result(target: &Target, finding: &Finding) -> Option<Value> {
    let id = finding.id?;
    let index = RULES.iter().position(|rule| *rule == id)?;
    let within = [
        &*finding.image,
        &*finding.platform,
        finding.file.as_deref().unwrap_or_default(),
    ];
    let within: Vec<_> = within.into_iter().filter(|word| !word.is_empty()).collect();
    let within = within.join(" ");
    let subject = match &finding.file {
        Some(file) => format!("{file} is "),
        None => String::new(),
    };
    // GitHub's code scanning asks for a line, of whatever kind of file.
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&target.path)},
            "region": {"startLine": 1},
        },
    });
    if !within.is_empty()
        && let Some(location) = location.as_object_mut()
    {
        let logical = json!([{"fullyQualifiedName": within, "kind": "resource"}]);
        location.insert("logicalLocations".to_owned(), logical);
    }
    Some(json!({
        "ruleId": id.as_str(),
        "ruleIndex": index,
        "level": level(id.entry()?.severity),
        "message": {"text": format!("{subject}{}", finding.message)},
        "locations": [location],
        // Not of the path: CI systems unpack to another directory each time.
        "partialFingerprints": {"archtrace/v1": format!("{id} {within}")},
    }))
}

/// What could not be scanned, and what was left out.
fn notes(target: &Target) -> Vec<Value> {
    let note = |level: &str, text: String| {
        json!({
            "level": level,
            "message": {"text": text},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(&target.path)}}}],
        })
    };
    let report = match &target.outcome {
        Err(error) => return vec![note("error", error.to_string())],
        Ok(report) => report,
    };
    let skipped = report.parts.iter().flat_map(|part| &part.audit.skipped);
    skipped
        .map(|(why, count)| {
            note(
                "warning",
                format!("not looked at: {count}, {}", reason(*why)),
            )
        })
        .collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// A path as a URI reference (RFC 3986, `pchar` and `/`): relative ones stay so. A name with a colon
/// in front would read as a scheme.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
        if plain {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        for (path, text) in [
            ("app.tar", "app.tar"),
            ("/a b/ж.tar", "/a%20b/%D0%B6.tar"),
            ("c:x%", "c%3Ax%25"),
        ] {
            assert_eq!(uri(path), text);
        }
    }

    #[test]
    fn every_rule_is_in_the_catalogue() {
        for id in RULES {
            assert!(id.entry().is_some(), "{id}");
        }
    }
}
