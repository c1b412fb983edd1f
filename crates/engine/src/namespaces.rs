//! The namespaces a run begins with: its id range, user and network namespace, and those it
//! shares with other containers.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use weft_network::Prepared;

use crate::container::handle::Container;
use crate::container::record::{Record, State};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::idrange::RANGE_SIZE;
use crate::ready::Reserved;
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
        if let NetworkMode::Sandbox(id) = &spec.network {
            let mut joined = self.join_sandbox(id)?;
            joined.paths.extend(self.pid_namespace(spec)?);
            return Ok(joined);
        }
        if let Some(owner) = self.partner(spec)? {
            return join_partner(record, &owner);
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

    /// The one container whose namespaces are shared.
    ///
    /// # Errors
    /// What is asked for can't be had of one container, or not of this one.
    pub(crate) fn partner(&self, spec: &Spec) -> Result<Option<Arc<Container>>> {
        let owners = owners(spec);
        let owner = match owners.as_slice() {
            [] => return Ok(None),
            [one] => self.find(one)?,
            _ => {
                return Err(EngineError::invalid(
                    "--network, --pid and --ipc container:… must name the same container: their namespaces have one owner",
                ));
            }
        };
        // A fresh network namespace would be below a foreign user namespace: only init can make it.
        if matches!(spec.network, NetworkMode::Networks(_)) {
            return Err(EngineError::invalid(
                "a container that shares another's pid or ipc namespace needs --network container:…, host or none",
            ));
        }
        if matches!(spec.security.ipc, Ipc::Container(_)) {
            self.check_same_ids(spec, &owner)?;
        }
        Ok(Some(owner))
    }

    /// Whose processes it sees within its sandbox, if not only its own.
    fn pid_namespace(&self, spec: &Spec) -> Result<Option<(&'static str, String)>> {
        let Some(owner) = self.partner(spec)? else {
            return Ok(None);
        };
        let path = format!("/proc/{}/ns/pid", running(&owner)?.pid);
        Ok(Some(("pid", path)))
    }

    /// An IPC namespace is joined with the user namespace it belongs to: nobody gets another than
    /// they asked for.
    fn check_same_ids(&self, spec: &Spec, owner: &Container) -> Result<()> {
        let name = owner.with(|r| r.name.clone());
        let why = match (has_user_namespace(spec), self.has_ids_of_its_own(owner)) {
            (false, true) => {
                "it has a user namespace; leave out --userns host, --privileged and namespaces of the \
                 host, or create that container with --userns host"
            }
            (true, false) => {
                "it has no user namespace; add --userns host, by which root in the container is root \
                 on the host"
            }
            _ => return Ok(()),
        };
        Err(EngineError::invalid(format!(
            "cannot join the IPC namespace of container {name}: {why}"
        )))
    }

    /// Whether a container is to run in a user namespace, its own or the one of whom it joins.
    fn has_ids_of_its_own(&self, container: &Container) -> bool {
        let spec = container.with(|r| r.spec.clone());
        match owners(&spec).first() {
            // Created before it, so this ends.
            Some(owner) => self
                .find(owner)
                .is_ok_and(|owner| self.has_ids_of_its_own(&owner)),
            None => has_user_namespace(&spec),
        }
    }
}

fn running(owner: &Container) -> Result<State> {
    let state = owner.state();
    match state.status.is_up() {
        true => Ok(state),
        false => Err(EngineError::conflict(format!(
            "cannot join the namespaces of container {}: it does not run; start it first",
            owner.id
        ))),
    }
}

/// Namespaces of `owner` are owned by its user namespace: the container lives in that too.
fn join_partner(record: &Record, owner: &Container) -> Result<Namespaces> {
    let state = running(owner)?;
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
    Ok(joined)
}

/// The containers whose namespaces are asked for.
fn owners(spec: &Spec) -> Vec<&str> {
    let mut owners: Vec<&str> = Vec::new();
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
    owners
}
