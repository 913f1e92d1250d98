//! Every way in which the demo CRM says no, with its status and its words.
//!
//! Promises one variant per answer, so that the words live in one place. Never holds a record's values.

use http::StatusCode;

use super::record::quoted;

/// A request that the demo CRM does not fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The integration key is missing or wrong.
    #[error("unauthorized")]
    Unauthorized,
    /// The body is not one JSON object.
    #[error("malformed JSON")]
    MalformedJson,
    /// The path names nothing, or a record that does not exist.
    #[error("not found")]
    NotFound,
    /// The path exists, but not with this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// `sort` names a field that the list cannot be sorted by.
    #[error("unknown sort field")]
    UnknownSortField,
    /// `page` or `per_page` is not a positive number.
    #[error("invalid page")]
    InvalidPage,
    /// A comparison's operand is not a number.
    #[error("invalid filter value")]
    InvalidFilter,
    /// `If-Match` names another version.
    #[error("precondition failed")]
    PreconditionFailed,
    /// A move names a stage that the deal's pipeline does not have.
    #[error("unknown stage")]
    UnknownStage {
        /// The stages that the pipeline has.
        allowed: &'static [&'static str],
    },
    /// A bulk update without a list of ids and an object to set.
    #[error("ids and set are required")]
    BulkIncomplete,
    /// The body or the record it would make is over its limit.
    #[error("body too large")]
    TooLarge,
    /// The table holds as many records as it may.
    #[error("storage full")]
    StorageFull,
}

impl ApiError {
    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::MalformedJson | Self::UnknownSortField | Self::InvalidPage | Self::InvalidFilter => {
                StatusCode::BAD_REQUEST
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::UnknownStage { .. } | Self::BulkIncomplete => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// `{"error":…}`, with the allowed stages where they help.
    pub fn to_json(&self) -> String {
        let message = quoted(&self.to_string());
        match self {
            Self::UnknownStage { allowed } => {
                let names: Vec<String> = allowed.iter().map(|name| quoted(name)).collect();
                format!(r#"{{"error":{message},"allowed":[{}]}}"#, names.join(","))
            }
            _ => format!(r#"{{"error":{message}}}"#),
        }
    }
}
