//! `healthlake catalog serve`: the embedded lake as an Iceberg REST catalog for other programs.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use lake::CatalogServer;
use serde_json::json;
use tokio::net::TcpListener;

use crate::call::{Outcome, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let Spark, Trino, DuckDB, pyiceberg and other healthlakes open this lake, until it is stopped
    Serve {
        /// Address and port; port 0 takes a free one. Others than loopback want HEALTHLAKE_CATALOG_TOKEN
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8181")]
        listen: SocketAddr,
    },
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    let Command::Serve { listen } = arguments.command;
    // A lake that is not there yet is made: its clients fill it.
    let lake = open_lake(&config).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen at {listen}"))?;
    let address = listener.local_addr().context("cannot tell where the server listens")?;
    let server = CatalogServer::new(&lake, address, config.catalog_token())?;
    let uri = format!("http://{address}");
    if global.format == Format::Json {
        output::print(&format!("{}\n", json!({ "uri": uri })))?;
    } else {
        output::print(&format!("the catalog of `{}` is served at {uri}\n", config.lake.path.display()))?;
    }
    tokio::select! {
        never = server.serve(listener) => match never {},
        stopped = tokio::signal::ctrl_c() => stopped.context("cannot wait for the end")?,
    }
    Ok(Outcome::Done)
}
