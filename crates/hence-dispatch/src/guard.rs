//! The outbound guard: which addresses a request of ours may be sent to.
//!
//! Owns: checking a URL before anything is sent ([`checked_url`]), joining a path to a target's address
//! ([`joined`]), and the resolver that gives a connection only addresses that were checked ([`GuardedResolver`]), so
//! that the address checked is the address dialled. Leaves to others: the connection itself, redirects (off).
//!
//! Invariants: everything but global unicast is denied unless the operator opened the target to private networks; an
//! IPv4 address inside an IPv6 address is judged as the IPv4 address; the cloud's metadata services are never
//! reached; a name with one denied address is denied whole.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::port::Problem;

/// How far requests of a target may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Global unicast addresses only.
    Public,
    /// Loopback and private networks too, never metadata services.
    Private,
}

/// What a target's address may look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// How far it may reach.
    pub(crate) reach: Reach,
    /// Whether plain HTTP is allowed.
    pub(crate) allow_http: bool,
}

/// An address or a URL that the guard denied; found again in the source chain of a failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied(String);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        Problem::new("address-denied", denied.0)
    }
}

/// Ports that may be dialled without opening a target to private networks.
const HTTPS_PORTS: [u16; 2] = [443, 8443];
/// Ports that may be dialled over plain HTTP, where a target allows that.
const HTTP_PORTS: [u16; 2] = [80, 8080];
/// Longest host name the DNS can carry.
const HOST_BYTES_MAX: usize = 253;

/// Parses a URL and checks all that can be seen without asking the DNS.
///
/// # Errors
/// [`Denied`], with the part that is not allowed.
pub(crate) fn checked_url(text: &str, policy: Policy) -> Result<Url, Denied> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Denied("the address has spaces, control characters or backslashes".into()));
    }
    let url = Url::parse(text).map_err(|error| Denied(format!("the address is no URL: {error}")))?;
    check_parts(&url, policy)?;
    check_host(&url, policy.reach)?;
    Ok(url)
}

/// Scheme, user, fragment and port.
fn check_parts(url: &Url, policy: Policy) -> Result<(), Denied> {
    let ports = match url.scheme() {
        "https" => HTTPS_PORTS,
        "http" if policy.allow_http => HTTP_PORTS,
        "http" => {
            return Err(Denied("plain http is not allowed; use https, or allow http for this target".into()));
        }
        other => return Err(Denied(format!("`{other}` is not allowed; use https"))),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Denied("the address has a user or a password in it; use a header".into()));
    }
    if url.fragment().is_some() {
        return Err(Denied("the address has a fragment (`#`)".into()));
    }
    let port = url.port_or_known_default().unwrap_or(0);
    if policy.reach == Reach::Public && !ports.contains(&port) {
        return Err(Denied(format!(
            "port {port} is not allowed; use {} or {}, or open the target to private networks",
            ports[0], ports[1]
        )));
    }
    if port == 0 {
        return Err(Denied("port 0 is not allowed".into()));
    }
    Ok(())
}

/// A literal address is judged at once, a name by its form; what a name resolves to is judged when it is dialled.
fn check_host(url: &Url, reach: Reach) -> Result<(), Denied> {
    match url.host() {
        None => Err(Denied("the address has no host".into())),
        Some(Host::Ipv4(address)) => check_address(IpAddr::V4(address), reach),
        Some(Host::Ipv6(address)) => check_address(IpAddr::V6(address), reach),
        Some(Host::Domain(name)) => check_name(name, reach),
    }
}

/// Checks a host name without resolving it.
fn check_name(name: &str, reach: Reach) -> Result<(), Denied> {
    let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if bare.is_empty() || bare.len() > HOST_BYTES_MAX {
        return Err(Denied(format!("the host name is empty or longer than {HOST_BYTES_MAX} bytes")));
    }
    if bare.split('.').any(|label| {
        label.is_empty() || label.len() > 63 || !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }) {
        return Err(Denied(format!("`{bare}` is no host name")));
    }
    const METADATA: [&str; 5] =
        ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];
    if METADATA.contains(&bare.as_str()) {
        return Err(Denied(format!("`{bare}` is a metadata service")));
    }
    let is_local = bare == "localhost" || bare.ends_with(".localhost");
    if reach == Reach::Public && is_local {
        return Err(Denied(format!("`{bare}` is this machine; open the target to private networks if that is meant")));
    }
    Ok(())
}

/// Checks one address, after taking out an IPv4 address embedded in it.
pub(crate) fn check_address(address: IpAddr, reach: Reach) -> Result<(), Denied> {
    let kind = match address {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    };
    match (kind, reach) {
        (Kind::Global, _) | (Kind::Private, Reach::Private) => Ok(()),
        (Kind::Private, Reach::Public) => {
            Err(Denied(format!("{address} is in a private network; open the target to private networks if that is meant")))
        }
        (Kind::Metadata, _) => Err(Denied(format!("{address} is a metadata service"))),
        (Kind::Special, _) => Err(Denied(format!("{address} is not a unicast address to send to"))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Global,
    Private,
    Metadata,
    Special,
}

/// A network given by its first address; all callers give a prefix that fits.
const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

/// Networks an operator may open.
const V4_PRIVATE: [Ipv4Net; 5] = [v4(10, 0, 0, 8), v4(100, 64, 0, 10), v4(127, 0, 0, 8), v4(172, 16, 0, 12), v4(192, 168, 0, 16)];

/// This network, link local, protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved.
const V4_SPECIAL: [Ipv4Net; 10] = [
    v4(0, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// Metadata services: most clouds; Alibaba; Oracle's and Azure's platform addresses.
const V4_METADATA: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

fn kind_of_v4(address: Ipv4Addr) -> Kind {
    if V4_METADATA.contains(&address) {
        Kind::Metadata
    } else if V4_SPECIAL.iter().any(|net| net.contains(&address)) {
        Kind::Special
    } else if V4_PRIVATE.iter().any(|net| net.contains(&address)) {
        Kind::Private
    } else {
        Kind::Global
    }
}

/// A network given by its first two groups; all callers give a prefix that fits.
const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// All global unicast addresses that are given out.
const V6_GLOBAL: Ipv6Net = v6(0x2000, 0, 3);

/// Protocol assignments with Teredo, documentation, 6to4, documentation again: inside the global range, not global.
const V6_SPECIAL: [Ipv6Net; 4] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

/// Amazon's metadata service over IPv6.
const V6_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn kind_of_v6(address: Ipv6Addr) -> Kind {
    if address == Ipv6Addr::LOCALHOST {
        return Kind::Private;
    }
    if let Some(v4) = embedded_v4(address) {
        return kind_of_v4(v4);
    }
    match (kind_by_prefix(address), isatap_v4(address).map(kind_of_v4)) {
        // The network decides first: an address of a private one that looks like ISATAP is private.
        (Kind::Global, Some(embedded)) => embedded,
        (kind, _) => kind,
    }
}

fn kind_by_prefix(address: Ipv6Addr) -> Kind {
    if address == V6_METADATA {
        Kind::Metadata
    } else if v6(0xfc00, 0, 7).contains(&address) {
        Kind::Private
    } else if !V6_GLOBAL.contains(&address) || V6_SPECIAL.iter().any(|net| net.contains(&address)) {
        // 6to4, Teredo and local NAT64 are denied whole: whatever IPv4 address they carry, a tunnel decides where it ends.
        Kind::Special
    } else {
        Kind::Global
    }
}

/// The IPv4 address inside `::ffff:0:0/96`, `::ffff:0:0:0/96`, `::/96` or `64:ff9b::/96`.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let groups = address.segments();
    let is_embedded = matches!(
        groups,
        [0, 0, 0, 0, 0, 0xffff, _, _]
            | [0, 0, 0, 0, 0xffff, 0, _, _]
            | [0, 0, 0, 0, 0, 0, _, _]
            | [0x64, 0xff9b, 0, 0, 0, 0, _, _]
    );
    is_embedded.then(|| last_v4(address))
}

/// The IPv4 address inside an ISATAP interface id (RFC 5214).
fn isatap_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _]).then(|| last_v4(address))
}

/// The last 32 bits.
fn last_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., high, low] = address.segments();
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

/// Joins a rendered path to a target's address; the result never leaves it.
///
/// # Errors
/// [`Denied`], when the path does not start with one `/` or tries to climb out.
pub(crate) fn joined(base: &Url, path: &str) -> Result<Url, Denied> {
    let deny = |why: &str| Err(Denied(format!("the path {why}")));
    if !path.starts_with('/') || path.starts_with("//") {
        return deny("has to start with one `/`");
    }
    if path.len() > 4096 {
        return deny("is longer than 4096 bytes");
    }
    if path.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\' || c == '#') {
        return deny("has spaces, control characters, `\\` or `#`; such values have to be percent-encoded");
    }
    let (below, query) = match path.split_once('?') {
        Some((below, query)) => (below, Some(query)),
        None => (path, None),
    };
    let climbs = below.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    });
    if climbs {
        return deny("climbs with `.` or `..`");
    }
    let mut url = base.clone();
    let root = base.path().trim_end_matches('/');
    url.set_path(&format!("{root}{below}"));
    url.set_query(query.or(base.query()));
    // What the parser made of it has to be where the operator pointed.
    let stays = url.origin() == base.origin()
        && url.username().is_empty()
        && url.path().starts_with(root)
        && !url.path()[root.len()..].starts_with("//");
    if stays { Ok(url) } else { deny("leaves the target's address") }
}

/// Percent-encodes a value so that it is one segment of a path, whatever is in it.
pub fn path_segment(value: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Asks for the addresses of a name; a test puts its own answers here.
#[async_trait::async_trait]
pub(crate) trait Lookup: Send + Sync {
    /// All addresses of the name.
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
pub(crate) struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// A resolver for the HTTP client: what it gives out was checked, and is what gets dialled.
pub(crate) struct GuardedResolver {
    pub(crate) reach: Reach,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            check_name(name.as_str(), reach)?;
            let found = lookup.addresses(name.as_str()).await?;
            for address in &found {
                check_address(*address, reach)?;
            }
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
