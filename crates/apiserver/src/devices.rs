//! `POST devices/certificates`: a certificate for a device that has an object.
//!
//! Owns: which device a request is for, and what its object tells of the certificate.
//! Never: signs; never gives a certificate for anything but a device.

use jiff::Timestamp;
use serde_json::Value;
use weft_control::store::{self, WriteOptions};
use weft_control::{Cause, Failure, Kind, Object, Reason, Store};
use weft_identity::authority::{CERTIFICATE_LIFE_S, CsrError, name_of};
use weft_identity::device::{Device, hash_of, object_of};
use weft_identity::subject::Subject;

use crate::answer::Answer;
use crate::certificates;
use crate::objects::Asked;
use crate::reviews::{invalid, sound};

/// The group and plural of devices.
pub(crate) const KIND: (&str, &str) = ("nanocloud.io", "devices");
/// What stands behind them in the path of their certificates.
pub(crate) const CERTIFICATES: &str = "certificates";
/// How often an object is written anew because somebody else has.
const TRIES: usize = 5;

/// Answers it. Whoever asks may have certificates made here; a device, its own alone.
///
/// # Errors
/// The request is not good, there is no such device, or it is another's.
pub(crate) async fn certificate(asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
    let kinds = asked.store.kinds();
    let (group, plural) = certificates::KIND;
    let kind = kinds.find(group, "v1", plural);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of certificates"))?;
    let (object, warnings) = sound(asked, kind, body)?;
    let csr = object.text(&["spec", "csr"]).unwrap_or_default();
    let wrong = |why: &str| {
        let cause = Cause::invalid(
            "spec.csr",
            name_of(csr).ok().flatten().unwrap_or_default(),
            why,
        );
        invalid(kind, vec![cause])
    };
    let name =
        name_of(csr).map_err(|error: CsrError| certificates::unsigned(kind, &error.into()))?;
    let hash = name.as_deref().and_then(hash_of);
    let hash = hash.ok_or_else(|| wrong("its common name must be device:HASH"))?;
    let namespace = &asked.target.namespace;
    let is_itself = match Device::of(&asked.subject.user, &asked.subject.groups) {
        Some(own) if own.hash != hash || own.namespace != namespace => {
            let message = "a device has certificates for itself alone";
            return Err(Failure::new(Reason::Forbidden, message));
        }
        own => own.is_some(),
    };
    let devices = &asked.target.kind;
    let its_name = object_of(hash);
    let item = asked.store.get(devices, namespace, &its_name);
    let device = store::object(&*item.await?)?;
    let uid = device.meta().text("uid").to_owned();
    let device = Device {
        hash,
        namespace,
        uid: &uid,
    };
    let asked_for = (kind.as_ref(), object, warnings);
    let signed = certificates::signed(asked, asked_for, &device.grant(), CERTIFICATE_LIFE_S)?;
    tell(asked.store, devices, &device, signed.until, is_itself).await?;
    Ok(signed.answer)
}

/// Has a device's object tell of a certificate that was given to it.
///
/// # Errors
/// It is not there any more, and the certificate good for nothing.
pub(crate) async fn renewed(
    store: &Store,
    subject: &Subject,
    until: Timestamp,
) -> Result<(), Failure> {
    let Some(device) = Device::of(&subject.user, &subject.groups) else {
        return Ok(());
    };
    let kinds = store.kinds();
    let kind = kinds.find(KIND.0, "v1", KIND.1);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of devices"))?;
    tell(store, kind, &device, until, true).await
}

async fn tell(
    store: &Store,
    kind: &Kind,
    device: &Device<'_>,
    until: Timestamp,
    is_itself: bool,
) -> Result<(), Failure> {
    let options = WriteOptions {
        subresource: "status",
        ..WriteOptions::default()
    };
    for _ in 0..TRIES {
        let item = store.get(kind, device.namespace, &device.object()).await?;
        let mut object: Object = store::object(&item)?;
        if object.meta().text("uid") != device.uid {
            let message = "the device was deleted, and another one made of its name";
            return Err(Failure::new(Reason::NotFound, message));
        }
        let now = Timestamp::now().to_string();
        let mut status = object.0.remove("status").unwrap_or_default();
        status["certificateIssuedAt"] = now.as_str().into();
        status["certificateExpiresAt"] = Value::from(until.to_string());
        if is_itself {
            status["lastSeen"] = now.into();
        }
        object.0.insert("status".to_owned(), status);
        let name = device.object();
        let written = store.replace(kind, device.namespace, &name, object, &options);
        match written.await {
            Err(failure) if failure.reason == Reason::Conflict => {}
            written => return written.map(drop),
        }
    }
    let message = "the device is written by many at once; try again";
    Err(Failure::new(Reason::TooManyRequests, message))
}
