//! `weft certificate renew`: the own certificate, while it is good, becomes one that ends later.
//!
//! Owns: that name, groups and, unless a new one is asked for, the key stay; that the file it is in
//! is replaced whole, and nothing else in it changes.
//! Never: renews what has ended: that needs a token again.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weft_client::cluster::Access;
use weft_client::cluster::kubeconfig::{Material, Proof};
use weft_identity::authority::{Asking, Pair};
use weft_identity::certificate::{Certificate, Standing, read_all};
use weft_stdx::clock::unix_s;
use weft_stdx::file::Pending;
use zeroize::Zeroizing;

use super::look::{harmless, left, time};
use super::{not_explained, roots, signed, text};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `renew`.
#[derive(Debug, clap::Args)]
pub struct Renew {
    /// Do nothing unless it ends within this time: 72h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    within: Option<Duration>,
    /// Make a new key, too
    #[arg(long)]
    new_key: bool,
    /// Take the new one although it ends before the present one
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Renew {
    /// Renews.
    pub async fn run(self, session: &Session) -> Outcome {
        not_explained(session, "renew")?;
        let (access, is_local) = self.connect.access(session)?;
        let (own, key) = proof(&access, is_local)?;
        let before = present(own, key)?;
        let left_s = before.not_after_s - unix_s();
        let within = self.within.map(|within| i64::try_from(within.as_secs()));
        if within.is_some_and(|within| within.is_ok_and(|within| left_s >= within)) {
            session.printer.talk(&format!(
                "nothing to do: the certificate of {} is good until {}",
                harmless(&before.subject),
                time(before.not_after_s)
            ));
            return Ok(0);
        }
        if self.new_key && matches!(key, Material::File(_)) {
            let told = "renew with a new key: certificate and key are in two files, which cannot be replaced at once";
            return Err(CliError::new(told).hint(
                "without --new-key the key stays; or have both in a kubeconfig (`weft certificate request`)",
            ));
        }
        let asking = match self.new_key {
            true => Asking::new(),
            false => Asking::with_key(&Zeroizing::new(text(key)?)),
        };
        let asking = asking.map_err(|error| tried(&error))?;
        let request = asking
            .request(&before.subject)
            .map_err(|error| tried(&error))?;
        let api = Api::of(access.clone(), false, false, session)?;
        let told = signed(&api, "renew the certificate", &request).await?;
        let chain = told["certificate"].as_str().unwrap_or_default();
        let pair = asking.pair(chain, &roots(&access, &told)?, unix_s());
        let pair = pair.map_err(|error| tried(&error))?;
        let after = self.compared(&before, &pair)?;
        keep(own, key, &pair)?;
        session.printer.talk(&format!(
            "the certificate of {} is good until {} now ({own:?})",
            harmless(&after.subject),
            time(after.not_after_s)
        ));
        Ok(0)
    }

    /// The new one, if it is worth more than the old one, for the same holder.
    fn compared(&self, before: &Certificate, pair: &Pair) -> Result<Certificate, CliError> {
        let after = Certificate::of(pair.certificate.chain[0].clone()).map_err(CliError::new)?;
        let sorted = |one: &Certificate| {
            let mut groups = one.groups.clone();
            groups.sort();
            (one.subject.clone(), groups)
        };
        if sorted(before) != sorted(&after) {
            return Err(CliError::new(
                "renew the certificate: the server gave one for another name or other groups; nothing was changed",
            ));
        }
        if after.not_after_s < before.not_after_s && !self.force {
            return Err(CliError::new(format!(
                "renew the certificate: the new one would end at {}, before the present one does, at {}; nothing was changed",
                time(after.not_after_s),
                time(before.not_after_s)
            ))
            .hint("wait until less is left (--within), or take it nevertheless with --force"));
        }
        Ok(after)
    }
}

fn tried(error: &dyn std::error::Error) -> CliError {
    CliError::because("renew the certificate", error)
}

/// Certificate and key that we prove who we are with.
fn proof(access: &Access, is_local: bool) -> Result<(&Material, &Material), CliError> {
    if is_local {
        return Err(CliError::new(
            "renew the certificate: root on the server's machine has none, and needs none",
        )
        .hint("--kubeconfig names the file of somebody else; `weft kubeconfig` makes a new one"));
    }
    match &access.proof {
        Proof::Certificate(Material::Given { .. }, _) => Err(CliError::new(
            "renew the certificate: a program of the kubeconfig (exec) gives it, and renews it",
        )),
        Proof::Certificate(own, key) => Ok((own, key)),
        Proof::Token(..) | Proof::Password(..) => Err(CliError::new(
            "renew the certificate: there is none, a bearer token or a password is used",
        )),
        Proof::Nothing => Err(CliError::new(
            "renew the certificate: neither a flag nor a kubeconfig names one",
        )
        .hint("`weft certificate request` gets one for a token of `weft token create`")),
    }
}

/// The present one, if it can still be shown.
fn present(own: &Material, key: &Material) -> Result<Certificate, CliError> {
    let all = read_all(&own.bytes()?);
    let mut all = all.map_err(|error| CliError::because(format!("read {own:?}"), &error))?;
    let before = all.remove(0);
    let now_s = unix_s();
    match before.standing(now_s) {
        Standing::Good => {}
        Standing::Over => {
            let left = left(&before, now_s);
            return Err(CliError::new(format!(
                "renew the certificate: it has ended ({left}), and can be shown to nobody any more"
            ))
            .hint("`weft certificate request` gets a new one for a token of `weft token create`"));
        }
        Standing::NotYet => {
            let from = time(before.not_before_s);
            return Err(CliError::new(format!(
                "renew the certificate: it is not valid before {from}"
            ))
            .hint("compare the clocks of both machines"));
        }
    }
    match before.fits(&key.bytes()?) {
        Ok(true) => Ok(before),
        Ok(false) => Err(CliError::new(format!(
            "renew the certificate: {key:?} is another certificate's key than {own:?}'s"
        ))),
        Err(why) => Err(CliError::new(format!(
            "renew the certificate: {key:?} cannot be used: {why}"
        ))),
    }
}

/// Puts it where the old one was: one file, replaced at once.
fn keep(own: &Material, key: &Material, pair: &Pair) -> Result<(), CliError> {
    let chain = &pair.certificate.chain_pem;
    match own {
        Material::File(path) => {
            let mut whole = Zeroizing::new(chain.clone());
            // Both may be in one.
            if matches!(key, Material::File(other) if is_same(path, other)) {
                whole.push_str(&pair.key_pem);
            }
            rewrite(path, |_| Ok(whole))
        }
        Material::Inside { file, bytes, .. } => rewrite(file, |before| {
            let text = exchanged(before, bytes, chain.as_bytes());
            let text = text.ok_or_else(|| not_found(own))?;
            match key {
                Material::Inside {
                    file: other, bytes, ..
                } if is_same(file, other) => {
                    let text = exchanged(&text, bytes, pair.key_pem.as_bytes());
                    text.ok_or_else(|| not_found(key))
                }
                _ => Ok(text),
            }
        }),
        Material::Given { .. } => Err(not_found(own)),
    }
}

fn not_found(material: &Material) -> CliError {
    CliError::new(format!(
        "write {material:?}: what was read stands there no longer, or not on one line; nothing was changed"
    ))
}

/// A kubeconfig with other bytes in the place of some, all else as it was.
fn exchanged(text: &str, old: &[u8], new: &[u8]) -> Option<Zeroizing<String>> {
    let old = Zeroizing::new(STANDARD.encode(old));
    let new = Zeroizing::new(STANDARD.encode(new));
    let is_there = !old.is_empty() && text.contains(old.as_str());
    is_there.then(|| Zeroizing::new(text.replace(old.as_str(), &new)))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some_and(|path| real(other) == Some(path))
}

/// Replaces a file, where it really is, by what becomes of it; owner and mode stay.
fn rewrite(
    path: &Path,
    change: impl FnOnce(&str) -> Result<Zeroizing<String>, CliError>,
) -> Result<(), CliError> {
    let failed =
        |error: std::io::Error| CliError::because(format!("write {}", path.display()), &error);
    let real = std::fs::canonicalize(path).map_err(failed)?;
    let metadata = std::fs::metadata(&real).map_err(failed)?;
    let before = Zeroizing::new(std::fs::read_to_string(&real).map_err(failed)?);
    let after = change(&before)?;
    let mut pending = Pending::begin(&real).map_err(failed)?;
    let written = pending
        .write_all(after.as_bytes())
        .and_then(|()| pending.like(&metadata))
        .and_then(|()| pending.commit(true));
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_in_a_kubeconfig_changes() {
        let text = "# mine\nusers:\n- user: {client-key-data: \"b2xk\"}\n  x: b2xk\n";
        let changed = exchanged(text, b"old", b"newer").unwrap();
        assert_eq!(*changed, text.replace("b2xk", "bmV3ZXI="));
        assert!(exchanged(text, b"other", b"x").is_none());
        assert!(exchanged(text, b"", b"x").is_none());
    }
}
