//! A node and the pods on it, as sums that are kept up to date: what is used, how many pods of which
//! body there are, which ports are taken.
//! Never decides anything.

use std::sync::Arc;

use crate::amount::Sum;
use crate::body::Body;
use crate::names::Name;
use crate::node::Site;
use crate::pod::Port;

/// A node, or the name of one that pods say they are on.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) name: Name,
    /// Of the name, made from it alone: the last word among equals.
    pub(crate) order: u64,
    pub(crate) site: Option<Site>,
    /// Grows with every change.
    pub(crate) version: u64,
    /// Grows when the node itself changes.
    pub(crate) site_version: u64,
    pub(crate) load: Load,
    /// The ids of the pods.
    pub(crate) pods: Vec<Arc<str>>,
}

/// What is on a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) pods: u64,
    pub(crate) used: Sum,
    pub(crate) nominal_cpu: u128,
    pub(crate) nominal_memory: u128,
    pub(crate) bodies: Vec<Here>,
    pub(crate) ports: Vec<Port>,
}

/// How many pods of one body are on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    pub(crate) body: u32,
    pub(crate) living: u32,
    pub(crate) terminating: u32,
}

impl Load {
    pub(crate) fn add(&mut self, id: u32, body: &Body, is_terminating: bool) {
        self.pods += 1;
        self.used.add(&body.requests);
        self.nominal_cpu += body.nominal_cpu;
        self.nominal_memory += body.nominal_memory;
        self.ports.extend_from_slice(&body.shape.ports);
        let at = match self.bodies.iter().position(|here| here.body == id) {
            Some(at) => at,
            None => {
                let (living, terminating) = (0, 0);
                self.bodies.push(Here {
                    body: id,
                    living,
                    terminating,
                });
                self.bodies.len() - 1
            }
        };
        let here = &mut self.bodies[at];
        match is_terminating {
            true => here.terminating += 1,
            false => here.living += 1,
        }
    }

    /// Takes away what was added before.
    pub(crate) fn remove(&mut self, id: u32, body: &Body, is_terminating: bool) {
        self.pods -= 1;
        self.used.subtract(&body.requests);
        self.nominal_cpu -= body.nominal_cpu;
        self.nominal_memory -= body.nominal_memory;
        for port in &body.shape.ports {
            if let Some(at) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(at);
            }
        }
        if let Some(at) = self.bodies.iter().position(|here| here.body == id) {
            let here = &mut self.bodies[at];
            match is_terminating {
                true => here.terminating -= 1,
                false => here.living -= 1,
            }
            if here.living + here.terminating == 0 {
                self.bodies.swap_remove(at);
            }
        }
    }
}

/// FNV-1a of a name: spreads names, the same in every process and after every restart.
pub(crate) fn order(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
