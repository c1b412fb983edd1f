//! The namespaces a run begins with: its id range, user and network namespace, and those it
//! shares with other containers.

use std::os::fd::OwnedFd;

use weft_network::Prepared;

use crate::container::record::Record;
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::idrange::RANGE_SIZE;
use crate::sandbox::Reserved;
use crate::spec::{Ipc, NetworkMode, Sharing, Spec};

/// What a run begins with. Nothing here is bound to a path: dropped handles are gone.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// First host id; 0 without a user namespace.
    pub id_base: u32,
    /// Its user namespace.
    pub user: Option<OwnedFd>,
    /// Its network namespace, when it is its own.
    pub net: Option<OwnedFd>,
    /// All of these at once, with its place on the default network.
    pub prepared: Option<Prepared<Reserved>>,
    /// Joined by path: (OCI type, path).
    pub paths: Vec<(&'static str, String)>,
}

/// Whether the container has a user namespace. Sharing a namespace of the host means sharing its
/// owner, so those imply `--userns host`, as `--privileged` does.
pub(crate) fn has_user_namespace(spec: &Spec) -> bool {
    let security = &spec.security;
    let with_host = [
        &security.pid,
        &security.ipc.namespace(),
        &security.uts,
        &security.cgroup,
    ]
    .contains(&&Sharing::Host);
    !(security.userns_host || security.privileged || with_host || spec.network == NetworkMode::Host)
}

impl Engine {
    pub(crate) fn make_namespaces(&self, record: &Record) -> Result<Namespaces> {
        let spec = &record.spec;
        if let Some(owner) = partner(spec)? {
            return self.join_partner(record, &owner);
        }
        let own_network = matches!(spec.network, NetworkMode::None | NetworkMode::Networks(_));
        let failed = |e| {
            EngineError::internal(
                format!("make the namespaces of container {}", record.name),
                e,
            )
        };
        if !has_user_namespace(spec) {
            let net = own_network
                .then(|| self.inner.spawner.netns())
                .transpose()
                .map_err(failed)?;
            return Ok(Namespaces {
                net,
                ..Namespaces::default()
            });
        }
        if self.fits_prepared(spec)
            && let Some(prepared) = self.inner.ready.networked(
                &self.inner.network,
                &self.inner.ids,
                &self.inner.spawner,
            )
        {
            let id_base = prepared.sandbox().id_base();
            return Ok(Namespaces {
                id_base,
                prepared: Some(prepared),
                ..Namespaces::default()
            });
        }
        if spec.network == NetworkMode::None
            && let Some(reserved) = self.inner.ready.bare(&self.inner.ids, &self.inner.spawner)
        {
            let id_base = reserved.id_base();
            let (user, net) = reserved.into_parts();
            return Ok(Namespaces {
                id_base,
                user: Some(user),
                net: Some(net),
                ..Namespaces::default()
            });
        }
        let id_base = self.inner.ids.take().ok_or_else(|| {
            EngineError::new(
                ErrorCode::Exhausted,
                "no id range is free for another user namespace",
            )
        })?;
        match self.inner.spawner.sandbox(id_base, RANGE_SIZE) {
            Ok(sandbox) => Ok(Namespaces {
                id_base,
                user: Some(sandbox.user),
                net: own_network.then_some(sandbox.net),
                ..Namespaces::default()
            }),
            Err(error) => {
                self.inner.ids.give_back(id_base);
                Err(failed(error))
            }
        }
    }

    /// Whether a sandbox of the default network serves: the first network has no wishes of its own.
    fn fits_prepared(&self, spec: &Spec) -> bool {
        let NetworkMode::Networks(list) = &spec.network else {
            return false;
        };
        list.first().is_some_and(|first| {
            first.ip.is_none()
                && first.mac.is_none()
                && self
                    .network(&first.network)
                    .is_ok_and(|network| network.is_default)
        })
    }

    /// Namespaces of `owner` are owned by its user namespace: the container lives in that too.
    fn join_partner(&self, record: &Record, owner: &str) -> Result<Namespaces> {
        let target = self.find(owner)?;
        let state = target.state();
        if !state.status.is_up() {
            return Err(EngineError::conflict(format!(
                "cannot join the namespaces of container {owner}: it does not run; start it first"
            )));
        }
        let spec = &record.spec;
        let mut joined = Namespaces {
            id_base: state.id_base,
            ..Namespaces::default()
        };
        let mut join = |kind: &'static str, file: &str| {
            joined
                .paths
                .push((kind, format!("/proc/{}/ns/{file}", state.pid)));
        };
        if state.id_base != 0 {
            join("user", "user");
        }
        if matches!(spec.network, NetworkMode::Container(_)) {
            join("network", "net");
        }
        if matches!(spec.security.pid, Sharing::Container(_)) {
            join("pid", "pid");
        }
        if matches!(spec.security.ipc, Ipc::Container(_)) {
            join("ipc", "ipc");
            let root = format!("/proc/{}/root", state.pid);
            joined.paths.push(("root", root));
        }
        if matches!(spec.network, NetworkMode::None | NetworkMode::Networks(_)) {
            // A fresh network namespace below a foreign user namespace: made by init itself.
            joined.net = None;
            if matches!(spec.network, NetworkMode::Networks(_)) {
                return Err(EngineError::invalid(
                    "a container that shares another's pid or ipc namespace needs --network container:…, host or none",
                ));
            }
        }
        Ok(joined)
    }
}

/// The one container whose namespaces are shared.
fn partner(spec: &Spec) -> Result<Option<String>> {
    let mut owners: Vec<&String> = Vec::new();
    if let NetworkMode::Container(id) = &spec.network {
        owners.push(id);
    }
    if let Sharing::Container(id) = &spec.security.pid {
        owners.push(id);
    }
    if let Ipc::Container(id) = &spec.security.ipc {
        owners.push(id);
    }
    owners.dedup();
    match owners.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        _ => Err(EngineError::invalid(
            "--network, --pid and --ipc container:… must name the same container: their namespaces have one owner",
        )),
    }
}
