//! From a text to a policy, or the line that is wrong and the remedy.

use std::collections::BTreeMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::Status;
use archtrace_facts::policy::rules::{self, At, Part};
use archtrace_facts::policy::{Agent, Certified, Match, Nodes, Policy, Waiver, words};
use archtrace_facts::text::escape;
use serde_saphyr::Spanned;

use super::document;

/// Values in one list: as many nodes as one cares to name.
const MAX_VALUES: usize = 1000;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Counted from 1.
    pub(super) line: u64,
    /// And the remedy.
    pub(super) what: String,
}

/// Reads a policy.
pub(super) fn policy(text: &str) -> Result<Policy, Wrong> {
    let options = serde_saphyr::options! { with_snippet: false };
    let document: document::Document =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| of_yaml(&error))?;
    let read = document.agents.iter().map(agent);
    let agents = read.collect::<Result<_, _>>()?;
    let policy = Policy { agents };
    match rules::problem(&policy) {
        None => Ok(policy),
        Some(problem) => Err(Wrong {
            line: line_of(&document, problem.at),
            what: problem.what,
        }),
    }
}

/// What the parser says, without the place at its end: that stands in front.
fn of_yaml(error: &serde_saphyr::Error) -> Wrong {
    let error = error.without_snippet();
    let line = error.location().map_or(1, |location| location.line());
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let place = text
        .rfind(" at line ")
        .or_else(|| text.rfind(" (used at line "));
    let what = place.and_then(|at| text.get(..at)).unwrap_or(text);
    let remedy = if what.contains("unknown field") {
        "correct its spelling, or leave it out"
    } else {
        "docs/policy.example.yaml shows how a policy is written"
    };
    Wrong {
        line: line.max(1),
        what: format!("{}; {remedy}", escape(what.as_bytes())),
    }
}

fn line_of(document: &document::Document, at: At) -> u64 {
    let At::Agent(i, part) = at else {
        return 1;
    };
    let Some(agent) = document.agents.get(i) else {
        return 1;
    };
    let line = |place: Option<u64>| place.unwrap_or_else(|| line(agent));
    let of = &agent.value;
    match part {
        Part::Name => line(of.name.as_ref().map(self::line)),
        Part::Match => line(of.matches.as_ref().map(self::line)),
        Part::Certified => line(of.certified.as_ref().map(self::line)),
        Part::Waiver(j) => line(of.waivers.get(j).map(self::line)),
    }
}

fn line<T>(of: &Spanned<T>) -> u64 {
    of.referenced.line()
}

/// An error at the line of something.
fn wrong<T>(at: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong {
        line: line(at),
        what: what.into(),
    }
}

fn agent(agent: &Spanned<document::Agent>) -> Result<Agent, Wrong> {
    let document::Agent {
        name,
        matches,
        nodes: on,
        certified: versions,
        waivers,
    } = &agent.value;
    let name = required(agent, "an agent", "name", name.as_ref(), "name: falcon")?;
    let Some(by) = matches else {
        return Err(wrong(
            agent,
            format!(
                "agent '{name}' without match; say how its processes are known, such as match: {{workload: \
                 DaemonSet/{name}}}"
            ),
        ));
    };
    let read = waivers.iter().map(waiver);
    Ok(Agent {
        matches: conditions(&by.value)?,
        nodes: nodes(on)?,
        certified: versions.as_ref().map(certified).transpose()?,
        waivers: read.collect::<Result<_, _>>()?,
        name,
    })
}

fn required<T>(
    within: &Spanned<T>,
    of: &str,
    field: &str,
    value: Option<&Spanned<String>>,
    such_as: &str,
) -> Result<String, Wrong> {
    let missing = || {
        wrong(
            within,
            format!("{of} without {field}; add one, such as {such_as}"),
        )
    };
    text(field, value.ok_or_else(missing)?)
}

fn text(field: &str, value: &Spanned<String>) -> Result<String, Wrong> {
    words::text(&value.value).map_err(|what| wrong(value, format!("{field} {what}")))
}

fn conditions(by: &document::Match) -> Result<Match, Wrong> {
    let document::Match {
        namespace,
        labels,
        image,
        workload,
        unit,
        executable,
    } = by;
    let some = |field: &str, value: &Option<Spanned<String>>| {
        value.as_ref().map(|value| text(field, value)).transpose()
    };
    let labels = labels.iter().map(|(key, value)| {
        let field = format!("labels.{}", escape(key.as_bytes()));
        Ok((key.clone(), text(&field, value)?))
    });
    Ok(Match {
        namespace: some("namespace", namespace)?,
        labels: labels.collect::<Result<_, _>>()?,
        image: some("image", image)?,
        workload: some("workload", workload)?,
        unit: some("unit", unit)?,
        executable: some("executable", executable)?,
    })
}

fn nodes(nodes: &document::Nodes) -> Result<Nodes, Wrong> {
    let document::Nodes {
        clusters,
        names,
        archs,
    } = nodes;
    Ok(Nodes {
        clusters: each("clusters", clusters, |value| text("clusters", value))?,
        names: each("names", names, |value| text("names", value))?,
        archs: each("archs", archs, |value| {
            arch(&value.value).map_err(|what| wrong(value, what))
        })?,
    })
}

fn each<T>(
    field: &str,
    values: &[Spanned<String>],
    read: impl Fn(&Spanned<String>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    if let Some(beyond) = values.get(MAX_VALUES) {
        let what = format!("{field}: more than {MAX_VALUES} values; name them by patterns, with *");
        return Err(wrong(beyond, what));
    }
    values.iter().map(read).collect()
}

fn arch(word: &str) -> Result<Arch, String> {
    let known = word.parse().ok();
    let known = known.filter(|arch| !matches!(arch, Arch::Other(_) | Arch::Unknown));
    known.ok_or_else(|| {
        let word = escape(word.as_bytes());
        format!("'{word}' is no architecture; use Kubernetes' words, such as arm64 or amd64")
    })
}

fn certified(
    versions: &Spanned<BTreeMap<String, Vec<Spanned<String>>>>,
) -> Result<Certified, Wrong> {
    let read = versions.value.iter().map(|(word, list)| {
        let at = |what| match list.first() {
            Some(first) => wrong(first, what),
            None => wrong(versions, what),
        };
        let arch = arch(word).map_err(|what| at(format!("certified: {what}")))?;
        let field = format!("certified.{arch}");
        let list = each(&field, list, |value| {
            let version = words::text(&value.value).and_then(|text| words::version(&text));
            let shown = escape(value.value.as_bytes());
            version.map_err(|what| wrong(value, format!("{field}: '{shown}' {what}")))
        })?;
        Ok((arch, list))
    });
    read.collect()
}

fn waiver(waiver: &Spanned<document::Waiver>) -> Result<Waiver, Wrong> {
    let document::Waiver {
        owner,
        reason,
        expires,
        nodes: on,
        statuses,
    } = &waiver.value;
    let field = |field, value: &Option<_>, such_as| {
        required(waiver, "a waiver", field, value.as_ref(), such_as)
    };
    let owner = field("owner", owner, "owner: jane@example.com")?;
    let reason = field("reason", reason, "reason: the vendor ships arm64 in May")?;
    field("expires", expires, "expires: 2027-03-31")?;
    let expiry = expires.as_ref().map(|value| {
        words::expiry(&value.value).map_err(|what| {
            let shown = escape(value.value.as_bytes());
            wrong(value, format!("expires: '{shown}' {what}"))
        })
    });
    let missing = || wrong(waiver, "a waiver without expires");
    Ok(Waiver {
        owner,
        reason,
        expires: expiry.ok_or_else(missing)??,
        nodes: nodes(on)?,
        statuses: each("statuses", statuses, |value| {
            let word = value.value.to_ascii_uppercase();
            let status = word.parse::<Status>();
            status.map_err(|error| wrong(value, format!("statuses: {error}")))
        })?,
    })
}
