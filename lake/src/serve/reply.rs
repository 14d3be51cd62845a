//! Answers, and refusals as Iceberg's REST protocol words them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, ETAG};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::Error;

/// What a request gets.
pub(super) struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    tag: Option<String>,
}

impl Reply {
    pub fn json(body: &impl Serialize) -> Result<Reply, Refusal> {
        let body = serde_json::to_vec(body).map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(Reply { status: StatusCode::OK, body, tag: None })
    }

    pub fn empty(status: StatusCode) -> Reply {
        Reply { status, body: Vec::new(), tag: None }
    }

    /// Names the state that the reply is about.
    pub fn tagged(mut self, tag: String) -> Reply {
        self.tag = Some(tag);
        self
    }

    pub fn into_response(self, method: &Method) -> Response<Full<Bytes>> {
        let body = if method == Method::HEAD { Vec::new() } else { self.body };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() =
            if method == Method::HEAD && self.status == StatusCode::OK { StatusCode::NO_CONTENT } else { self.status };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        if let Some(tag) = self.tag.and_then(|tag| tag.parse().ok()) {
            headers.insert(ETAG, tag);
        }
        response
    }
}

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    kind: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, kind, message: message.into() }
    }

    pub fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    pub fn internal(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }

    pub fn no_table(table: impl std::fmt::Display) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchTableException", format!("table `{table}` does not exist"))
    }

    pub fn no_namespace(namespace: &str) -> Refusal {
        let message = format!("namespace `{namespace}` does not exist");
        Refusal::new(StatusCode::NOT_FOUND, "NoSuchNamespaceException", message)
    }

    pub fn exists(what: impl std::fmt::Display) -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "AlreadyExistsException", format!("{what} exists already"))
    }

    pub fn conflict(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "CommitFailedException", message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::BadName(_) => Refusal::bad(error.to_string()),
            Error::NoSuchTable(table) => Refusal::no_table(table),
            // The client may try again: nothing was done.
            Error::Busy { .. } => Refusal::conflict(error.to_string()),
            other => {
                tracing::warn!(error = &other as &dyn std::error::Error, "a request failed");
                Refusal::internal(other.to_string())
            }
        }
    }
}

impl From<iceberg::Error> for Refusal {
    fn from(error: iceberg::Error) -> Refusal {
        Refusal::bad(error.message().to_string())
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        let Refusal { status, kind, message } = refusal;
        let body = json!({ "error": { "message": message, "type": kind, "code": status.as_u16() } });
        Reply { status, body: body.to_string().into_bytes(), tag: None }
    }
}
