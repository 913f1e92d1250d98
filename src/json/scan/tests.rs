//! The scanner against the parser of documents.
