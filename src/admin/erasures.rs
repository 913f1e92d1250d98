//! Erases a principal from the table of handles.
//!
//! Promises: the row is gone from the file before the erasure is recorded, and recorded before this answers 200; entries and proofs stay as
//! they are. Never tells whose a handle was.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::body::{self, refused};
use super::{Admin, JSON, reply};
use crate::ledger::entry::{Entry, Erasure};
use crate::model::principal::EntityRef;

/// Where an erasure is asked for.
pub const PATH: &str = "/v1/ledger/erasures";

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    principal: String,
}

impl Admin {
    /// Erases a principal and answers with its handle and the number of the entry.
    pub(super) async fn erase(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Asked { principal } = match body::json(request, FORM).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal,
        };
        let principal = EntityRef::parse(&principal).filter(EntityRef::is_person);
        let Some(principal) = principal else {
            let error = "a principal is written User::\"ID\"; there are User, Service and Agent";
            return refused(StatusCode::BAD_REQUEST, error);
        };
        let (recorder, sidecar) = (&self.sidecar.recorder, Arc::clone(&self.sidecar));
        // The table is written anew: not on a thread that serves.
        let erased = tokio::task::spawn_blocking(move || {
            sidecar.recorder.handles().forget(&principal.type_name, &principal.id)
        });
        let handle = match erased.await {
            Ok(Ok(Some(handle))) => handle,
            Ok(Ok(None)) => return refused(StatusCode::NOT_FOUND, "this principal has no handle"),
            failed => {
                let error = failed.map(|erased| erased.err().map(|error| error.to_string()));
                tracing::error!(?error, "a principal could not be erased");
                return refused(StatusCode::INTERNAL_SERVER_ERROR, "the table of handles cannot be written");
            }
        };
        let erasure = Erasure { handle: handle.clone(), by: "admin-token".to_owned() };
        match recorder.ledger().append(Entry::Erasure(erasure)).await {
            Ok(seq) => reply(StatusCode::OK, JSON, json!({ "handle": handle, "seq": seq }).to_string()),
            Err(error) => {
                tracing::error!(error = %error, handle, "a principal was erased, and the ledger took no entry about it");
                refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the principal is erased; the ledger took no entry about it",
                )
            }
        }
    }
}

const FORM: &str = "{\"principal\": \"User::\\\"ID\\\"\"}";
