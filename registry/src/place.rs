//! Where a name leads: never to this machine or its link, unless somebody said so.
//!
//! It is decided by the addresses that are connected to, for whoever owns a name may let it lead anywhere, and
//! elsewhere the next time it is asked.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

type Failure = Box<dyn Error + Send + Sync>;
type Resolving<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Tells all addresses of a name.
pub(crate) type Resolve = fn(Name) -> Resolving<Vec<SocketAddr>>;

/// As this system does.
pub(crate) fn system(name: Name) -> Resolving<Vec<SocketAddr>> {
    Box::pin(async { Ok(GaiResolver::new().call(name).await?.collect()) })
}

/// Resolves names, to where they may lead.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Names without ports that may lead to this machine or its link.
    named: Arc<[String]>,
    resolve: Resolve,
}

/// A name that leads to this machine or its link and to nothing else.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("all its addresses are of this machine or its link")]
pub(crate) struct Local;

impl Local {
    /// Whether it is why something failed.
    pub(crate) fn is_behind(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_behind)
    }
}

impl Places {
    /// These hosts, with their port or without, may be anywhere.
    pub(crate) fn new<'a>(named: impl Iterator<Item = &'a String>, resolve: Resolve) -> Self {
        Self {
            named: named.map(|host| name(host).to_ascii_lowercase()).collect(),
            resolve,
        }
    }

    /// Whether a host may be asked as far as its name says; if it is an address, it is not resolved.
    pub(crate) fn may_ask(&self, host: &str) -> bool {
        let address = address(name(host));
        address.is_none_or(|address| !is_local(address)) || self.may_be_local(host)
    }

    /// Those of a name's addresses that may be asked, if there are any.
    fn allowed(&self, host: &str, mut addresses: Vec<SocketAddr>) -> Option<Vec<SocketAddr>> {
        if !self.may_be_local(host) {
            addresses.retain(|address| !is_local(address.ip()));
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    /// Whether somebody said so: who asks for loopback by its own name, too.
    fn may_be_local(&self, host: &str) -> bool {
        let name = name(host);
        is_loopback(host)
            || self
                .named
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Service<Name> for Places {
    type Response = IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = Resolving<IntoIter<SocketAddr>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let places = self.clone();
        Box::pin(async move {
            let addresses = (places.resolve)(name.clone()).await?;
            let allowed = places.allowed(name.as_str(), addresses);
            Ok(allowed.ok_or(Local)?.into_iter())
        })
    }
}

/// AWS serves its metadata, and credentials of pods, by IPv6 at addresses of this network (fd00:ec2::254, fd00:ec2::23).
const METADATA: [u16; 2] = [0xfd00, 0x0ec2];

/// Whether an address is of this machine, or of its link, where clouds have their metadata: what trusts whoever
/// reaches it. Private networks are where people have registries.
fn is_local(address: IpAddr) -> bool {
    let is_v4 = |address: Ipv4Addr| {
        address.is_loopback()
            || address.is_link_local()
            || address.octets()[0] == 0
            || address.is_broadcast()
            || address.is_multicast()
    };
    match address.to_canonical() {
        IpAddr::V4(address) => is_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address.is_multicast()
                || address.segments()[..2] == METADATA
                || embedded(address).is_some_and(is_v4)
        }
    }
}

/// The IPv4 address that NAT64 (RFC 6052), or a host that still takes compatible addresses, makes of it.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let bits = (u32::from(high) << 16) | u32::from(low);
    matches!(
        [a, b, c, d, e, f],
        [0x64, 0xff9b, 0, 0, 0, 0] | [0, 0, 0, 0, 0, 0]
    )
    .then(|| Ipv4Addr::from_bits(bits))
}

/// A host without its port.
fn name(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// The address that a host is, in whichever form.
fn address(name: &str) -> Option<IpAddr> {
    name.parse().ok().or_else(|| inet_aton(name))
}

/// Whether a host, with a port or without, is this machine by its name: what names lead to is seen when they are
/// resolved.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = name(host);
    let address = address(name).map(|address| address.to_canonical());
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_some_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Whether a host, with a port or without, is an address of this machine or its link.
#[must_use]
pub fn is_local_address(host: &str) -> bool {
    address(name(host)).is_some_and(is_local)
}

/// The older forms of IPv4 addresses, which resolvers take too: 127.1, 0x7f000001 (inet_aton(3)).
fn inet_aton(name: &str) -> Option<IpAddr> {
    let number = |part: &str| match (part.strip_prefix("0x"), part.strip_prefix('0')) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => part.parse().ok(),
    };
    let mut parts = name.split('.').map(number).collect::<Option<Vec<_>>>()?;
    // The last one has the bytes that are left.
    let last = parts.pop()?;
    let mut address = 0_u32;
    for (part, shift) in parts.iter().zip([24, 16, 8]) {
        address |= u32::from(u8::try_from(*part).ok()?) << shift;
    }
    let room = u32::MAX.checked_shr(8 * u32::try_from(parts.len()).ok()?)?;
    (last <= room).then(|| IpAddr::from(Ipv4Addr::from_bits(address | last)))
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};
    use rustls::RootCertStore;

    use super::*;
    use crate::error::RegistryError;
    use crate::transport::{Asked, Options, Transport};

    #[tokio::test]
    async fn nobody_is_connected_to_where_a_name_must_not_lead() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        here.set_nonblocking(true).expect("sets");
        let port = here.local_addr().expect("an address").port();
        let leads_here: Resolve =
            |_| Box::pin(async { Ok::<_, Failure>(vec![SocketAddr::from(([127, 0, 0, 1], 0))]) });
        for (host, is_asked) in [("evil.example", false), ("mine.example", true)] {
            let options = Options {
                plaintext: Vec::new(),
                local: vec!["Mine.example:5000".to_owned()],
                roots: RootCertStore::empty(),
            };
            let transport = Transport::resolving(options, leads_here).expect("a client");
            let uri: Uri = format!("http://{host}:{port}/").parse().expect("a URL");
            let told = transport.send(Asked {
                method: Method::GET,
                uri,
                accept: "*/*",
                authorization: None,
            });
            let accepted = async {
                loop {
                    match here.accept() {
                        Ok(_) => return,
                        Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                    }
                }
            };
            tokio::select! {
                told = told => {
                    let refused = matches!(told, Err(RegistryError::Local { .. }));
                    assert!(refused && !is_asked, "{host}: {told:?}");
                }
                () = accepted => assert!(is_asked, "{host}"),
            }
        }
    }

    fn resolve(host: &str, addresses: &[&str]) -> Option<Vec<String>> {
        let addresses = addresses.iter().map(|address| {
            let address: IpAddr = address.parse().expect(address);
            SocketAddr::new(address, 0)
        });
        let named = ["mine.example".to_owned()];
        let places = Places::new(named.iter(), system);
        let found = places.allowed(host, addresses.collect());
        Some(
            found?
                .iter()
                .map(|address| address.ip().to_string())
                .collect(),
        )
    }

    #[test]
    fn no_name_leads_to_this_machine_or_its_link_unless_it_was_named() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.23",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert_eq!(resolve("evil.example", &[local]), None, "{local}");
            assert_eq!(resolve("not-mine.example", &[local]), None, "{local}");
            let only = |address: &str| {
                let address: IpAddr = address.parse().expect(address);
                Some(vec![address.to_string()])
            };
            assert_eq!(
                resolve("evil.example", &[local, "203.0.113.1"]),
                only("203.0.113.1")
            );
            assert_eq!(resolve("mine.example", &[local]), only(local));
            assert_eq!(resolve("localhost", &[local]), only(local));
        }
        for elsewhere in [
            "10.0.0.1",
            "192.168.1.1",
            "203.0.113.1",
            "fd00:ec3::1",
            "2001:db8::1",
        ] {
            let found = resolve("reg.example", &[elsewhere]);
            assert_eq!(found, Some(vec![elsewhere.to_owned()]));
        }
        assert_eq!(resolve("evil.example", &[]), None);
    }

    #[test]
    fn an_address_is_refused_before_it_is_connected_to() {
        let named = ["169.254.7.7:5000".to_owned(), "Mine.example".to_owned()];
        let places = Places::new(named.iter(), system);
        for (host, may) in [
            ("169.254.169.254", false),
            ("169.254.169.254:80", false),
            ("0xa9fea9fe", false),
            ("169.254.43518:80", false),
            ("[fe80::1]:443", false),
            ("[fd00:ec2::254]", false),
            ("[::ffff:169.254.169.254]:80", false),
            ("169.254.7.7", true),
            // Whoever asks for it by its own name means it.
            ("127.0.0.1:5000", true),
            ("10.0.0.1:5000", true),
            ("reg.example", true),
        ] {
            assert_eq!(places.may_ask(host), may, "{host}");
        }
    }
}
