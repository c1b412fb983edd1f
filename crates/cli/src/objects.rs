//! The objects of a weft server: kubectl's verbs, flags and output over the Kubernetes API.
//!
//! Owns: the way in, what a command line chooses, manifests, forms of output, the verbs.
//! Never: touched by commands about containers; nothing here is made before its verb is named.

mod choose;
mod columns;
mod connect;
mod deletion;
mod editor;
mod form;
mod inside;
pub mod kustomize;
mod local;
pub mod manifest;
pub mod order;
mod patience;
mod plugin;
mod pods;
mod qr;
mod raw;
mod refusal;
mod rows;
pub mod verbs;
mod write;
