//! The connection below the library: opened by perftop itself, over TCP, a socket or TLS, and with a budget for each answer, so that no
//! server takes more memory than that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

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
pub struct Stream {
    inner: Box<dyn Both>,
    budget: Budget,
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
    Ok((Stream { inner, budget }, dialled))
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
