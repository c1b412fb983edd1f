//! Certificate: one for the key of a request, asked for and answered at once.
//!
//! Never: stored.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::GROUP;
use crate::kind::{Document, Kind};
use crate::kinds::schema_of;

pub(in crate::kinds) fn kind() -> Kind {
    Kind {
        is_namespaced: false,
        is_carried_out: true,
        is_question: true,
        document: Document::Of(schema),
        ..Kind::of(GROUP, "v1", "Certificate", "certificates", "certificate")
    }
}

fn schema() -> Value {
    let words = |about: &str| json!({ "type": "string", "description": about });
    schema_of::<ObjectMeta>(
        "Certificate",
        "A client certificate, for a bootstrap token or for who has one already. It is not stored.",
        json!({
            "spec": {
                "type": "object",
                "description": "What is asked for.",
                "required": ["csr"],
                "properties": {
                    "csr": words("Certificate request (PKCS #10) in PEM; only its key is taken from it."),
                },
            },
            "status": {
                "type": "object",
                "description": "What is given.",
                "properties": {
                    "certificate": words("The certificate and its issuer's, in PEM."),
                    "caBundle": words("What the server's certificate is checked with, in PEM."),
                    "expirationTimestamp": {
                        "type": "string",
                        "format": "date-time",
                        "description": "When the certificate ends.",
                    },
                },
            },
        }),
        &["spec"],
    )
}
