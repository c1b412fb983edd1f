//! Requests to the API as command lines for a shell. Keys and tokens are read from the files they
//! are in, never shown.

use super::kubeconfig::{Access, Material, Proof, Trust};
use crate::request::{Request, quote};

/// The same request for bash.
pub(super) fn line(access: &Access, request: &Request) -> String {
    let mut options = match &access.trust {
        Trust::Roots(roots) => format!("--cacert {}", reference(roots)),
        Trust::Anybody => "--insecure".to_owned(),
    };
    match &access.proof {
        Proof::Nothing => {}
        Proof::Certificate(certificate, key) => {
            let (certificate, key) = (reference(certificate), reference(key));
            options.push_str(&format!(" --cert {certificate} --key {key}"));
        }
        Proof::Token(_, Some(place)) => {
            let read = match place {
                Material::File(path) => format!("cat {}", quote(&path.to_string_lossy())),
                Material::Inside { .. } => inside(place),
                Material::Given { name, .. } => format!("printf %s \"${name}\""),
            };
            options.push_str(&format!(" -H \"authorization: Bearer $({read})\""));
        }
        Proof::Password(name, _) => {
            options.push_str(&format!(" --user {}:\"$PASSWORD\"", quote(name)));
        }
        Proof::Token(_, None) => options.push_str(" -H \"authorization: Bearer $TOKEN\""),
    }
    for (name, value) in access.acting.headers() {
        let header = quote(&format!("{name}: {value}"));
        options.push_str(&format!(" -H {header}"));
    }
    request.curl_to(&options, &access.server)
}

fn reference(material: &Material) -> String {
    match material {
        Material::File(path) => quote(&path.to_string_lossy()),
        Material::Inside { .. } => format!("<({} | base64 -d)", inside(material)),
        Material::Given { name, .. } => format!("<(printf %s \"${name}\")"),
    }
}

/// A command that prints what stands in a kubeconfig.
fn inside(material: &Material) -> String {
    let Material::Inside { file, key, nth, .. } = material else {
        return String::new();
    };
    let file = match file.to_str() {
        Some(variable) if variable.starts_with('$') => format!("\"{variable}\""),
        _ => quote(&file.to_string_lossy()),
    };
    format!("sed -n 's/^[- ]*{key}: *//p' {file} | sed -n {nth}p | tr -d '\"'")
}
