//! URLs of servers: their parts, and whether a secret stands in one.

/// Authority and query of a URL.
#[must_use]
pub fn split(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    (authority, rest.split_once('?').map_or("", |(_, query)| query))
}

/// `%40` becomes `@`.
#[must_use]
pub fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok())).flatten();
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The host is this one by its name.
#[must_use]
pub fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// True when a URL holds a password, which has no place on a command line.
#[must_use]
pub fn has_password(url: &str) -> bool {
    let (authority, query) = split(url);
    let in_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, p)| !p.is_empty()));
    let secret = |p: &str| {
        p.split_once('=').is_some_and(|(name, value)| name.to_ascii_lowercase().ends_with("password") && !value.is_empty())
    };
    in_user || query.split('&').any(secret)
}
