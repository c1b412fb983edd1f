//! Asking over HTTP how well somebody is: plainly, over TLS (whose certificate is not looked at, as
//! upstream has it), and by gRPC's health protocol.
//!
//! Never: follows a redirect, or reads more than it tells.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Of an answer that is no success, so much is told.
const BODY_MAX: usize = 10 << 10;

/// A question by GET.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub address: SocketAddr,
    pub host: Option<&'a str>,
    pub port: u16,
    pub path: &'a str,
    pub https: bool,
    pub headers: &'a [(String, String)],
}

/// Whether the answer is a success or leads elsewhere.
pub(super) async fn get(request: &Request<'_>) -> Result<(), String> {
    let scheme = if request.https { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", request.address, request.path);
    let failed = |error: &dyn std::fmt::Display| format!("Get {url:?}: {error}");
    let stream = TcpStream::connect(request.address)
        .await
        .map_err(|e| failed(&format!("dial tcp {}: {e}", request.address)))?;
    let (status, body) = match request.https {
        false => ask(stream, request).await.map_err(|e| failed(&e))?,
        true => {
            let name = ServerName::IpAddress(request.address.ip().into());
            let connector = TlsConnector::from(Arc::new(trusting().map_err(|e| failed(&e))?));
            let stream = connector.connect(name, stream).await;
            ask(stream.map_err(|e| failed(&e))?, request)
                .await
                .map_err(|e| failed(&e))?
        }
    };
    match status {
        200..400 => Ok(()),
        _ => {
            let said = String::from_utf8_lossy(&body);
            tracing::debug!(url, status, %said, "a probe was answered");
            Err(format!("HTTP probe failed with statuscode: {status}"))
        }
    }
}

async fn ask<S>(stream: S, request: &Request<'_>) -> Result<(u16, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let mut builder = http::Request::get(match request.path {
        "" => "/",
        path => path,
    });
    let has = |name: &str| {
        request
            .headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if !has("host") {
        let host = match request.host {
            Some(host) => format!("{host}:{}", request.port),
            None => request.address.to_string(),
        };
        builder = builder.header("Host", host);
    }
    if !has("user-agent") {
        builder = builder.header("User-Agent", "kube-probe/weft");
    }
    if !has("accept") {
        builder = builder.header("Accept", "*/*");
    }
    builder = builder.header("Connection", "close");
    for (name, value) in request.headers {
        // An empty value leaves the header out: that is how upstream's are taken away.
        if !value.is_empty() {
            builder = builder.header(name, value);
        }
    }
    let asked = builder
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let asking = async {
        let answer = sender
            .send_request(asked)
            .await
            .map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
        Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
    };
    tokio::select! {
        answer = asking => answer,
        // It ends only when the other side has gone; what it sent is read first.
        ended = drive(connection) => Err(ended),
    }
}

async fn drive<E: std::fmt::Display>(connection: impl Future<Output = Result<(), E>>) -> String {
    match connection.await {
        Err(error) => error.to_string(),
        Ok(()) => std::future::pending().await,
    }
}

/// gRPC Health Checking Protocol: `grpc.health.v1.Health/Check` answers SERVING.
pub(super) async fn grpc_health(address: SocketAddr, service: &str) -> Result<(), String> {
    const SERVING: u64 = 1;
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| format!("timeout: failed to connect service {address:?}: {e}"))?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let request = http::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/weft")
        .body(Full::new(Bytes::from(health_request(service))))
        .map_err(|e| e.to_string())?;
    let asking = async {
        let answer = sender
            .send_request(request)
            .await
            .map_err(|e| e.to_string())?;
        let code = |headers: &http::HeaderMap| {
            headers
                .get("grpc-status")
                .map(|v| v.to_str().unwrap_or("?").to_owned())
        };
        let early = code(answer.headers());
        let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|e| e.to_string())?;
        let status = early.or_else(|| body.trailers().and_then(code));
        match status.as_deref() {
            Some("0") => Ok(body.to_bytes()),
            Some("12") => Err("this server does not implement the grpc health protocol".to_owned()),
            Some("5") => Err(format!("error: service {service:?} is not known there")),
            other => Err(format!("health rpc failed with status {other:?}")),
        }
    };
    let answer = tokio::select! {
        answer = asking => answer?,
        ended = drive(connection) => return Err(ended),
    };
    match serving_status(&answer) {
        Some(SERVING) => Ok(()),
        other => {
            let name = match other {
                Some(0) => "UNKNOWN".to_owned(),
                Some(2) => "NOT_SERVING".to_owned(),
                Some(3) => "SERVICE_UNKNOWN".to_owned(),
                other => format!("{other:?}"),
            };
            Err(format!("service unhealthy (responded with {name:?})"))
        }
    }
}

/// A message of gRPC: no compression, length, then `HealthCheckRequest { service = 1 }`.
fn health_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend(message);
    framed
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// `HealthCheckResponse { status = 1 }`; a field that is not there is 0.
pub(crate) fn serving_status(framed: &[u8]) -> Option<u64> {
    let (head, rest) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    let mut rest = rest.get(..usize::try_from(length).ok()?)?;
    if head[0] != 0 {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        match key & 7 {
            0 => {
                let value = read_varint(&mut rest)?;
                if key >> 3 == 1 {
                    status = value;
                }
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes any certificate: a probe asks whether somebody answers, not who.
fn trusting() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(schemes)));
    Ok(config.with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate(Vec<SignatureScheme>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_messages_are_as_the_protocol_has_them() {
        assert_eq!(health_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(serving_status(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        // An unknown field is passed over.
        assert_eq!(serving_status(&[0, 0, 0, 0, 5, 0x12, 1, 9, 8, 2]), Some(2));
        for broken in [
            &[][..],
            &[0, 0, 0, 0, 3, 8, 1],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 8],
        ] {
            assert_eq!(serving_status(broken), None, "{broken:?}");
        }
    }
}
