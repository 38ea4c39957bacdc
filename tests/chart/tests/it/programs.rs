//! The programs know every option and variable that the chart gives them, and take every value.

use std::fs;

use archtrace_agent::config::Cli;
use archtrace_chart::{Rendered, with};
use archtrace_collector::args::Args;
use archtrace_collector::policy;
use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use super::matrix::matrix;

/// The options that a component's container is started with.
fn arguments(rendered: &Rendered, component: &str) -> Option<Vec<String>> {
    let container = &rendered.pod(component)?["spec"]["containers"][0];
    let arguments = container["args"].as_array()?.iter();
    Some(
        arguments
            .map(|argument| argument.as_str().expect("a text").to_owned())
            .collect(),
    )
}

/// The variables that it is given.
fn variables<'a>(rendered: &'a Rendered, component: &str) -> Vec<&'a str> {
    let container = rendered
        .pod(component)
        .map(|pod| &pod["spec"]["containers"][0]);
    let variables = container.and_then(|container| container["env"].as_array());
    let names = variables
        .into_iter()
        .flatten()
        .filter_map(|variable| variable["name"].as_str());
    names
        .filter(|name| name.starts_with("ARCHTRACE_"))
        .collect()
}

fn agent(arguments: &[String]) -> Result<(), String> {
    let all = std::iter::once("archtrace-agent").chain(arguments.iter().map(String::as_str));
    let cli = Cli::try_parse_from(all).map_err(|error| error.to_string())?;
    cli.config().map_err(|error| error.to_string()).map(drop)
}

fn collector(arguments: &[String]) -> Result<(), String> {
    let all = std::iter::once("archtrace-collector").chain(arguments.iter().map(String::as_str));
    let args = Args::try_parse_from(all).map_err(|error| error.to_string())?;
    args.check()
}

#[test]
fn agents_take_what_the_chart_gives_them() {
    let known: Vec<_> = Cli::command()
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .map(|long| format!("ARCHTRACE_{}", long.replace('-', "_").to_uppercase()))
        .collect();
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let arguments = arguments(rendered, "agent").expect("an agent");
            assert_eq!(agent(&arguments), Ok(()), "{name}: {arguments:?}");
            let variables = variables(rendered, "agent");
            assert!(variables.contains(&"ARCHTRACE_NODE_NAME"), "{name}");
            for variable in variables {
                assert!(
                    known.iter().any(|known| known == variable),
                    "{name}: {variable}"
                );
            }
        }
    });
}

#[test]
fn collectors_take_what_the_chart_gives_them() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            if let Some(arguments) = arguments(rendered, "collector") {
                assert_eq!(collector(&arguments), Ok(()), "{name}: {arguments:?}");
            }
        }
    });
}

/// So that the two above mean something.
#[test]
fn programs_refuse_what_they_do_not_know() {
    let own = |arguments: &[&str]| {
        arguments
            .iter()
            .map(|&text| text.to_owned())
            .collect::<Vec<_>>()
    };
    assert!(agent(&own(&["--no-such-option=1"])).is_err());
    assert!(collector(&own(&["--no-such-option=1"])).is_err());
    assert!(collector(&own(&["--listen=0.0.0.0:1"])).is_err());
    assert!(collector(&own(&["--keep-events=soon"])).is_err());
}

/// Each option of the programs that a fleet may want has a value, or is reached by `extraArgs`: these are.
#[test]
fn options_without_a_value_are_known() {
    let given = |component: &str| {
        with(|tools| {
            let matrix = matrix(tools);
            let all = matrix
                .iter()
                .filter_map(|(_, rendered)| arguments(rendered, component));
            let all = all
                .flatten()
                .map(|argument| argument.split('=').next().unwrap_or_default().to_owned());
            all.collect::<Vec<_>>()
        })
    };
    let left = |command: &clap::Command, given: &[String]| {
        let longs = command.get_arguments().filter_map(clap::Arg::get_long);
        let longs = longs
            .map(|long| format!("--{long}"))
            .filter(|long| !given.contains(long));
        longs
            .filter(|long| long != "--help" && long != "--version")
            .collect::<Vec<_>>()
    };
    if let (Some(agent), Some(collector)) = (given("agent"), given("collector")) {
        // The node's name is a variable; logs are where the kubelet has them; the rest is for a file.
        assert_eq!(
            left(&Cli::command(), &agent),
            ["--node-name", "--log-dir", "--config"]
        );
        assert_eq!(
            left(&Args::command(), &collector),
            [
                "--nodes-file",
                "--export-otlp-ca",
                "--export-ocsf-megabytes",
                "--registry-ca"
            ]
        );
    }
}

#[tokio::test]
async fn policies_are_policies() {
    let policies = with(|tools| {
        let matrix = matrix(tools);
        let maps = matrix
            .iter()
            .flat_map(|(_, rendered)| rendered.of_kind("ConfigMap"));
        let texts = maps.filter_map(|map| map["data"]["policy.yaml"].as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    });
    let Some(policies) = policies else { return };
    assert_eq!(policies.len(), 1);
    for text in policies {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &text).expect("is written");
        let checked = policy::check(file.path()).await;
        assert!(checked.is_ok(), "{text}: {:?}", checked.err());
    }
}

/// Where files are told to be, something is mounted.
#[test]
fn files_are_where_options_say() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            for component in ["agent", "collector", "test"] {
                let Some(arguments) = arguments(rendered, component) else {
                    continue;
                };
                let mounts = rendered
                    .pod(component)
                    .map(|pod| &pod["spec"]["containers"][0]["volumeMounts"]);
                let mounts = mounts.and_then(Value::as_array).into_iter().flatten();
                let mounts: Vec<_> = mounts
                    .filter_map(|mount| mount["mountPath"].as_str())
                    .collect();
                let values = arguments
                    .iter()
                    .filter_map(|argument| argument.split_once('='));
                let paths =
                    values.map(|(option, value)| (option, value.trim_start_matches("sqlite:")));
                for (option, path) in paths.filter(|(_, path)| path.starts_with('/')) {
                    let is_mounted = mounts.iter().any(|mount| {
                        path.strip_prefix(mount)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    });
                    // With SQLite's store on no volume, it is on one all the same.
                    assert!(
                        is_mounted,
                        "{name}: {component}: {option} {path}: {mounts:?}"
                    );
                }
            }
        }
    });
}
