//! A way to PostgreSQL that loses the answer to a commit [edge].
#![expect(clippy::disallowed_methods, reason = "edge: sockets of a relay under test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// A relay between two sockets.
pub struct Relay {
    folder: tempfile::TempDir,
    /// How many answers to commits are still to be lost.
    to_lose: Arc<AtomicUsize>,
}

impl Relay {
    /// Relays to the server that listens in a folder.
    pub fn start(server: &Path, to_lose: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to_lose = Arc::new(AtomicUsize::new(to_lose));
        let (server, listener) = (socket(server), UnixListener::bind(socket(folder.path())).unwrap());
        let losing = Arc::clone(&to_lose);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&losing)));
            }
        });
        Self { folder, to_lose }
    }

    /// The folder that clients look for the socket in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many answers are still to be lost.
    pub fn left(&self) -> usize {
        self.to_lose.load(Ordering::SeqCst)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

async fn relay(client: UnixStream, server: UnixStream, to_lose: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_losing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let losing = Arc::clone(&is_losing);
    let up = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let is_commit = buffer[..read].windows(7).any(|window| window.eq_ignore_ascii_case(b"commit\0"));
            let lose = |left: usize| left.checked_sub(1);
            if is_commit && to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
                losing.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        // The server has committed and says so; nobody hears it.
        if is_losing.load(Ordering::SeqCst) || to_client.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    up.abort();
}
