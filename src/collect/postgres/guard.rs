//! What stands between the library and a server: perftop opens the connection itself and hands it on through a socket of its own, over
//! which no message and no answer passes that would take much memory. The library reserves what a server announces, before it has let us
//! in and afterwards; nothing of that reaches it.
//! What never lives here: which statements are asked, passwords (they pass through unread).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::collect::tls;

use super::frames::{FOREIGN, Frames, Refused};
use super::target::{Address, Target};
use super::trouble::Trouble;

/// Ends the connection when it is dropped; knows why it ended it before.
pub struct Guard {
    told: Arc<Told>,
    relay: Option<JoinHandle<()>>,
}

/// What the relay tells.
#[derive(Default)]
struct Told {
    /// Why it ended the connection.
    reason: OnceLock<String>,
    /// The server asked for a password.
    asked: AtomicBool,
    /// It did, and there is none.
    lacking: AtomicBool,
}

impl Guard {
    /// The server asked for a password: what was sent is one.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// Why the library has no answer: what the guard knows of it comes first.
    #[must_use]
    pub fn trouble(&self, error: &sqlx::Error) -> Trouble {
        if self.told.lacking.load(Ordering::Relaxed) {
            return Trouble::Refused {
                code: NO_PASSWORD.into(),
                message: match super::credentials::left_alone() {
                    Some(why) => format!("password required, none configured; {why}"),
                    None => "password required, none configured".into(),
                },
                asked: false,
            };
        }
        match (self.told.reason.get(), Trouble::of(error)) {
            (Some(why), _) => Trouble::Lost(why.clone()),
            (None, Trouble::Refused { code, message, .. }) => Trouble::Refused { code, message, asked: self.asked() },
            (None, other) => other,
        }
    }

    /// Lets the relay pass on what was said last.
    pub async fn finish(mut self) {
        if let Some(relay) = self.relay.as_mut() {
            _ = relay.await;
        }
    }
}

/// SQLSTATE of a password that is wrong, or missing.
const NO_PASSWORD: &str = "28P01";

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(relay) = &self.relay {
            relay.abort();
        }
    }
}

/// A connection to a server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the server, with TLS where the target says so.
///
/// # Errors
/// What the system, the server or its certificate said.
pub async fn reach(target: &Target) -> io::Result<Box<dyn Stream>> {
    let host = match &target.address {
        Address::Socket(dir) => {
            let path = dir.join(format!(".s.PGSQL.{}", target.port));
            return Ok(Box::new(UnixStream::connect(path).await?));
        }
        Address::Tcp(host) => host,
    };
    let dial = async || {
        let stream = TcpStream::connect((host.as_str(), target.port)).await?;
        // Each batch is one write and one answer.
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    };
    let mut stream = dial().await?;
    let Some((may_be_plain, trust)) = target.encryption() else { return Ok(Box::new(stream)) };
    /// SSLRequest: its length, and the number that stands where the version would.
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&REQUEST).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    match answer[0] {
        b'S' => match tls::over(stream, host, trust, &target.certificates).await {
            Ok(over) => Ok(Box::new(over)),
            // As libpq has it for `prefer`: without, if it cannot be had with.
            Err(_) if may_be_plain => Ok(Box::new(dial().await?)),
            Err(why) => Err(io::Error::other(why)),
        },
        b'N' if may_be_plain => Ok(Box::new(stream)),
        b'N' => Err(io::Error::other("the server does not support TLS; use sslmode=disable to connect without it")),
        b'E' => Err(io::Error::other("the server closed the connection before the first message")),
        _ => Err(io::Error::other(FOREIGN)),
    }
}

/// Puts a guard before a connection: the directory of the socket behind which it is, for the library, and the guard.
///
/// # Errors
/// When no socket can be had.
pub fn before(server: Box<dyn Stream>, port: u16, has_password: bool) -> io::Result<(PathBuf, Guard)> {
    // An abstract socket: it has a name and no file. Any process can see the name and connect; only our own process is accepted.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(RandomState::new().build_hasher().finish());
    let dir = PathBuf::from(format!("\0perftop-{}-{:016x}", std::process::id(), hasher.finish()));
    let listener = UnixListener::bind(format!("{}/.s.PGSQL.{port}", dir.display()))?;
    let told = Arc::new(Told::default());
    let telling = told.clone();
    let relay = tokio::spawn(async move {
        if let Ok(client) = ours(listener).await {
            relay(client, server, &telling, has_password).await;
        }
    });
    Ok((dir, Guard { told, relay: Some(relay) }))
}

/// The first connection that comes from our own process; all others are closed at once.
async fn ours(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (client, _) = listener.accept().await?;
        let pid = client.peer_cred()?.pid();
        if pid.is_some_and(|pid| u32::try_from(pid).is_ok_and(|pid| pid == std::process::id())) {
            return Ok(client);
        }
    }
}

/// Passes on what either side says, until one of them ends or the server says too much; that is told before the library sees the end.
async fn relay(client: UnixStream, server: Box<dyn Stream>, told: &Told, has_password: bool) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.into_split();
    let up = async {
        _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        _ = to_server.shutdown().await;
    };
    let down = async {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let n = match from_server.read(&mut buffer).await {
                Ok(0) => return,
                Ok(n) => n,
                // What TLS says of our certificate comes after the handshake.
                Err(e) => {
                    if e.kind() == io::ErrorKind::InvalidData {
                        _ = told.reason.set(format!("TLS: {e}"));
                    }
                    return;
                }
            };
            if let Err(Refused(why)) = frames.pass(&buffer[..n]) {
                _ = told.reason.set(why);
                return;
            }
            if frames.asks_for_password() {
                told.asked.store(true, Ordering::Relaxed);
                // An empty one would be a failed login in the server's log, again and again.
                if !has_password {
                    told.lacking.store(true, Ordering::Relaxed);
                    return;
                }
            }
            if to_client.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
