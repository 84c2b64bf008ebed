//! What stands between the library and a server: perftop opens the connection itself and hands it on through a socket of its own, over
//! which no message and no answer passes that would take much memory. The library reserves what a server announces, before it has let us
//! in and afterwards; nothing of that reaches it.
//! What never lives here: which statements are asked, passwords (they pass through unread).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::AbortHandle;

use crate::collect::tls;

use super::session::Trouble;
use super::target::{Address, Target};

/// A message before the server has let us in: settings, what it wants of us, why it refuses.
const GREETING_MESSAGE: usize = 16 << 10;
/// All of them together.
const GREETING: usize = 128 << 10;
/// A message afterwards: a row, with the longest text of a statement or plan that is asked for.
const MESSAGE: usize = 4 << 20;
/// What an answer may weigh in our memory, all its rows together: 10,000 rows of pg_stat_statements weigh 9 MB.
const ANSWER: usize = 12 << 20;
/// Settings that a server may tell of over time; the library keeps them all.
const SETTINGS: usize = 64 << 10;
/// What the library keeps for each message, each column of a row, and each column that is described, beside its bytes.
const EACH: usize = 160;
const EACH_CELL: usize = 12;
const EACH_COLUMN: usize = 200;

const FOREIGN: &str = "what answers there does not speak the protocol of PostgreSQL";

/// Ends the connection when it is dropped; knows why it ended it before.
pub struct Guard {
    reason: Arc<OnceLock<String>>,
    relay: AbortHandle,
}

impl Guard {
    /// Why the guard ended the connection, if it did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }
}

impl Guard {
    /// Why the library has no answer: what the guard knows of it comes first.
    #[must_use]
    pub fn trouble(&self, error: &sqlx::Error) -> Trouble {
        self.reason().map_or_else(|| Trouble::of(error), |why| Trouble::Lost(why.to_owned()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.relay.abort();
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
    let mut stream = TcpStream::connect((host.as_str(), target.port)).await?;
    // Each batch is one write and one answer.
    stream.set_nodelay(true)?;
    let Some((may_be_plain, trust)) = target.encryption() else { return Ok(Box::new(stream)) };
    /// SSLRequest: its length, and the number that stands where the version would.
    const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&REQUEST).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    match answer[0] {
        b'S' => {
            let over = tls::over(stream, host, trust, &target.certificates).await;
            Ok(Box::new(over.map_err(io::Error::other)?))
        }
        b'N' if may_be_plain => Ok(Box::new(stream)),
        b'N' => Err(io::Error::other("the server does not speak TLS; sslmode=disable does without")),
        // A server from before TLS, or a full one, answers with an error that the library reads.
        _ => Err(io::Error::other(FOREIGN)),
    }
}

/// Puts a guard before a connection: the directory of the socket behind which it is, for the library, and the guard.
///
/// # Errors
/// When no socket can be had.
pub fn before(server: Box<dyn Stream>, port: u16) -> io::Result<(PathBuf, Guard)> {
    // An abstract name: nothing is written, and a number that nobody guesses. Who connects is looked at as well.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(RandomState::new().build_hasher().finish());
    let dir = PathBuf::from(format!("\0perftop-{}-{:016x}", std::process::id(), hasher.finish()));
    let listener = UnixListener::bind(format!("{}/.s.PGSQL.{port}", dir.display()))?;
    let reason = Arc::new(OnceLock::new());
    let told = reason.clone();
    let relay = tokio::spawn(async move {
        if let Ok(client) = ours(listener).await {
            relay(client, server, &told).await;
        }
    });
    Ok((dir, Guard { reason, relay: relay.abort_handle() }))
}

/// The first connection of this very process; nobody else is let near the server.
async fn ours(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (client, _) = listener.accept().await?;
        let pid = client.peer_cred()?.pid();
        if pid.is_some_and(|pid| u32::try_from(pid).is_ok_and(|pid| pid == std::process::id())) {
            return Ok(client);
        }
    }
}

/// The server sent more than is taken: why the connection was ended.
#[derive(Debug, PartialEq, Eq)]
struct Excess(String);

/// Passes on what either side says, until one of them ends or the server says too much; that is told before the library sees the end.
async fn relay(client: UnixStream, server: Box<dyn Stream>, told: &OnceLock<String>) {
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
            let n = from_server.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                return;
            }
            if let Err(Excess(why)) = frames.pass(&buffer[..n]) {
                _ = told.set(why);
                return;
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

/// Follows the messages of a server by their lengths: type, four bytes of length, contents.
#[derive(Debug, Default)]
struct Frames {
    let_in: bool,
    head: [u8; 7],
    have: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    weight: usize,
    settings: usize,
}

impl Frames {
    /// Takes what came.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Excess> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let n = self.left.min(bytes.len());
                self.left -= n;
                bytes = &bytes[n..];
                continue;
            }
            self.head[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            // Rows and their descriptions say next how many columns they have.
            let counted = matches!(self.head[0], b'D' | b'T');
            let length = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]) as usize;
            if self.have < 5 || (counted && length >= 6 && self.have < 7) {
                continue;
            }
            let columns = if counted { usize::from(u16::from_be_bytes([self.head[5], self.head[6]])) } else { 0 };
            self.message(length, columns)?;
            self.left = (length + 1).saturating_sub(self.have);
            (self.have, self.head) = (0, [0; 7]);
        }
        Ok(())
    }

    /// A message begins.
    fn message(&mut self, length: usize, columns: usize) -> Result<(), Excess> {
        // What comes from anything else, be it a web server, makes no sense as a length.
        if !self.let_in && !b"RSKZENv".contains(&self.head[0]) {
            return Err(Excess(FOREIGN.to_owned()));
        }
        let most = if self.let_in { MESSAGE } else { GREETING_MESSAGE };
        if length > most {
            return Err(Excess(format!("it announced a message of {length} bytes; at most {most} are taken")));
        }
        self.weight += length + EACH;
        match self.head[0] {
            b'D' => self.weight += columns * EACH_CELL,
            b'T' => self.weight += columns * EACH_COLUMN,
            b'S' => self.settings += length,
            // Ready for the next question: the answer is whole.
            b'Z' => (self.let_in, self.weight) = (true, 0),
            _ => {}
        }
        let most = if self.let_in { ANSWER } else { GREETING };
        if self.weight > most || self.settings > SETTINGS {
            return Err(Excess(format!("it sent more than {} kB in one answer", most >> 10)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn greeted() -> Frames {
        let mut frames = Frames::default();
        frames.pass(&message(b'R', &[0; 4])).unwrap();
        frames.pass(&message(b'Z', b"I")).unwrap();
        frames
    }

    #[test]
    fn an_announcement_is_refused_before_anything_of_it_passes() {
        let announced =
            |frames: &mut Frames, kind: u8, length: u32| frames.pass(&[&[kind][..], &length.to_be_bytes(), &[0, 1]].concat());
        assert!(announced(&mut Frames::default(), b'R', 2_000_000_000).is_err());
        assert!(announced(&mut Frames::default(), b'E', GREETING_MESSAGE as u32 + 1).is_err());
        assert!(announced(&mut greeted(), b'D', u32::MAX).is_err());
        assert!(announced(&mut greeted(), b'D', 1 << 20).is_ok());
    }

    #[test]
    fn endless_small_ones_are_refused_and_an_honest_answer_is_not() {
        let mut frames = Frames::default();
        let endless = (0..1_000_000).find(|_| frames.pass(&message(b'S', b"a\0b\0")).is_err());
        assert!(endless.is_some_and(|n| n < 1_000), "before it let us in: {endless:?}");
        // Told between answers, they are kept all the same.
        let mut frames = greeted();
        let told =
            |frames: &mut Frames| frames.pass(&message(b'S', &[b'a'; 100])).and_then(|()| frames.pass(&message(b'Z', b"I")));
        assert!((0..1_000_000).any(|_| told(&mut frames).is_err()));
        let mut frames = greeted();
        assert!((0..1_000_000).any(|_| frames.pass(&message(b'D', &[0, 0])).is_err()), "rows of nothing weigh");
        // Ten thousand rows of forty figures, again and again.
        let mut row = vec![0, 40];
        (0..40).for_each(|_| row.extend_from_slice(&[0, 0, 0, 4, b'1', b'2', b'3', b'4']));
        let mut frames = greeted();
        for _ in 0..3 {
            (0..10_000).for_each(|_| frames.pass(&message(b'D', &row)).unwrap());
            frames.pass(&message(b'Z', b"I")).unwrap();
        }
    }

    proptest! {
        /// However the bytes are cut, the messages are the same.
        #[test]
        fn cuts_do_not_matter(cuts in proptest::collection::vec(1usize..9, 0..60), rest: Vec<u8>) {
            let all = [message(b'R', &[0; 4]), message(b'Z', b"I"), message(b'T', &[0, 2, 1, 2]), message(b'D', &[0, 1, 255, 255, 255, 255]), rest].concat();
            let mut whole = Frames::default();
            let expected = whole.pass(&all).is_ok();
            let (mut frames, mut left) = (Frames::default(), &all[..]);
            let mut fine = true;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = left.split_at(cut.min(left.len()));
                fine = fine && frames.pass(now).is_ok();
                left = later;
            }
            prop_assert_eq!(fine, expected);
            prop_assert!(!fine || frames.weight == whole.weight);
        }
    }
}
