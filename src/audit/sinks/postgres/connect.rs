//! Connections to PostgreSQL, and what their failures mean.
//!
//! Promises: TLS is verified with the host's name; in the clear only where the options say so; passwords and certificates are
//! read anew for each connection; a connection ends with its handle. No message holds a password.

use std::path::PathBuf;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Connection, NoTls};

use super::tls::PostgresTls;
use crate::audit::sinks::fault::{SinkError, SinkFault};
use crate::audit::sinks::post::{secret, unusable};
use crate::audit::sinks::target::blocking;
use crate::net::connector::{explain, rustls_error};
use crate::net::remote::causes;
use crate::net::tls_client::ClientTlsOptions;

/// How the database is reached.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Hosts, ports, database and user; never a password.
    pub config: Config,
    /// The file with the user's password, if there is one.
    pub password_file: Option<PathBuf>,
    /// Whether and how the connection is protected.
    pub security: Security,
    /// For one exchange.
    pub timeout_ms: u64,
}

/// Whether a connection is protected.
#[derive(Clone, Debug)]
pub enum Security {
    /// In the clear: to this very machine, or because the configuration says so.
    Plain,
    /// By TLS, verified.
    Tls(ClientTlsOptions),
}

impl PostgresOptions {
    /// The password and what TLS needs, as their files are now. Blocks on the file system.
    fn read(&self, now_ms: i64) -> Result<(Option<String>, Option<ClientConfig>), SinkError> {
        let password = self.password_file.as_deref().map(secret).transpose()?;
        let tls = match &self.security {
            Security::Plain => None,
            Security::Tls(tls) => Some(tls.make(now_ms).map_err(|error| unusable(&error))?.value),
        };
        Ok((password, tls))
    }
}

/// A connection.
pub struct Session {
    /// What statements are sent with.
    pub client: Client,
    task: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Files that cannot be used, no connection, or a server that does not let us in.
    pub async fn open(options: &PostgresOptions, now_ms: i64) -> Result<Self, SinkError> {
        let mut config = options.config.clone();
        let limit = Duration::from_millis(options.timeout_ms);
        config
            .application_name("lockkeeper")
            .connect_timeout(limit)
            .tcp_user_timeout(limit)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let files = options.clone();
        let (password, tls) = blocking(move || files.read(now_ms)).await??;
        if let Some(password) = password {
            config.password(password);
        }
        let (client, task) = match tls {
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config.connect(NoTls).await.map_err(|e| failed(&e))?;
                (client, drive(connection))
            }
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let connected = config.connect(PostgresTls::new(tls)).await;
                let (client, connection) = connected.map_err(|e| failed(&e))?;
                (client, drive(connection))
            }
        };
        let session = Self { client, task };
        session.require_utf8().await?;
        Ok(session)
    }

    /// Lines are UTF-8 and are kept as text.
    async fn require_utf8(&self) -> Result<(), SinkError> {
        let row = self.client.query_one("show server_encoding", &[]).await.map_err(|e| failed(&e))?;
        let encoding: String = row.try_get(0).map_err(|e| failed(&e))?;
        if encoding == "UTF8" {
            return Ok(());
        }
        let detail = format!(
            "the database's encoding is {encoding}: make one with `create database … encoding 'UTF8'`"
        );
        Err(SinkError::new(SinkFault::Refused, detail))
    }
}

/// Drives a connection until it ends; its failure is also that of the statement that waits.
fn drive<S, T>(connection: Connection<S, T>) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    })
}

/// What a failure of the client means.
#[must_use]
pub fn failed(error: &tokio_postgres::Error) -> SinkError {
    if let Some(inner) = rustls_error(error) {
        return SinkError::new(SinkFault::Tls, explain(inner));
    }
    let Some(told) = error.as_db_error() else {
        return SinkError::new(SinkFault::Unreachable, causes(error));
    };
    let code = told.code();
    let fault = if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code)
    {
        SinkFault::Credentials
    } else if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(code) {
        SinkFault::Timeout
    } else if ENDING.contains(code) {
        SinkFault::Unreachable
    } else {
        SinkFault::Refused
    };
    // Only the message: what PostgreSQL adds as detail may be a row.
    SinkError::new(fault, format!("{} (SQLSTATE {})", told.message(), code.code()))
}

/// The server ends, starts, or has no room.
const ENDING: [SqlState; 4] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
];
