//! What ends the daemon.

use tokio::signal::unix::{SignalKind, signal};

/// Completes on SIGTERM or SIGINT. SIGHUP is ignored: the daemon has no terminal.
pub(crate) async fn end() {
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        // Without handlers the kernel's default ends the process, which ends no container either.
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = term.recv() => return,
            _ = int.recv() => return,
            _ = hup.recv() => {}
        }
    }
}
