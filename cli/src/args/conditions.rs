//! Filters: what is asked for, and what is not.

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_facts::select::parse::parse;
use archtrace_facts::select::{Expr, Filter, Selection};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

/// Filters as Hubble has them: all options together are one filter that has to match, values of one
/// option are alternatives, and `--not` turns the option behind it round. Each of these is a filter of
/// its own, none of which may match.
///
/// By hand and not derived, because what `--not` means depends on the order of the options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions<const MODES: bool = true> {
    /// Has to match.
    allow: Filter,
    /// None of these may match.
    deny: Vec<Filter>,
    /// Have to hold, all of them.
    expressions: Vec<Expr>,
}

impl<const MODES: bool> Conditions<MODES> {
    /// What is asked for, with `more` conditions.
    pub(crate) fn selection(&self, more: impl FnOnce(&mut Filter)) -> Selection {
        let mut allow = self.allow.clone();
        more(&mut allow);
        let given = allow != Filter::default();
        Selection {
            allow: given.then_some(allow).into_iter().collect(),
            deny: self.deny.clone(),
            expression: match &*self.expressions {
                [] => None,
                [one] => Some(one.clone()),
                several => Some(Expr::And(several.to_vec())),
            },
        }
    }

    /// The nodes that are asked about; all if empty.
    pub(crate) fn nodes(&self) -> &[String] {
        &self.allow.nodes
    }
}

const NOT: &str = "not";
const FILTER: &str = "filter";

/// An option that is a condition.
struct Flag {
    name: &'static str,
    short: Option<char>,
    value: &'static str,
    help: &'static str,
    parse: fn(&str) -> Result<Condition, String>,
}

/// One value of such an option.
#[derive(Clone, Debug)]
enum Condition {
    Cluster(String),
    Node(String),
    NodeArch(Arch),
    Namespace(String),
    Pod(String),
    Container(String),
    Workload(String),
    Image(String),
    Binary(String),
    Arch(Arch),
    Mode(Mode),
}

const fn flag(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    parse: fn(&str) -> Result<Condition, String>,
) -> Flag {
    Flag {
        name,
        short: None,
        value,
        help,
        parse,
    }
}

const MODE: &str = "mode";

const FLAGS: [Flag; 11] = [
    flag("cluster", "NAME", "Only in these clusters", |text| {
        Ok(Condition::Cluster(text.to_owned()))
    }),
    flag("node", "NAME", "Only on these nodes", |text| {
        Ok(Condition::Node(text.to_owned()))
    }),
    flag(
        "node-arch",
        "ARCH",
        "Only on nodes of these architectures",
        |text| arch(text).map(Condition::NodeArch),
    ),
    Flag {
        short: Some('n'),
        ..flag("namespace", "NAME", "Only in these namespaces", |text| {
            Ok(Condition::Namespace(text.to_owned()))
        })
    },
    flag("pod", "NAME", "Only in these pods", |text| {
        Ok(Condition::Pod(text.to_owned()))
    }),
    flag("container", "NAME", "Only in these containers", |text| {
        Ok(Condition::Container(text.to_owned()))
    }),
    flag(
        "workload",
        "KIND/NAME",
        "Only of these workloads, such as Deployment/api",
        |text| Ok(Condition::Workload(text.to_owned())),
    ),
    flag(
        "image",
        "IMAGE",
        "Only of these images, as pods ask for them, such as '*/api:*'",
        |text| Ok(Condition::Image(text.to_owned())),
    ),
    flag("binary", "PATH", "Only these binaries", |text| {
        Ok(Condition::Binary(text.to_owned()))
    }),
    flag(
        "arch",
        "ARCH",
        "Only binaries of these architectures: amd64, arm64, arm, 386, riscv64, ...",
        |text| arch(text).map(Condition::Arch),
    ),
    flag(
        MODE,
        "MODE",
        "How it ran: native, compat, emulated, failed",
        |text| {
            let mode = text.parse::<Mode>().map_err(|error| error.to_string())?;
            Ok(Condition::Mode(mode))
        },
    ),
];

fn arch(text: &str) -> Result<Arch, String> {
    text.parse::<Arch>().map_err(|error| error.to_string())
}

fn add(filter: &mut Filter, condition: Condition) {
    match condition {
        Condition::Cluster(name) => filter.clusters.push(name),
        Condition::Node(name) => filter.nodes.push(name),
        Condition::NodeArch(arch) => filter.node_archs.push(arch),
        Condition::Namespace(name) => filter.namespaces.push(name),
        Condition::Pod(name) => filter.pods.push(name),
        Condition::Container(name) => filter.containers.push(name),
        Condition::Workload(name) => filter.workloads.push(name),
        Condition::Image(name) => filter.images.push(name),
        Condition::Binary(path) => filter.binaries.push(path),
        Condition::Arch(arch) => filter.archs.push(arch),
        Condition::Mode(mode) => filter.modes.push(mode),
    }
}

fn flags(modes: bool) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(move |flag| modes || flag.name != MODE)
}

impl<const MODES: bool> clap::Args for Conditions<MODES> {
    fn augment_args(mut command: Command) -> Command {
        for flag in flags(MODES) {
            let mut arg = Arg::new(flag.name)
                .long(flag.name)
                .value_name(flag.value)
                .help(flag.help)
                .help_heading("Filters")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .value_parser(flag.parse);
            if let Some(short) = flag.short {
                arg = arg.short(short);
            }
            command = command.arg(arg);
        }
        let not = Arg::new(NOT)
            .long(NOT)
            .help("Turns the filter behind it round: --not --namespace kube-system")
            .help_heading("Filters")
            .action(ArgAction::Append)
            .num_args(0)
            .default_missing_value("true");
        let filter = Arg::new(FILTER)
            .long(FILTER)
            .value_name("CONDITION")
            .help(
                "Only what this holds for, such as 'arch = \"arm64\" AND (count >= 10 OR NOT \
                 namespace:\"kube-\")'",
            )
            .help_heading("Filters")
            .action(ArgAction::Append)
            .value_parser(parse);
        command.arg(not).arg(filter)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const MODES: bool> FromArgMatches for Conditions<MODES> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // `None` is --not. Positions on the command line are in their order.
        let mut given: Vec<(usize, Option<Vec<Condition>>)> = Vec::new();
        given.extend(indices(matches, NOT).map(|at| (at, None)));
        for flag in flags(MODES) {
            let mut indices = indices(matches, flag.name);
            let occurrences = matches.get_occurrences::<Condition>(flag.name);
            for occurrence in occurrences.into_iter().flatten() {
                let values: Vec<_> = occurrence.cloned().collect();
                // Each value has a position.
                let mut at = indices.by_ref().take(values.len());
                let first = at.next().unwrap_or_default();
                at.for_each(drop);
                given.push((first, Some(values)));
            }
        }
        given.sort_unstable_by_key(|(at, _)| *at);
        let mut conditions = Self::default();
        let mut turned = false;
        for (_, values) in given {
            match values {
                None if turned => return Err(wrong("two --not behind each other")),
                None => turned = true,
                Some(values) => {
                    let mut denied = Filter::default();
                    let filter = if turned {
                        &mut denied
                    } else {
                        &mut conditions.allow
                    };
                    values.into_iter().for_each(|value| add(filter, value));
                    if turned {
                        conditions.deny.push(denied);
                    }
                    turned = false;
                }
            }
        }
        if turned {
            return Err(wrong(
                "there is no filter behind --not that it could turn round",
            ));
        }
        let expressions = matches.get_many::<Expr>(FILTER);
        conditions.expressions = expressions.into_iter().flatten().cloned().collect();
        Ok(conditions)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn indices<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = usize> + use<'a> {
    matches.indices_of(name).into_iter().flatten()
}

fn wrong(what: &str) -> clap::Error {
    let told = format!("{what}; such as --not --namespace kube-system\n");
    clap::Error::raw(ErrorKind::ValueValidation, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        conditions: Conditions,
    }

    fn namespaces(names: &[&str]) -> Filter {
        Filter {
            namespaces: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Filter::default()
        }
    }

    #[test]
    fn not_turns_the_next_filter_round() {
        let pods = |pod: &str, filter| Filter {
            pods: vec![pod.to_owned()],
            ..filter
        };
        for (line, allow, deny) in [
            ("", namespaces(&[]), vec![]),
            ("-n a,b --namespace c", namespaces(&["a", "b", "c"]), vec![]),
            (
                "--not -n a,b",
                namespaces(&[]),
                vec![namespaces(&["a", "b"])],
            ),
            (
                "--pod p --not -n a -n b --not --pod q",
                pods("p", namespaces(&["b"])),
                vec![namespaces(&["a"]), pods("q", namespaces(&[]))],
            ),
            (
                "-n a,b --not --namespace=c -n d",
                namespaces(&["a", "b", "d"]),
                vec![namespaces(&["c"])],
            ),
        ] {
            let words = ["x"].into_iter().chain(line.split_whitespace());
            let Line { conditions } = Line::try_parse_from(words).expect(line);
            assert_eq!((conditions.allow, conditions.deny), (allow, deny), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, why) in [
            ("--not", "no filter behind --not"),
            ("-n a --not", "no filter behind --not"),
            ("--not --not -n a", "two --not"),
            ("--arch x86_64", "amd64"),
            ("--filter arhc=arm64", "did you mean arch"),
            ("--mode emulatd", "native, compat, emulated, failed"),
        ] {
            let words = ["x"].into_iter().chain(line.split_whitespace());
            let error = Line::try_parse_from(words).expect_err(line).to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
