//! Named formats of texts: `!format.dns1123Label().validate(self.name).hasValue()`.

use super::super::super::formats::is_of_format;
use super::super::types::{FORMAT, LIST, TEXT};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Body, Function, Gives, global, member, wrong};
use crate::names;

/// A format there is: its name, and what texts of it keep.
#[derive(Debug)]
pub(in crate::schema) struct Named {
    name: &'static str,
    check: fn(&str) -> Result<(), &'static str>,
}

static FORMATS: [Named; 13] = [
    format("dns1123Label", names::dns_label),
    format("dns1123LabelPrefix", |text| names::dns_label(&begun(text))),
    format("dns1123Subdomain", names::dns_subdomain),
    format("dns1123SubdomainPrefix", |text| {
        names::dns_subdomain(&begun(text))
    }),
    format("dns1035Label", names::dns_1035),
    format("dns1035LabelPrefix", |text| names::dns_1035(&begun(text))),
    format("qualifiedName", names::label_key),
    format("labelValue", names::label_value),
    format("uri", |text| of(text, "uri", "must be a URI")),
    format("uuid", |text| of(text, "uuid", "must be a UUID")),
    format("byte", |text| of(text, "byte", "must be base64")),
    format("date", |text| of(text, "date", "must be a date")),
    format("datetime", |text| {
        of(text, "datetime", "must be a date and a time")
    }),
];

const fn format(name: &'static str, check: fn(&str) -> Result<(), &'static str>) -> Named {
    Named { name, check }
}

pub(super) const ALL: &[Function] = &[
    global("format.named", &[TEXT], Gives::Maybe(FORMAT), |run, on| {
        let Val::Text(name) = &on[0] else {
            return wrong();
        };
        run.spend_text(name.len())?;
        Ok(Val::optional(found(name).map(Val::Format)))
    }),
    constant("format.dns1123Label", |_, _| known("dns1123Label")),
    constant("format.dns1123LabelPrefix", |_, _| {
        known("dns1123LabelPrefix")
    }),
    constant("format.dns1123Subdomain", |_, _| known("dns1123Subdomain")),
    constant("format.dns1123SubdomainPrefix", |_, _| {
        known("dns1123SubdomainPrefix")
    }),
    constant("format.dns1035Label", |_, _| known("dns1035Label")),
    constant("format.dns1035LabelPrefix", |_, _| {
        known("dns1035LabelPrefix")
    }),
    constant("format.qualifiedName", |_, _| known("qualifiedName")),
    constant("format.labelValue", |_, _| known("labelValue")),
    constant("format.uri", |_, _| known("uri")),
    constant("format.uuid", |_, _| known("uuid")),
    constant("format.byte", |_, _| known("byte")),
    constant("format.date", |_, _| known("date")),
    constant("format.datetime", |_, _| known("datetime")),
    member("validate", &[FORMAT, TEXT], Gives::Maybe(LIST), validate),
];

const fn constant(name: &'static str, run: Body) -> Function {
    global(name, &[], Gives::Is(FORMAT), run)
}

fn found(name: &str) -> Option<&'static Named> {
    FORMATS.iter().find(|format| format.name == name)
}

fn known<'a>(name: &str) -> Result<Val<'a>, Fail> {
    found(name).map_or_else(wrong, |format| Ok(Val::Format(format)))
}

/// What is wrong with a text, if something is.
fn validate<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let (Val::Format(format), Val::Text(text)) = (&on[0], &on[1]) else {
        return wrong();
    };
    run.spend_text(text.len())?;
    let why = (format.check)(text).err();
    Ok(Val::optional(
        why.map(|why| Val::List([Val::text(why)].into())),
    ))
}

/// A beginning may end as no whole name does.
fn begun(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => format!("{rest}a"),
        _ => text.to_owned(),
    }
}

fn of(text: &str, format: &str, why: &'static str) -> Result<(), &'static str> {
    match is_of_format(format, text) {
        true => Ok(()),
        false => Err(why),
    }
}
