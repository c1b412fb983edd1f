//! A client of kube-rs, and a wire under it that can be cut.
//!
//! Owns: how kube-rs reaches a server. Its own TLS is left out, it would bring a second stack: the
//! test brings weft's.

use std::net::SocketAddr;

use http::Uri;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Client, ConfigExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Layer as _;

use crate::server_line::Caller;

/// Somebody who may do everything, over connections to `dial`.
pub(crate) fn client(caller: &Caller, dial: SocketAddr) -> Client {
    let dial = tower::service_fn(move |_: Uri| async move {
        let stream = TcpStream::connect(dial).await?;
        stream.set_nodelay(true)?;
        std::io::Result::Ok(TokioIo::new(stream))
    });
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(caller.tls())
        .https_only()
        .enable_http1()
        .wrap_connector(dial);
    let service = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let base = kube::Config::new(Uri::from_static("https://localhost")).base_uri_layer();
    Client::new(base.layer(service), "default")
}

/// Connections to a server that can be cut, all at once.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    is_whole: watch::Sender<bool>,
}

impl Wire {
    pub(crate) async fn lay(to: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_whole, looked_at) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, to, looked_at.clone()));
            }
        });
        Wire { address, is_whole }
    }

    pub(crate) fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

/// Carries bytes until one end closes or the wire is cut.
async fn carry(mut near: TcpStream, to: SocketAddr, mut is_whole: watch::Receiver<bool>) {
    if !*is_whole.borrow_and_update() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(to).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = is_whole.wait_for(|whole| !whole) => {}
    }
}
