//! The order to end (Ctrl-C, SIGTERM) while an engine elsewhere works for this program: nobody would tell it to stop.
//! Whoever is told twice ends at once.

use std::pin::pin;
use std::sync::OnceLock;

use tokio::sync::watch;

/// As the shell tells of Ctrl-C.
const EXIT_CODE: i32 = 130;

static HAS_COME: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// From the first call on, the order is heard.
fn listen() -> watch::Receiver<bool> {
    let listener = HAS_COME.get_or_init(|| {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            order().await;
            let _ = sender.send(true);
            order().await;
            std::process::exit(EXIT_CODE);
        });
        receiver
    });
    listener.clone()
}

/// Says whether the order has come.
pub fn has_come() -> bool {
    *listen().borrow()
}

/// Does the work, unless the order comes first.
pub async fn unless<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut listener = listen();
    let order = pin!(listener.wait_for(|has_come| *has_come));
    tokio::select! {
        done = work => Some(done),
        _ = order => None,
    }
}

#[cfg(unix)]
async fn order() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                () = ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => ctrl_c().await,
    }
}

#[cfg(not(unix))]
async fn order() {
    ctrl_c().await;
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can be heard: the order never comes.
        std::future::pending::<()>().await;
    }
}
