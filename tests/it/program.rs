//! The real program as a child, for tests of what only a process of its own can show.
#![expect(clippy::disallowed_methods, reason = "edge: starts the program and looks at its memory")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use lockkeeper::testkit::client::PATIENCE;
use lockkeeper::testkit::folder::TestFolder;
use tokio::time::timeout;

/// The program, running.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Starts it on a free port and waits until it serves.
    pub async fn start(folder: &TestFolder) -> Self {
        Self::start_under(&[], folder).await
    }

    /// The same as the last arguments of another program, which becomes it, or starts beside it.
    pub async fn start_under(other: &[&str], folder: &TestFolder) -> Self {
        Self::begin(other, folder, [Stdio::null(), Stdio::null()]).await
    }

    /// The same with its standard output and standard error.
    pub async fn start_into(folder: &TestFolder, out: Stdio, error: Stdio) -> Self {
        Self::begin(&[], folder, [out, error]).await
    }

    async fn begin(other: &[&str], folder: &TestFolder, [out, error]: [Stdio; 2]) -> Self {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        folder.edit("lockkeeper.toml", |text| {
            let (before, listen) = text.split_once("[listen]\n").unwrap();
            let line = listen.lines().find(|line| line.starts_with("address = ")).unwrap();
            format!("{before}[listen]\n{}", listen.replacen(line, &format!("address = \"{address}\""), 1))
        });
        let words = [other, &[env!("CARGO_BIN_EXE_lockkeeper"), "serve", "--config"]].concat();
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg(folder.path().join("lockkeeper.toml"))
            .stdout(out)
            .stderr(error)
            .spawn()
            .unwrap();
        let mut program = Self { child, address };
        timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(program.child.try_wait().unwrap().is_none(), "the program did not start");
                lockkeeper::testkit::a_moment().await;
            }
        })
        .await
        .unwrap();
        program
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a supervisor does.
    pub fn end(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Waits until it has ended by what was done to it.
    pub async fn ended(&mut self) {
        let ends = timeout(PATIENCE, async {
            while self.child.try_wait().unwrap().is_none() {
                lockkeeper::testkit::a_moment().await;
            }
        });
        ends.await.unwrap();
    }

    /// SIGKILL on Unix.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Program {
    /// The memory that it holds, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
