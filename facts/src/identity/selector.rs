//! Which pods are meant, by their labels, in the words of `kubectl --selector`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::text::escape;

/// Bytes of one selector: what people write is a tenth of this.
const MAX_LENGTH: usize = 4096;

/// Conditions on labels, all of which have to hold.
///
/// ```
/// use archtrace_facts::identity::LabelSelector;
///
/// let selector: LabelSelector = "app=api,tier in (web,batch),!legacy".parse().expect("one");
/// let labels = [("app", "api"), ("tier", "web")].map(|(key, value)| (key.to_owned(), value.to_owned()));
/// assert!(selector.matches(&labels.into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    text: String,
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// It is there, with one of these values.
    In(Vec<String>),
    /// It is not there, or with another value.
    NotIn(Vec<String>),
    There,
    Missing,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a selector looks like app=api,tier in (web,batch),version!=v1,!legacy")]
pub struct SelectorError(String);

impl LabelSelector {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether a pod with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements
            .iter()
            .all(|Requirement { key, condition }| {
                let value = labels.get(key);
                match condition {
                    Condition::In(values) => value.is_some_and(|value| values.contains(value)),
                    Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                    Condition::There => value.is_some(),
                    Condition::Missing => value.is_none(),
                }
            })
    }
}

/// As it was given.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_LENGTH {
            let what = format!("{} bytes; at most {MAX_LENGTH} are read", text.len());
            return Err(SelectorError(what));
        }
        let parts = split(text).into_iter().map(requirement);
        Ok(Self {
            text: escape(text.as_bytes()),
            requirements: parts.collect::<Result<_, _>>()?,
        })
    }
}

/// At the commas that are not within parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut within = false;
    let parts = text.split(|c| {
        within = (within || c == '(') && c != ')';
        c == ',' && !within
    });
    let parts: Vec<_> = parts.map(str::trim).collect();
    match &*parts {
        [""] => Vec::new(),
        _ => parts,
    }
}

fn requirement(text: &str) -> Result<Requirement, SelectorError> {
    if let Some(key) = text.strip_prefix('!') {
        return with(key, Condition::Missing);
    }
    // The longer ones first.
    for (sign, is_in) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = text.split_once(sign) {
            let values = vec![word(value, "value")?];
            let condition = if is_in {
                Condition::In
            } else {
                Condition::NotIn
            };
            return with(key, condition(values));
        }
    }
    let Some((key, rest)) = text.split_once(char::is_whitespace) else {
        return with(text, Condition::There);
    };
    let rest = rest.trim_start();
    // "notin" does not begin with "in".
    let (values, condition): (_, fn(_) -> _) =
        match (rest.strip_prefix("in"), rest.strip_prefix("notin")) {
            (Some(values), _) => (values, Condition::In),
            (_, Some(values)) => (values, Condition::NotIn),
            (None, None) => {
                return Err(SelectorError(format!("'{}' is no condition", shown(text))));
            }
        };
    let list = values
        .trim()
        .strip_prefix('(')
        .and_then(|list| list.strip_suffix(')'));
    let list = list.ok_or_else(|| {
        SelectorError(format!(
            "'{}' has no list of values in parentheses",
            shown(text)
        ))
    })?;
    let values = list.split(',').map(|value| word(value, "value"));
    with(key, condition(values.collect::<Result<_, _>>()?))
}

fn with(key: &str, condition: Condition) -> Result<Requirement, SelectorError> {
    let key = word(key, "name")?;
    if key.is_empty() {
        return Err(SelectorError(
            "a condition has no name of a label".to_owned(),
        ));
    }
    Ok(Requirement { key, condition })
}

/// What labels and their values are made of (docs/concepts/overview/working-with-objects/labels).
fn word(text: &str, what: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(is_part) {
        return Ok(text.to_owned());
    }
    Err(SelectorError(format!(
        "'{}' is no {what} of a label",
        shown(text)
    )))
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    escape(short.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(selector: &str, matching: &[&str], others: &[&str]) {
        let parsed: LabelSelector = selector.parse().expect(selector);
        assert_eq!(parsed.to_string(), selector);
        let labels = |text: &str| {
            let pairs = text
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        for (list, expected) in [(matching, true), (others, false)] {
            for text in list {
                assert_eq!(
                    parsed.matches(&labels(text)),
                    expected,
                    "{selector}: {text}"
                );
            }
        }
    }

    #[test]
    fn labels_are_selected_as_kubectl_does() {
        check("", &["", "app=api"], &[]);
        check(
            "app=api",
            &["app=api", "app=api b=c"],
            &["", "app=web", "b=api"],
        );
        check("app==api", &["app=api"], &["app=web"]);
        check("app!=api", &["", "app=web"], &["app=api"]);
        check("app", &["app=", "app=x"], &["", "b=app"]);
        check("!app", &["", "b=c"], &["app=", "app=x"]);
        check("app in (a, b)", &["app=a", "app=b"], &["", "app=c"]);
        check("app notin (a,b)", &["", "app=c"], &["app=a", "app=b"]);
        check(
            "app in (a,b) , !x,y=",
            &["app=a y="],
            &["app=a", "app=a y= x=1", "y="],
        );
        check("a.b/c-d_e=1", &["a.b/c-d_e=1"], &["c-d_e=1"]);
        // Names of labels that begin like words.
        check("in", &["in=1"], &[""]);
        check("notin in (in)", &["notin=in"], &["notin=out"]);
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for (selector, why) in [
            ("app=api,", "no name of a label"),
            ("=api", "no name of a label"),
            ("!", "no name of a label"),
            ("app in a,b", "no list of values in parentheses"),
            ("app in (a", "no list of values in parentheses"),
            ("app is api", "'app is api' is no condition"),
            ("app=a b", "'a b' is no value of a label"),
            ("app>1", "'app>1' is no name of a label"),
            ("app=*", "'*' is no value of a label"),
        ] {
            let error = selector
                .parse::<LabelSelector>()
                .expect_err(selector)
                .to_string();
            assert!(
                error.contains(why) && error.contains("app=api"),
                "{selector}: {error}"
            );
        }
        let long = "a".repeat(MAX_LENGTH + 1).parse::<LabelSelector>();
        assert!(
            long.expect_err("too long")
                .to_string()
                .contains("4097 bytes")
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _ = text.parse::<LabelSelector>();
        }
    }
}
