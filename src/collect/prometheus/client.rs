//! One question over HTTP: POST, a deadline that the server is told as well, a limit of the answer, no redirect.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client as Http, Method, StatusCode, redirect};

use crate::collect::tls;
use crate::model::foreign::tamed;

use super::target::Target;
use super::trouble::{MOST, Trouble};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(2);
/// Beyond what the server was told, for the way back.
const BEYOND: Duration = Duration::from_millis(500);
/// Of what is no answer so much is said.
const SAID: usize = 120;

/// A way to a server.
pub struct Client {
    http: Http,
    target: Target,
}

/// An answer as it came.
pub struct Answer {
    /// Its bytes.
    pub body: Vec<u8>,
    /// It names a host of VictoriaMetrics in a header.
    pub victoria: bool,
}

impl Client {
    /// Builds it; nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with a certificate.
    pub fn new(target: &Target) -> Result<Self, Trouble> {
        let trust = if target.base.starts_with("https") { target.trust } else { tls::Trust::Anyone };
        let config = tls::config(trust, &target.certificates).map_err(Trouble::Tls)?;
        let builder = Http::builder()
            .tls_backend_preconfigured(config)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("perftop/", env!("CARGO_PKG_VERSION")));
        let http = builder.build().map_err(|e| Trouble::Tls(e.without_url().to_string()))?;
        Ok(Self { http, target: target.clone() })
    }

    /// Asks one thing; `form` is sent as the body, or, without any, nothing is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, path: &str, form: &[(&str, String)], patience: Duration) -> Result<Answer, Trouble> {
        let asked = self.send(path, form, patience);
        match tokio::time::timeout(patience + BEYOND, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Trouble::Silent(format!("no answer within {} s", (patience + BEYOND).as_secs_f32()))),
        }
    }

    async fn send(&self, path: &str, form: &[(&str, String)], patience: Duration) -> Result<Answer, Trouble> {
        let method = if form.is_empty() { Method::GET } else { Method::POST };
        let mut request = self.http.request(method, format!("{}{path}", self.target.base)).headers(self.headers());
        if !form.is_empty() {
            let mut body = String::new();
            let timeout = ("timeout", format!("{}ms", patience.as_millis()));
            for (name, value) in form.iter().chain([&timeout]) {
                body.push_str(if body.is_empty() { "" } else { "&" });
                body.push_str(name);
                body.push('=');
                encode(value, &mut body);
            }
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        if let Some(token) = self.target.token() {
            request = request.bearer_auth(token.reveal());
        } else if let Some(user) = &self.target.user {
            request = request.basic_auth(user, self.target.secret().as_ref().map(|p| p.reveal().as_str()));
        }
        let mut response = request.send().await.map_err(|e| of(&e))?;
        let (status, victoria) = (response.status(), response.headers().contains_key("x-server-hostname"));
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or("nowhere").to_owned();
            return Err(Trouble::Elsewhere(place(&to)));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Trouble::Denied(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| of(&e))? {
            body.extend_from_slice(&piece);
            // What is no answer is only looked at. Its type says little: some call an answer text.
            if !is_object(&body) && body.len() > SAID * 4 {
                break;
            }
            if body.len() > MOST {
                return Err(Trouble::TooLarge);
            }
        }
        if !is_object(&body) {
            return Err(no_answer(status, &body));
        }
        Ok(Answer { body, victoria })
    }

    fn headers(&self) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in self.target.headers() {
            if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal().as_str())) {
                value.set_sensitive(true);
                all.insert(name, value);
            }
        }
        all
    }
}

/// It begins as an answer does.
fn is_object(body: &[u8]) -> bool {
    body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

/// Scheme and host of where we are sent: the rest may hold anything.
fn place(location: &str) -> String {
    let end = location.find("://").map_or(0, |at| at + 3);
    let host = location[end..].find(['/', '?', '#']).map_or(location.len(), |at| end + at);
    let host = &location[..host];
    let shown = host.rsplit_once('@').map_or(host, |(_, host)| host);
    tamed(if shown.is_empty() { "another page of its own" } else { shown }).chars().take(SAID).collect()
}

fn no_answer(status: StatusCode, body: &[u8]) -> Trouble {
    let text = String::from_utf8_lossy(&body[..body.len().min(SAID * 4)]).into_owned();
    let text = tamed(text.trim()).replace('\u{fffd}', " ");
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title.to_owned());
    let html = text.trim_start().starts_with('<');
    let said: String = title.unwrap_or(text).chars().take(SAID).collect();
    match (status.as_u16(), html) {
        (404, _) => Trouble::Other("no /api/v1 at this URL (404): check the path prefix".into()),
        (200, true) => Trouble::Other(format!("a page ({said})")),
        // Gateways and proxies answer so on its behalf.
        (code @ (502..=504 | 429), _) => Trouble::Refused { kind: format!("{code}"), says: said },
        (code, true) => Trouble::Other(format!("{code}, a page ({said})")),
        (code, false) => Trouble::Refused { kind: format!("{code}"), says: said },
    }
}

/// What the library says, without the URL.
fn of(error: &reqwest::Error) -> Trouble {
    let mut why = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        why = deeper.to_string();
        source = deeper.source();
    }
    let why: String = tamed(&why).chars().take(200).collect();
    if error.is_timeout() {
        Trouble::Silent("no connection within 2 s".into())
    } else if why.contains("certificate") || why.contains("tls") || why.contains("TLS") || why.contains("corrupt message") {
        Trouble::Tls(format!("TLS: {why}"))
    } else if error.is_connect() {
        Trouble::Nobody(why)
    } else {
        Trouble::Silent(if why.is_empty() { "the connection broke".into() } else { format!("the connection broke: {why}") })
    }
}

/// As a form writes it.
fn encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_sends_us_is_said_without_secrets() {
        assert_eq!(place("https://user:secret@login.example/auth?token=x"), "login.example");
        assert_eq!(place("https://login.example/auth?token=x"), "https://login.example");
        assert_eq!(place("/login?next=x"), "another page of its own");
    }

    #[test]
    fn a_page_is_told_from_a_gateway_that_fails() {
        let page = no_answer(StatusCode::OK, b"<!doctype html><html><title>Grafana\x1b[2J</title>");
        assert_eq!(page, Trouble::Other("a page (Grafana [2J)".into()));
        assert!(matches!(no_answer(StatusCode::BAD_GATEWAY, b"<html>x"), Trouble::Refused { .. }));
        assert!(matches!(no_answer(StatusCode::NOT_FOUND, b"404 page not found"), Trouble::Other(_)));
    }
}
