//! A PostgreSQL of the tests' own [edge]: made in a temporary folder, on a socket there, ended with the test.
//!
//! Promises: never touches another server; runs as an unprivileged user; ends when the test's process does, however that ends,
//! and takes its folder with it.
#![expect(clippy::disallowed_methods, reason = "edge: starts a server, and looks for its programs")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lockkeeper::config::service::sinks::{SinkConfig, SinkPlace};
use tokio_postgres::{Client, Config, NoTls};

use super::rig::sink;

/// A server and its folder.
pub struct Cluster {
    folder: PathBuf,
    /// Where it listens beside its socket, if it does.
    pub port: Option<u16>,
    keeper: Child,
    /// The server ends when nobody holds this any more.
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

/// A database on it.
pub struct Database<'c> {
    cluster: &'c Cluster,
    /// Its name.
    pub name: String,
}

/// The one for tests that leave it running.
pub fn shared() -> &'static Cluster {
    static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&[]));
    &SHARED
}

impl Cluster {
    /// A server with settings of its own; `port` makes it listen on loopback.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("lkpg").tempdir().unwrap().keep();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&folder).arg(programs()).env("LC_ALL", "C");
        for (key, value) in settings {
            keeper.arg(format!("{key} = '{value}'"));
        }
        let port =
            settings.iter().find(|(key, _)| *key == "port").map(|(_, port)| port.parse::<u16>().unwrap());
        // For psql; without a port of its own the socket has the usual name.
        keeper.env("PGPORT", port.unwrap_or(5432).to_string());
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (keeper.stdin.take().unwrap(), BufReader::new(keeper.stdout.take().unwrap()));
        let mut cluster = Self { folder, port, keeper, orders, answers };
        cluster.expect("up");
        cluster
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops the server as a crash does.
    pub fn stop(&mut self) {
        self.order("down");
    }

    /// Puts a file beside its data, that it alone can read.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.folder.join("data").join(name);
        std::fs::write(&path, text).unwrap();
        let owner = std::fs::metadata(self.folder.join("data")).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts it again.
    pub fn go_on(&mut self) {
        self.order("up");
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        self.expect(order);
    }

    fn expect(&mut self, answer: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert_eq!(line.trim(), answer, "{}", log());
    }

    /// A new database without tables.
    pub async fn empty(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("audit{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let owner = connect(self.config("postgres", "owner")).await;
        owner.batch_execute(&format!("create database {name}")).await.unwrap();
        Database { cluster: self, name }
    }

    /// A new database with the store's tables.
    pub async fn store(&self) -> Database<'_> {
        let database = self.empty().await;
        let mut owner = database.connect("owner").await;
        lockkeeper::audit::sinks::postgres::schema::migrate(&mut owner).await.unwrap();
        database
    }

    /// How a user reaches a database over the socket.
    pub fn config(&self, database: &str, user: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).dbname(database).user(user).port(self.port.unwrap_or(5432));
        config
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = writeln!(self.orders, "end");
        let _ = self.keeper.wait();
    }
}

impl Database<'_> {
    /// A connection as a user: `owner`, `writer` or `auditor`.
    pub async fn connect(&self, user: &str) -> Client {
        connect(self.cluster.config(&self.name, user)).await
    }

    /// The database as a sink.
    pub fn sink(&self, name: &str) -> SinkConfig {
        sink(name, self.place(self.cluster.config(&self.name, "writer")))
    }

    /// The same by another way there.
    pub fn place(&self, config: Config) -> SinkPlace {
        SinkPlace::Postgres { config: Box::new(config), password_file: None, is_protected: false }
    }

    /// Its URL as a configuration spells it.
    pub fn url(&self, user: &str) -> String {
        let folder = self.cluster.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{user}@{folder}/{}", self.name)
    }
}

/// Connects; the connection ends with the client.
pub async fn connect(config: Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Where the server's programs are.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    folders.sort();
    folders.retain(|folder| folder.join("initdb").is_file());
    assert!(!folders.is_empty(), "PostgreSQL is missing: scripts/test installs it");
    folders.pop().unwrap()
}

/// Runs the server and does as it is told; when its standard input ends, so does the server. PostgreSQL refuses to run as root.
const KEEPER: &str = r#"
folder=$1 programs=$2
shift 2
as() { "$@"; }
if [ "$(id -u)" -eq 0 ]; then
  user=$(getent passwd postgres nobody | head -n 1 | cut -d: -f1)
  as() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"; }
fi
cd "$folder"
as "$programs/initdb" -D "$folder/data" -U owner -A trust -E UTF8 --locale=C -N > "$folder/log" 2>&1
{
  echo "listen_addresses = ''"
  echo "unix_socket_directories = '$folder'"
  for setting in "$@"; do echo "$setting"; done
} >> "$folder/data/postgresql.conf"
up() { as "$programs/pg_ctl" -D "$folder/data" -l "$folder/data/server.log" -w -t 60 start > /dev/null 2>> "$folder/log"; }
down() { as "$programs/pg_ctl" -D "$folder/data" -m immediate -w stop > /dev/null 2>&1; }
trap '' PIPE
up && as "$programs/psql" -q -h "$folder" -U owner -d postgres -c "
  create role lockkeeper_writer nologin; create role lockkeeper_auditor nologin;
  create role writer login password 'canary-writer' in role lockkeeper_writer;
  create role auditor login in role lockkeeper_auditor;" >> "$folder/log" 2>&1 && echo up
while read -r order; do
  case $order in
    up) up && echo up ;;
    down) down && echo down ;;
    end) break ;;
  esac
done
down
rm -rf "$folder"
"#;
