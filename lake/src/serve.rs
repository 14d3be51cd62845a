//! An Iceberg REST catalog over an embedded lake, so that Spark, Trino, DuckDB and pyiceberg open it like any other.
//!
//! It is for one person's lake: no users, no rights, no TLS. Whoever may ask may write; metadata files are written
//! below the warehouse only, data files are the client's business.

mod change;
mod reply;
mod route;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::catalog::{Client, SqliteCatalog};
use crate::lake::Lake;
use crate::{Error, Result};
use reply::{Refusal, Reply};

/// Commits carry schemas and snapshots, not rows.
const MOST_BODY_BYTES: usize = 64 << 20;
/// A connection that sends no whole request head for so long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Wait so long when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A server of one lake's catalog.
#[derive(Clone)]
pub struct CatalogServer {
    lake: Lake,
    catalog: SqliteCatalog,
    token: Option<Arc<str>>,
}

impl CatalogServer {
    /// Prepares a server that will listen at an address, and wants to be shown a token if there is one.
    ///
    /// # Errors
    /// The lake's catalog is not the embedded one, or others can reach the address and there is no token.
    pub fn new(lake: &Lake, address: SocketAddr, token: Option<String>) -> Result<CatalogServer> {
        let Client::Sqlite(catalog) = &lake.inner.catalog else {
            return Err(Error::NotServed("it is a server's already".to_string()));
        };
        if !address.ip().is_loopback() && token.is_none() {
            let reason = "others can reach it, so that they have to show a token\nhint: set HEALTHLAKE_CATALOG_TOKEN";
            return Err(Error::NotServed(format!("at {address} {reason}")));
        }
        Ok(CatalogServer { lake: lake.clone(), catalog: catalog.clone(), token: token.map(Arc::from) })
    }

    /// Answers the requests that arrive at a listener, until it is dropped.
    pub async fn serve(self, listener: TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(self.clone().attend(stream));
                }
                Err(error) => {
                    // Out of descriptors, or the client has gone again: neither ends the server.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn attend(self, stream: TcpStream) {
        let service = service_fn(|request| self.answer(request));
        let mut connection = http1::Builder::new();
        connection.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let (method, path) = (request.method().clone(), request.uri().path().to_string());
        let reply = match self.reply(request).await {
            Ok(reply) => reply,
            Err(refusal) => {
                tracing::debug!(%method, path, status = refusal.status.as_u16(), reason = refusal.message, "refused");
                refusal.into()
            }
        };
        Ok(reply.into_response(&method))
    }

    async fn reply(&self, request: Request<Incoming>) -> std::result::Result<Reply, Refusal> {
        match &self.token {
            Some(token) if !shows(&request, token) => {
                return Err(Refusal::new(StatusCode::UNAUTHORIZED, "NotAuthorizedException", "a token is wanted"));
            }
            None if may_be_a_page(&request) => {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "ForbiddenException", "pages may not ask"));
            }
            _ => {}
        }
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MOST_BODY_BYTES).collect().await;
        let body = body.map_err(|error| Refusal::bad(format!("the request cannot be read: {error}")))?.to_bytes();
        route::route(self, &head, &body).await
    }
}

/// Says whether a page in a browser of this machine may be asking: pages name their origin when they write, and when
/// they read they name a host that somebody else's name server pointed at this machine.
fn may_be_a_page(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_here = name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    request.headers().contains_key(ORIGIN) || !is_here
}

/// Compares in a time that does not tell how much is right.
fn shows(request: &Request<Incoming>, token: &str) -> bool {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let shown = shown.unwrap_or_default();
    let differing = shown.iter().zip(token.as_bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
    differing == 0 && shown.len() == token.len()
}
