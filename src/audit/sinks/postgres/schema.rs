//! The tables of the store: numbered migrations, which stand in the program, and the version that a store has.
//!
//! Promises: a migration is applied whole or not at all, by one at a time; a store that is behind or ahead of this program is
//! refused with the way out. Plain SQL: no extension is needed.

use std::fmt::Write as _;

use tokio_postgres::{Client, Error, GenericClient};

use super::connect::failed;
use crate::audit::sinks::fault::{SinkError, SinkFault};

/// The version that this program writes and reads.
pub const VERSION: i32 = 1;

/// What leads to each version.
const MIGRATIONS: [(i32, &str); 1] = [(1, include_str!("../../../../schemas/store/0001.sql"))];

/// The roles that tables are granted to.
const ROLES: &str = include_str!("../../../../schemas/store/roles.sql");

/// What the roles may do.
const GRANTS: &str = include_str!("../../../../schemas/store/grants.sql");

/// Refuses a store of another version than this program's.
///
/// # Errors
/// Another version, no tables, or no connection.
pub async fn require_version(client: &Client) -> Result<(), SinkError> {
    let found = version(client).await.map_err(|error| failed(&error))?;
    let detail = match found {
        VERSION => return Ok(()),
        0 => "the database has no tables for the ledger: run `lockkeeper audit store migrate`".to_owned(),
        ..VERSION => format!(
            "the tables have version {found}, this program writes {VERSION}: run `lockkeeper audit store migrate`"
        ),
        _ => format!(
            "the tables have version {found}, this program knows only {VERSION}: run the program that migrated them"
        ),
    };
    Err(SinkError::new(SinkFault::StoreVersion, detail))
}

/// The version of the tables; 0 where there are none.
///
/// # Errors
/// No connection, or no right to look.
pub async fn version(client: &impl GenericClient) -> Result<i32, Error> {
    // Asked first: a statement that fails would end the transaction around it.
    let is_there = client.query_one(HAS_TABLE, &[]).await?.try_get::<_, bool>(0)?;
    if !is_there {
        return Ok(0);
    }
    client.query_one("select coalesce(max(version), 0) from lockkeeper.migration", &[]).await?.try_get(0)
}

/// Brings the tables to this program's version. Returns the version that they had.
///
/// # Errors
/// Tables of a newer version, no right to make them, or no connection; what was applied until then stays.
pub async fn migrate(client: &mut Client) -> Result<i32, SinkError> {
    let step = |error: Error| failed(&error);
    let before = version(client).await.map_err(step)?;
    if before > VERSION {
        require_version(client).await?;
    }
    let roles = client.query_one(HAS_ROLES, &[]).await.and_then(|row| row.try_get::<_, bool>(0));
    if !roles.map_err(step)? {
        client.batch_execute(ROLES).await.map_err(|error| {
            let SinkError { fault, detail } = failed(&error);
            let way_out = "run what `lockkeeper audit store migrate --print` prints first as a user who may create roles";
            SinkError::new(fault, format!("the roles are missing and cannot be made, {way_out}: {detail}"))
        })?;
    }
    for (number, sql) in MIGRATIONS {
        let tx = client.transaction().await.map_err(step)?;
        tx.batch_execute("select pg_advisory_xact_lock(7236816, 2)").await.map_err(step)?;
        // Looked at under the lock: another may have migrated meanwhile.
        if version(&tx).await.map_err(step)? >= number {
            continue;
        }
        tx.batch_execute(sql).await.map_err(step)?;
        tx.execute(DONE, &[&number]).await.map_err(step)?;
        tx.commit().await.map_err(step)?;
    }
    client.batch_execute(GRANTS).await.map_err(step)?;
    Ok(before)
}

/// Everything as one script.
#[must_use]
pub fn script() -> String {
    let mut text = format!("{ROLES}\n");
    for (number, sql) in MIGRATIONS {
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "begin;\n{sql}\ninsert into lockkeeper.migration (version) values ({number});\ncommit;\n"
        );
    }
    text + GRANTS
}

const HAS_TABLE: &str = "select to_regclass('lockkeeper.migration') is not null";

const HAS_ROLES: &str = "select count(*) = 2 from pg_catalog.pg_roles where rolname in ('lockkeeper_writer', 'lockkeeper_auditor')";

const DONE: &str = "insert into lockkeeper.migration (version) values ($1)";
