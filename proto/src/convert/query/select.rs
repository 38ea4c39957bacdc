//! Which facts and events are asked for.

use archtrace_facts::arch::Arch;
use archtrace_facts::select::parse::parse;
use archtrace_facts::select::{Filter, Selection};

use crate::convert::fact::to_mode;
use crate::convert::{ConvertError, each, to_time, to_word};
use crate::v1;

impl From<&Filter> for v1::Filter {
    fn from(filter: &Filter) -> Self {
        let Filter {
            clusters,
            nodes,
            node_archs,
            namespaces,
            pods,
            containers,
            workloads,
            images,
            binaries,
            archs,
            modes,
            since,
        } = filter.clone();
        let words = |archs: Vec<Arch>| archs.into_iter().map(|arch| arch.to_string()).collect();
        Self {
            nodes,
            namespaces,
            pods,
            archs: words(archs),
            modes: modes
                .into_iter()
                .map(|mode| v1::ExecutionMode::from(mode).into())
                .collect(),
            since: since.map(Into::into),
            clusters,
            containers,
            workloads,
            images,
            binaries,
            node_archs: words(node_archs),
        }
    }
}

impl TryFrom<v1::Filter> for Filter {
    type Error = ConvertError;

    fn try_from(filter: v1::Filter) -> Result<Self, ConvertError> {
        Ok(Self {
            clusters: filter.clusters,
            nodes: filter.nodes,
            node_archs: each("node_archs", filter.node_archs, |arch| {
                to_word("arch", &arch)
            })?,
            namespaces: filter.namespaces,
            pods: filter.pods,
            containers: filter.containers,
            workloads: filter.workloads,
            images: filter.images,
            binaries: filter.binaries,
            archs: each("archs", filter.archs, |arch| to_word("arch", &arch))?,
            modes: each("modes", filter.modes, |mode| to_mode("mode", mode))?,
            since: filter
                .since
                .map(|since| to_time("since", Some(since)))
                .transpose()?,
        })
    }
}

impl TryFrom<v1::Selection> for Selection {
    type Error = ConvertError;

    fn try_from(selection: v1::Selection) -> Result<Self, ConvertError> {
        let v1::Selection {
            allow,
            deny,
            filter,
        } = selection;
        let expression = match filter.trim() {
            "" => None,
            _ => Some(
                parse(&filter).map_err(|error| ConvertError::new("filter", error.to_string()))?,
            ),
        };
        Ok(Self {
            allow: each("allow", allow, TryInto::try_into)?,
            deny: each("deny", deny, TryInto::try_into)?,
            expression,
        })
    }
}

impl From<&Selection> for v1::Selection {
    fn from(selection: &Selection) -> Self {
        let Selection {
            allow,
            deny,
            expression,
        } = selection;
        Self {
            allow: allow.iter().map(Into::into).collect(),
            deny: deny.iter().map(Into::into).collect(),
            filter: expression
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}
