//! TLS towards the server: its certificate is checked against the roots that are named, ours is
//! shown where we have one.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::ApiError;
use super::kubeconfig::{Access, Material, Proof, Trust};

fn wrong(tried: &str, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::Credentials {
        tried: tried.to_owned(),
        why: why.to_string(),
    }
}

pub(super) fn config(access: &Access) -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("set up TLS", &error))?;
    let builder = match &access.trust {
        Trust::Roots(material) => builder.with_root_certificates(roots(material)?),
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    let mut config = match &access.proof {
        Proof::Certificate(certificate, key) => {
            let chain = certificates(certificate)?;
            let tried = format!("use the client key {key:?}");
            let key = PrivateKeyDer::from_pem_slice(&key.bytes()?)
                .map_err(|error| wrong(&tried, &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong(&tried, &error))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(material: &Material) -> Result<Vec<CertificateDer<'static>>, ApiError> {
    let tried = format!("read the certificates of {material:?}");
    let bytes = material.bytes()?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(&tried, &"there are none")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(&tried, &error)),
    }
}

fn roots(material: &Material) -> Result<RootCertStore, ApiError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(material)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(&format!("use the authority of {material:?}"), &error))?;
    }
    Ok(roots)
}

/// `--insecure-skip-tls-verify`: any certificate will do, but it must be the peer's own.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
