//! What pods are made of, alike in pods and in the templates of what makes pods.
//!
//! Owns: its defaults and its rules.
//! Never: what a kind asks of its template besides.

mod container;
mod default;
mod env;
mod placement;
mod probe;
mod quality;
mod resources;
mod security;
mod spec;
mod template;
mod volume;
mod wide;

pub(super) use default::{
    claim, pod, spec as default_spec, template as default_template, tolerate_loss,
};
pub(super) use quality::quality;
pub(super) use spec::{Use, validate};
pub(super) use template::{Rules, matches_template, selector, template};
pub(super) use wide::{containers, each, images, number, shown_selector};
