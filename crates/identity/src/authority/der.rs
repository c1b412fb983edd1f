//! The little DER that has to be written by hand.
//!
//! Owns: subjects with several organisations. rcgen keeps one value per attribute, and groups are
//! organisations; so a certificate's subject is put in afterwards, and it is signed again.
//! Never: reads what somebody else made.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, SigningKey};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
/// id-at-commonName (2.5.4.3) and id-at-organizationName (2.5.4.10).
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];
/// Where the subject stands in a certificate of version 3: version, serial, algorithm, issuer,
/// validity, subject.
const SUBJECT_AT: usize = 5;

/// A certificate's validity, in seconds since 1970.
pub(super) fn set_validity(params: &mut CertificateParams, from_s: i64, to_s: i64) {
    let seconds = |at: i64| Duration::from_secs(u64::try_from(at).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(from_s);
    params.not_after = epoch + seconds(to_s);
}

/// `certificate` with another subject, signed by `key` as it was before.
///
/// # Panics
/// For what rcgen has not written.
pub(super) fn with_subject(
    certificate: &[u8],
    common_name: &str,
    organizations: &[String],
    key: &KeyPair,
) -> Result<Vec<u8>, rcgen::Error> {
    let mine = "rcgen writes certificates";
    let parts = elements(certificate).expect(mine);
    let fields = elements(parts[0]).expect(mine);
    let mut signed = Vec::with_capacity(certificate.len());
    for (at, field) in fields.iter().enumerate() {
        match at {
            SUBJECT_AT => signed.extend(subject(common_name, organizations)),
            _ => signed.extend_from_slice(field),
        }
    }
    let signed = element(SEQUENCE, &signed);
    let signature = [&[0][..], &key.sign(&signed)?].concat();
    let whole = [&signed[..], parts[1], &element(BIT_STRING, &signature)].concat();
    Ok(element(SEQUENCE, &whole))
}

/// A name: the organisations, then the common name.
fn subject(common_name: &str, organizations: &[String]) -> Vec<u8> {
    let attribute = |kind: &[u8], value: &str| {
        let value = element(UTF8_STRING, value.as_bytes());
        element(SET, &element(SEQUENCE, &[kind, &value].concat()))
    };
    let mut names = Vec::new();
    for organization in organizations {
        names.extend(attribute(&ORGANIZATION, organization));
    }
    names.extend(attribute(&COMMON_NAME, common_name));
    element(SEQUENCE, &names)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let digits = &length[zeros..];
            out.push(0x80 | u8::try_from(digits.len()).expect("a length has 8 bytes"));
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(content);
    out
}

/// The elements, headers included, inside the element that is `der`.
fn elements(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (header, length) = measure(der)?;
    let mut rest = der.get(header..header + length)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (header, length) = measure(rest)?;
        let (one, other) = rest.split_at_checked(header + length)?;
        found.push(one);
        rest = other;
    }
    Some(found)
}

/// Bytes of the header and of the content.
fn measure(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let count = first & 0x7f;
    let digits = der.get(2..2 + count)?;
    let length = digits.iter().try_fold(0usize, |sum, byte| {
        sum.checked_mul(256)?.checked_add(usize::from(*byte))
    })?;
    Some((2 + count, length))
}

/// A certificate in PEM.
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_all_sizes_are_written_and_read() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let one = element(UTF8_STRING, &vec![b'x'; length]);
            let (header, content) = measure(&one).unwrap();
            assert_eq!((header + content, content), (one.len(), length));
            let outer = element(SEQUENCE, &[&one[..], &one].concat());
            assert_eq!(elements(&outer).unwrap(), [&one[..], &one]);
        }
        assert_eq!(elements(&[0x30, 0x84, 0xff]), None);
        assert_eq!(elements(&[0x30, 0x02, 0x04, 0x09]), None);
    }
}
