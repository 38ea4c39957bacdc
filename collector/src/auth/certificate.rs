//! What a client's certificate says. That it was signed by the right CA, and holds, was checked before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::text::escape;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{AGENTS, Caller, Identity, READERS};

/// Names in one certificate; a node has one, and perhaps one with its domain.
const MAX_NAMES: usize = 16;

/// The caller whose certificate this is; the error says why it is nobody's.
pub(crate) fn caller(der: &[u8]) -> Result<Caller, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("it does not read: {error}"))?;
    let subject = certificate.subject();
    let organisations = subject.iter_organization().filter_map(|o| o.as_str().ok());
    let organisations: Vec<_> = organisations.collect();
    let is = |organisation| organisations.contains(&organisation);
    let units = subject.iter_organizational_unit();
    let mut clusters: Vec<_> = units.filter_map(|unit| unit.as_str().ok()).collect();
    clusters.dedup();
    if clusters.len() > 1 {
        return Err(format!(
            "it has {} OUs, and OU is the one cluster of its node",
            clusters.len()
        ));
    }
    let common = subject
        .iter_common_name()
        .filter_map(|name| name.as_str().ok());
    let alternative = certificate
        .subject_alternative_name()
        .map_err(|error| format!("its names do not read: {error}"))?;
    let alternative = alternative
        .iter()
        .flat_map(|names| &names.value.general_names);
    let dns = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    let mut names: Vec<String> = Vec::new();
    for name in common.chain(dns) {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() || names.len() > MAX_NAMES {
        return Err(format!(
            "it has {} names, not between 1 and {MAX_NAMES}",
            names.len()
        ));
    }
    let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
    let identity = |nodes| {
        Arc::new(Identity {
            name: escape(format!("certificate {}", names[0]).as_bytes()),
            cluster: clusters.first().map(|&cluster| cluster.to_owned()),
            nodes,
            expires: SystemTime::UNIX_EPOCH + Duration::from_secs(end),
        })
    };
    match (is(AGENTS), is(READERS)) {
        (true, false) => Ok(Caller::Agent(identity(names.clone()))),
        (false, true) => Ok(Caller::Reader(identity(Vec::new()))),
        (true, true) => Err(format!("its O is both {AGENTS} and {READERS}")),
        (false, false) => Err(format!("its O is neither {AGENTS} nor {READERS}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn check(common: &str, organisations: &[&str], dns: &[&str], expected: Result<&[&str], &str>) {
        let dns: Vec<_> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(dns.clone()).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !common.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common);
        }
        for organisation in organisations {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *organisation);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signs");
        match (caller(certificate.der()), expected) {
            (Ok(Caller::Agent(agent)), Ok(nodes)) => assert_eq!(agent.nodes, nodes),
            (Ok(Caller::Reader(reader)), Ok([])) => assert!(reader.nodes.is_empty()),
            (Err(error), Err(part)) if error.contains(part) => {}
            (got, _) => panic!("{common} {organisations:?} {dns:?}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn names_and_roles() {
        check("node-1", &[AGENTS], &[], Ok(&["node-1"]));
        check("", &[AGENTS], &["node-1"], Ok(&["node-1"]));
        check("n", &[AGENTS], &["n", "n.example"], Ok(&["n", "n.example"]));
        check("alice", &[READERS], &[], Ok(&[]));
        check("node-1", &[], &[], Err("neither"));
        check("node-1", &["archtrace:admins"], &[], Err("neither"));
        check("", &[AGENTS], &[], Err("0 names"));
    }

    #[test]
    fn a_unit_is_the_cluster() {
        let cluster = |units: &[&str]| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            let names = &mut params.distinguished_name;
            names.push(DnType::CommonName, "node-1");
            names.push(DnType::OrganizationName, AGENTS);
            for unit in units {
                names.push(DnType::OrganizationalUnitName, *unit);
            }
            let key = KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("signs");
            match caller(certificate.der()) {
                Ok(Caller::Agent(agent)) => Ok(agent.cluster.clone()),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error),
            }
        };
        assert_eq!(cluster(&[]), Ok(None));
        assert_eq!(cluster(&["prod"]), Ok(Some("prod".to_owned())));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(caller(&bytes).is_err());
        }
    }
}
