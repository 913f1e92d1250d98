//! A relay between Lockkeeper and Tryton [edge]: it passes bytes on and keeps the head of every request, so that a journey
//! can say what the CRM was asked and that it was not asked.
#![expect(clippy::disallowed_methods, reason = "edge: listens")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::client::WAIT_MAX;

/// A running relay; it ends with the process.
pub struct Relay {
    /// Where Lockkeeper finds it.
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// Listens and passes every connection on.
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || pass_on(stream.unwrap(), to, &seen));
            }
        });
        Self { address, heads }
    }

    /// The heads of all requests since the last call, in order.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One connection. Tryton closes each after its answer, so it carries one request.
fn pass_on(mut caller: TcpStream, to: SocketAddr, seen: &Mutex<Vec<String>>) {
    caller.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match caller.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let text = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    let mut crm = TcpStream::connect_timeout(&to, WAIT_MAX).unwrap();
    crm.write_all(&head).unwrap();
    let (mut body_from, mut body_to) = (caller.try_clone().unwrap(), crm.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut body_from, &mut body_to));
    let _ = std::io::copy(&mut crm, &mut caller);
    let _ = caller.shutdown(Shutdown::Both);
}
