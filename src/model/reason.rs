//! The closed list of reasons: one stable kebab-case code per way in which a request can end without its answer.
//!
//! A code appears alike in the problem document, the ledger, the metrics and `docs/reference/reasons.md`. Each has one
//! class (refuse, deny, fail), one fault and one status; nothing else in the house chooses a status.

use std::fmt;

/// What kind of "no" this is: the three are told apart in codes, metrics and statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// We declined before, or despite, policy: unmapped, malformed, over a limit.
    Refuse,
    /// Policy said no.
    Deny,
    /// Something broke.
    Fail,
}

/// Whose fault an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's request.
    Client,
    /// The CRM or the way to it.
    Upstream,
    /// Lockkeeper itself or its operator.
    Ours,
}

macro_rules! reasons {
    ($( $variant:ident $code:literal $class:ident $fault:ident $status:literal $title:literal; )*) => {
        /// Why a request ended as it did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $( #[doc = $title] $variant, )*
        }

        impl Reason {
            /// Every reason, in the order of the reference.
            pub const ALL: &'static [Reason] = &[ $( Reason::$variant, )* ];

            /// The stable code, e.g. `route-unmapped`.
            pub fn code(self) -> &'static str {
                match self { $( Reason::$variant => $code, )* }
            }

            /// Refused, denied or failed.
            pub fn class(self) -> Class {
                match self { $( Reason::$variant => Class::$class, )* }
            }

            /// Whose fault it is.
            pub fn fault(self) -> Fault {
                match self { $( Reason::$variant => Fault::$fault, )* }
            }

            /// The HTTP status that the caller receives.
            pub fn status(self) -> u16 {
                match self { $( Reason::$variant => $status, )* }
            }

            /// The short title of the problem document.
            pub fn title(self) -> &'static str {
                match self { $( Reason::$variant => $title, )* }
            }
        }
    };
}

reasons! {
    TargetForm "target-form" Refuse Client 400 "The request target must be a path.";
    HostMissing "host-missing" Refuse Client 400 "The request has no Host header.";
    HostDuplicate "host-duplicate" Refuse Client 400 "The request has more than one Host header.";
    HostMalformed "host-malformed" Refuse Client 400 "The Host header is not a host.";
    HostUnlisted "host-unlisted" Refuse Client 421 "This host is not served here.";
    PathNotUtf8 "path-not-utf8" Refuse Client 400 "The path is not valid UTF-8.";
    PathBadEscape "path-bad-escape" Refuse Client 400 "The path has a broken percent escape.";
    PathDoubleEncoding "path-double-encoding" Refuse Client 400 "The path is percent-encoded twice.";
    PathEncodedSlash "path-encoded-slash" Refuse Client 400 "The path has an encoded slash.";
    PathBackslash "path-backslash" Refuse Client 400 "The path has a backslash.";
    PathControl "path-control" Refuse Client 400 "The path has a NUL or control character.";
    PathDotSegment "path-dot-segment" Refuse Client 400 "The path has a dot segment.";
    PathEmptySegment "path-empty-segment" Refuse Client 400 "The path has an empty segment.";
    PathParameter "path-parameter" Refuse Client 400 "The path has a `;` parameter.";
    PathTooLong "path-too-long" Refuse Client 414 "The request target is too long.";
    QueryBadEscape "query-bad-escape" Refuse Client 400 "The query has a broken percent escape.";
    QueryNotUtf8 "query-not-utf8" Refuse Client 400 "The query is not valid UTF-8.";
    QueryControl "query-control" Refuse Client 400 "The query has a control character.";
    QuerySemicolon "query-semicolon" Refuse Client 400 "The query uses `;` as a separator.";
    QueryTooMany "query-too-many" Refuse Client 400 "The query has too many parameters.";
    HeaderUnderscore "header-underscore" Refuse Client 400 "A header name has an underscore.";
    HeaderNotText "header-not-text" Refuse Client 400 "A header value is not visible ASCII text.";
    HeaderTooMany "header-too-many" Refuse Client 431 "The request has too many header fields.";
    ConnectionHeader "connection-header" Refuse Client 400 "The Connection header names a header that is not of the connection.";
    MethodOverride "method-override" Refuse Client 400 "The request tries to override its method.";
    UpgradeRefused "upgrade-refused" Refuse Client 400 "Protocol upgrades are not accepted.";
    BodyCoding "body-coding" Refuse Client 415 "The request body has a coding that is not accepted.";
    BodyType "body-type" Refuse Client 415 "The request body is of a type that this route does not take.";
    BodyUnexpected "body-unexpected" Refuse Client 400 "This route takes no request body.";
    BodyMissing "body-missing" Refuse Client 400 "This route needs a request body.";
    BodyTooLarge "body-too-large" Refuse Client 413 "The request body is too large.";
    BodyUnreadable "body-unreadable" Refuse Client 400 "The request body could not be read to its end.";
    BodyTimeout "body-timeout" Refuse Client 408 "The request body did not arrive in time.";
    FormSyntax "form-syntax" Refuse Client 400 "The request body is not a form that can be read in one way.";
    FormDuplicateKey "form-duplicate-key" Refuse Client 400 "The form repeats a key that may occur once.";
    FormFile "form-file" Refuse Client 415 "The form carries a file, which is not accepted.";
    MultipartRefused "multipart-refused" Refuse Client 400 "The request body is not a form with the parts that this route takes.";
    JsonSyntax "json-syntax" Refuse Client 400 "The request body is not valid JSON.";
    JsonDuplicateKey "json-duplicate-key" Refuse Client 400 "The request body has a duplicate key.";
    JsonDepth "json-depth" Refuse Client 400 "The request body is nested too deep or has too many parts.";
    BodyShape "body-shape" Refuse Client 400 "The request body does not have the shape of this route.";
    HttpUnreadable "http-unreadable" Refuse Client 400 "The request could not be read as HTTP.";
    HeadTimeout "head-timeout" Refuse Client 408 "The request's head did not arrive in time.";
    TlsHandshake "tls-handshake" Refuse Client 400 "The TLS handshake failed.";
    ProxyHeader "proxy-header" Refuse Client 400 "The connection does not begin with a PROXY header that is believed.";
    ConnectionsExhausted "connections-exhausted" Refuse Ours 503 "Too many connections.";
    CredentialMissing "credential-missing" Refuse Client 401 "The request carries no credential.";
    CredentialUnknown "credential-unknown" Refuse Client 401 "The credential is not known.";
    OriginRefused "origin-refused" Refuse Client 403 "Pages of this origin may not do this.";
    OriginMissing "origin-missing" Refuse Client 403 "A change that a cookie vouches for must say from which page it comes.";
    CookieRefused "cookie-refused" Refuse Client 400 "A cookie that this route reads is malformed or stands twice.";
    CredentialsConflict "credentials-conflict" Refuse Client 400 "The request carries more than one credential.";
    TokenMalformed "token-malformed" Refuse Client 401 "The token cannot be read as a signed token.";
    TokenRefused "token-refused" Refuse Client 401 "The token is not accepted.";
    TokenExpired "token-expired" Refuse Client 401 "The token is not valid at this time.";
    CertificateUnknown "certificate-unknown" Refuse Client 401 "The client certificate is nobody's.";
    GatewayUntrusted "gateway-untrusted" Refuse Client 403 "A header that only a trusted gateway may send is not accepted.";
    PrincipalAmbiguous "principal-ambiguous" Refuse Ours 403 "The credential does not lead to exactly one principal.";
    CrmCredentialMissing "crm-credential-missing" Refuse Ours 403 "No credential for the CRM is known for this principal.";
    PrincipalUnknown "principal-unknown" Refuse Client 403 "The principal is not in the directory.";
    PrincipalInactive "principal-inactive" Refuse Client 403 "The principal is not active.";
    AccessWindow "access-window" Refuse Client 403 "The principal's access window is not open.";
    RouteUnmapped "route-unmapped" Refuse Client 403 "No route of the profile matches this request.";
    RouteUndescribed "route-undescribed" Refuse Client 403 "The profile does not describe this route yet.";
    TypeUnknown "type-unknown" Refuse Client 400 "The record type is not one of the profile's.";
    IdMissing "id-missing" Refuse Client 400 "The request names no record id.";
    IdMalformed "id-malformed" Refuse Client 400 "A record id does not have its canonical form.";
    IdConflict "id-conflict" Refuse Client 400 "The request names two different ids for one record.";
    IdTooMany "id-too-many" Refuse Client 400 "The request names too many records.";
    VerbUnlisted "verb-unlisted" Refuse Client 403 "The method named in the request is not listed.";
    QueryUndeclared "query-undeclared" Refuse Client 400 "The query has a parameter that the profile does not declare.";
    QueryRepeated "query-repeated" Refuse Client 400 "The query repeats a parameter that may occur once.";
    FilterTooLarge "filter-too-large" Refuse Client 400 "The request's filter has too many conditions, or is too deep.";
    ReferenceRefused "reference-refused" Refuse Client 403 "The request refers to a field in a way that is not permitted.";
    UnboundedRefused "unbounded-refused" Refuse Client 403 "The change names no records, and the caller is not unrestricted.";
    HeaderRefused "header-refused" Refuse Client 400 "A request header is not accepted on this route.";
    ConditionMalformed "condition-malformed" Refuse Client 400 "A conditional header is malformed.";
    ConditionRefused "condition-refused" Refuse Client 400 "This condition cannot be checked on this request.";
    PreconditionFailed "precondition-failed" Refuse Client 412 "The record is not in the state that the condition names.";
    PagingMalformed "paging-malformed" Refuse Client 400 "A parameter that says which page is wanted is not a number that is taken.";
    ListTooLong "list-too-long" Refuse Client 422 "Too much of the list would have to be read to find this page.";
    StageUnknown "stage-unknown" Refuse Client 422 "The stage is not one of the profile's.";
    PutPartialView "put-partial-view" Deny Client 403 "A full replacement needs a full view of the record.";
    QuestionUnreadable "question-unreadable" Refuse Client 400 "The question cannot be read.";
    Denied "denied" Deny Client 403 "Policy does not permit this request.";
    FieldsDenied "fields-denied" Deny Client 403 "Policy does not permit writing some of these fields.";
    LinkRefused "link-refused" Deny Client 403 "The change refers to a record that is not there, or that may not be linked to.";
    StageMoveDenied "stage-move-denied" Deny Client 403 "Policy does not permit this stage move.";
    NotFound "not-found" Deny Client 404 "There is no such record.";
    AccessChanged "access-changed" Deny Client 403 "What the caller may see changed while the answer was under way.";
    NoPermit "no-permit" Deny Client 403 "No policy permits this.";
    Forbidden "forbidden" Deny Client 403 "A policy forbids this.";
    PolicyError "policy-error" Deny Ours 403 "A policy could not be evaluated, so the request is denied.";
    AttributeNonconforming "attribute-nonconforming" Deny Upstream 403 "A record attribute that policy needs has an unexpected form.";
    AttributeNotCarried "attribute-not-carried" Deny Ours 403 "A record attribute that policy needs was not available.";
    EntityUnknown "entity-unknown" Deny Ours 403 "The record refers to somebody or something that is not known.";
    DecisionMismatch "decision-mismatch" Deny Ours 403 "The decision could not be confirmed, so the record is denied.";
    RecordChanged "record-changed" Fail Client 409 "The record has changed in the meantime, so nothing was changed. Read it again.";
    CrmRejected "crm-rejected" Fail Client 400 "The CRM did not accept the request.";
    IssuerKeysUnavailable "issuer-keys-unavailable" Fail Upstream 503 "The keys of the token's issuer are not available.";
    UpstreamUnreachable "upstream-unreachable" Fail Upstream 502 "The CRM could not be reached.";
    UpstreamTls "upstream-tls" Fail Upstream 502 "The CRM could not be reached safely.";
    UpstreamSaturated "upstream-saturated" Fail Upstream 503 "Every connection to the CRM is in use.";
    UpstreamTimeout "upstream-timeout" Fail Upstream 504 "The CRM did not answer in time.";
    UpstreamBroken "upstream-broken" Fail Upstream 502 "The CRM's answer broke off.";
    UpstreamTooLarge "upstream-too-large" Fail Upstream 502 "The CRM's answer is too large.";
    UpstreamCoding "upstream-coding" Fail Upstream 502 "The CRM's answer has a coding that cannot be read.";
    UpstreamType "upstream-type" Fail Upstream 502 "The CRM's answer does not have a type that the profile describes.";
    UpstreamMalformed "upstream-malformed" Fail Upstream 502 "The CRM's answer is not valid JSON.";
    UpstreamShape "upstream-shape" Fail Upstream 502 "The CRM's answer does not have the shape that the profile describes.";
    UpstreamRedirect "upstream-redirect" Fail Upstream 502 "The CRM answered with a redirect, which is never followed.";
    UpstreamError "upstream-error" Fail Upstream 502 "The CRM failed to answer.";
    AnswerWithheld "answer-withheld" Fail Upstream 502 "The CRM took the write, but its answer is withheld. Do not retry.";
    BundleExpired "bundle-expired" Fail Ours 503 "The policies that serve have expired.";
    BundleRevoked "bundle-revoked" Fail Ours 503 "The policies that serve were called back.";
    LedgerUnavailable "ledger-unavailable" Fail Ours 503 "The decision could not be recorded, so nothing was done.";
    DirectoryStale "directory-stale" Fail Ours 503 "The directory is too old to decide by.";
    Overloaded "overloaded" Fail Ours 503 "Lockkeeper is at its limit of concurrent requests.";
    PoolSaturated "pool-saturated" Fail Ours 503 "Too many large bodies are being worked on.";
    RecordBusy "record-busy" Fail Ours 503 "Other changes of the same record are under way.";
    Internal "internal" Fail Ours 500 "Lockkeeper failed to handle the request.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "`{code}` occurs twice");
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{code}"
            );
        }
    }

    #[test]
    fn statuses_follow_the_fault() {
        for reason in Reason::ALL {
            let expected_server_error = reason.class() == Class::Fail && reason.fault() != Fault::Client;
            let is_server_error = reason.status() >= 500;
            if *reason != Reason::ConnectionsExhausted {
                assert_eq!(is_server_error, expected_server_error, "{reason}");
            }
        }
    }
}
