//! Where services lead on a machine that does not exist, and what is in their way.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use weft_api::assignment::{ServicePort, Services};

use super::{World, refuse};
use crate::{Failure, Unserved};

#[derive(Debug, Default)]
pub(super) struct Routes {
    services: Services,
    /// Ports of the machine that somebody has.
    taken: BTreeSet<u16>,
    /// Nothing can be led anywhere.
    is_broken: bool,
}

impl World {
    /// Somebody has a port of the machine, or lets go of it.
    pub fn set_taken(&self, port: u16, is_taken: bool) {
        let taken = &mut self.lock().routes.taken;
        match is_taken {
            true => taken.insert(port),
            false => taken.remove(&port),
        };
    }

    /// Nothing can be led anywhere, or it can again.
    pub fn set_route_broken(&self, is_broken: bool) {
        self.lock().routes.is_broken = is_broken;
    }

    /// Where services lead.
    pub fn services(&self) -> Services {
        self.lock().routes.services.clone()
    }
}

impl Routes {
    pub(super) fn serve(&mut self, services: &Services) -> Result<Vec<Unserved>, Failure> {
        if self.is_broken {
            return Err(refuse("the kernel refuses"));
        }
        self.services = services.clone();
        let mut unserved = Vec::new();
        for (name, service) in &services.table {
            let whys = service.ports.iter().flat_map(|port| self.obstacles(port));
            unserved.extend(whys.map(|why| Unserved {
                service: name.clone(),
                why,
            }));
        }
        Ok(unserved)
    }

    fn obstacles(&self, port: &ServicePort) -> Vec<String> {
        let taken = port.node_port.filter(|port| self.taken.contains(port));
        let taken = taken.map(|port| format!("port {port} is taken"));
        let texts = port.endpoints.iter().map(|one| &one.address);
        let unread = texts.filter(|text| text.parse::<Ipv4Addr>().is_err());
        let unread = unread.map(|text| format!("{text:?} is no IPv4 address"));
        taken.into_iter().chain(unread).collect()
    }
}
