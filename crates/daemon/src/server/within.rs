//! The API for pods. Where it listens for this machine only, pods could not reach it: it is served on
//! the machine's address in their network as well.
//!
//! Owns: that this other door is for pods and for this machine alone, though who is on the same wire
//! could send to that address. Never: says who somebody is; that door asks as the first one does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use anyhow::{Context, Result};
use rustix::net::sockopt::set_ip_freebind;
use tokio::net::{TcpListener, TcpSocket};
use weft_apiserver::Server;
use weft_engine::{Engine, NetworkView};

use super::api_service;

/// Connections that wait to be accepted.
const WAITING: u32 = 1024;

/// The door for pods.
#[derive(Debug)]
pub(super) struct Within {
    listener: TcpListener,
    network: NetworkView,
}

/// Where pods on `network` reach an API that is served at `served`, with the door it needs for that;
/// nowhere, where there is no such network.
pub(super) fn open(
    engine: &Engine,
    network: &str,
    served: SocketAddr,
) -> Result<(Option<SocketAddrV4>, Option<Within>)> {
    if let Some(reached) = api_service::reached(served) {
        return Ok((Some(reached), None));
    }
    let Ok(network) = engine.inspect_network(network) else {
        return Ok((None, None));
    };
    let at = |port| SocketAddrV4::new(network.network.gateway, port);
    if served.ip().is_unspecified() {
        return Ok((Some(at(served.port())), None));
    }
    // Another port will do: pods know the service's.
    let listener = listen(at(served.port())).or_else(|_| listen(at(0)));
    let tried = || format!("listen at {} for pods", network.network.gateway);
    let listener = listener.with_context(tried)?;
    let port = listener.local_addr().with_context(tried)?.port();
    let reached = at(port);
    tracing::info!(address = %reached, "serving the Kubernetes API to pods");
    Ok((Some(reached), Some(Within { listener, network })))
}

/// The address need not be there yet: bridges are made and mended while this runs.
fn listen(address: SocketAddrV4) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    set_ip_freebind(&socket, true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(WAITING)
}

/// Serves until it breaks; for ever, where there is no such door.
pub(super) async fn serve(server: Server, door: Option<Within>) -> Result<()> {
    let Some(Within { listener, network }) = door else {
        return std::future::pending().await;
    };
    let subnet = network.network.subnet;
    let is_let_in = move |from| match from {
        IpAddr::V4(from) => subnet.contains(from) || is_own(from),
        IpAddr::V6(_) => false,
    };
    // What ends the server ends this by dropping it.
    weft_apiserver::serve_some(server, listener, is_let_in, std::future::pending())
        .await
        .context("serve the Kubernetes API to pods")
}

/// Whether it is an address of this machine: pods in its network come from those. Nothing is sent.
fn is_own(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_others() {
        assert!(is_own(Ipv4Addr::LOCALHOST));
        // Of documentation (RFC 5737).
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1)));
    }
}
