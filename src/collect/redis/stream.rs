//! The connection below the library: opened by perftop itself, over TCP, a socket or TLS, and with a budget for each answer, so that no
//! server takes more memory than that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::collect::tls;

use super::target::{Address, Target};
use super::trouble::Trouble;

/// Bytes that one answer may have.
pub const MOST: usize = 4 << 20;

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// What is left of the budget of the answer that is read.
#[derive(Clone, Default)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// The next answer may be read.
    pub fn renew(&self) {
        self.0.store(MOST, Ordering::Relaxed);
    }

    /// Nothing is left of it: what came was too large.
    #[must_use]
    pub fn spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A connection.
///
/// A server that is full or protected says so unasked and hangs up. That stands as the answer to whatever is asked first: nothing is read
/// before something was asked, and what cannot be written any more does not hide what was said.
pub struct Stream {
    inner: Box<dyn Both>,
    budget: Budget,
    asked: bool,
    reader: Option<Waker>,
}

/// Opens a connection.
///
/// # Errors
/// Nobody is there, or TLS was refused.
pub async fn open(target: &Target, budget: Budget) -> Result<(Stream, Vec<SocketAddr>), Trouble> {
    let nobody = |e: io::Error| Trouble::Nobody(e.to_string());
    let (inner, dialled): (Box<dyn Both>, Vec<SocketAddr>) = match &target.address {
        Address::Socket(path) => (Box::new(UnixStream::connect(path).await.map_err(nobody)?), Vec::new()),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(nobody)?;
            _ = stream.set_nodelay(true);
            let peer = stream.peer_addr().into_iter().collect();
            match target.tls {
                None => (Box::new(stream), peer),
                Some(trust) => {
                    let over = tls::over(stream, host, trust, &target.certificates).await.map_err(Trouble::Lost)?;
                    (Box::new(over), peer)
                }
            }
        }
    };
    budget.renew();
    Ok((Stream { inner, budget, asked: false, reader: None }, dialled))
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let left = self.budget.0.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("an answer of more than 4 MB")));
        }
        let mut chunk = [0; 16 << 10];
        let room = left.min(buf.remaining()).min(chunk.len());
        let mut part = ReadBuf::new(&mut chunk[..room]);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        if polled.is_ready() {
            buf.put_slice(part.filled());
            self.budget.0.fetch_sub(part.filled().len(), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        polled.map(|written| gone(written, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map(|flushed| gone(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Whoever hung up is found out by reading, behind what was said before.
fn gone<T>(done: io::Result<T>, otherwise: T) -> io::Result<T> {
    match done {
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(otherwise),
        other => other,
    }
}
