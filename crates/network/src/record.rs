//! Networks and endpoints on disk: one small file each, replaced whole.
//!
//! The set of endpoint files is the set of addresses in use; there is no second list that could
//! disagree. Endpoint files are not synced: what they describe lives in the kernel and is gone
//! after a power cut too. Never: the kernel.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weft_stdx::file::{Durability, read_bounded, replace};

use crate::port::{Protocol, PublishedPort};

/// The format; a record with a higher one is from a newer weft.
const VERSION: u32 = 1;
/// Labels and options of a network are the user's, within this.
const LARGEST: u64 = 4 * 1024 * 1024;
const ENDPOINTS: &str = "endpoints";

/// A record cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct RecordError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    version: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) subnet: String,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) bridge: String,
    pub(crate) mtu: u32,
    pub(crate) internal: bool,
    pub(crate) is_default: bool,
    /// Records that say nothing are of networks whose addresses somebody may have asked for.
    #[serde(default)]
    pub(crate) is_movable: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) created_ns: i64,
}

impl From<&crate::Network> for NetworkRecord {
    fn from(network: &crate::Network) -> NetworkRecord {
        NetworkRecord {
            version: VERSION,
            id: network.id.clone(),
            name: network.name.clone(),
            subnet: network.subnet.to_string(),
            gateway: network.gateway,
            bridge: network.bridge.clone(),
            mtu: network.mtu,
            internal: network.internal,
            is_default: network.is_default,
            is_movable: network.is_movable,
            labels: network.labels.clone(),
            options: network.options.clone(),
            created_ns: network.created_ns,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointRecord {
    version: u32,
    pub(crate) boot: String,
    pub(crate) serial: u64,
    pub(crate) id: String,
    pub(crate) container: String,
    pub(crate) network: String,
    pub(crate) link: String,
    pub(crate) interface: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: String,
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) upstreams: Vec<IpAddr>,
    pub(crate) ports: Vec<PortRecord>,
}

impl EndpointRecord {
    pub(crate) fn new(endpoint: &crate::state::Endpoint) -> EndpointRecord {
        let attachment = &endpoint.attachment;
        EndpointRecord {
            version: VERSION,
            boot: weft_stdx::clock::boot_id().to_owned(),
            serial: endpoint.serial,
            id: attachment.endpoint_id.clone(),
            container: attachment.container.clone(),
            network: attachment.network_id.clone(),
            link: endpoint.link.clone(),
            interface: attachment.interface.clone(),
            address: attachment.address,
            mac: attachment.mac.to_string(),
            names: attachment.names.clone(),
            upstreams: attachment.upstreams.clone(),
            ports: attachment.ports.iter().map(PortRecord::from).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortRecord {
    host_ip: Ipv4Addr,
    host_port: u16,
    container_port: u16,
    udp: bool,
}

impl From<&PublishedPort> for PortRecord {
    fn from(port: &PublishedPort) -> PortRecord {
        PortRecord {
            host_ip: port.host_ip,
            host_port: port.host_port,
            container_port: port.container_port,
            udp: port.protocol == Protocol::Udp,
        }
    }
}

impl From<&PortRecord> for PublishedPort {
    fn from(record: &PortRecord) -> PublishedPort {
        PublishedPort {
            host_ip: record.host_ip,
            host_port: record.host_port,
            container_port: record.container_port,
            protocol: match record.udp {
                true => Protocol::Udp,
                false => Protocol::Tcp,
            },
        }
    }
}

/// The directory the records are in.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError { what, path, source }
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Store, RecordError> {
        use std::os::unix::fs::DirBuilderExt;
        let endpoints = dir.join(ENDPOINTS);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&endpoints)
            .map_err(failed("create directory", &endpoints))?;
        Ok(Store {
            dir: dir.to_owned(),
        })
    }

    /// Every network. One that cannot be read is an error: its bridge may be in use.
    pub(crate) fn networks(&self) -> Result<Vec<NetworkRecord>, RecordError> {
        let mut found = Vec::new();
        for path in json_files(&self.dir)? {
            let record: NetworkRecord = read(&path)?;
            check_version(record.version, &path)?;
            found.push(record);
        }
        Ok(found)
    }

    /// Every endpoint of this boot; the files of earlier ones are removed.
    pub(crate) fn endpoints(&self) -> Result<Vec<EndpointRecord>, RecordError> {
        let boot = weft_stdx::clock::boot_id();
        let mut found = Vec::new();
        for path in json_files(&self.dir.join(ENDPOINTS))? {
            match read::<EndpointRecord>(&path) {
                Ok(record) if record.boot == boot => {
                    check_version(record.version, &path)?;
                    found.push(record);
                }
                // Cut short by a power cut, or describing a kernel that is no more.
                _ => {
                    fs::remove_file(&path).map_err(failed("remove outdated record", &path))?;
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn save_network(&self, record: &NetworkRecord) -> Result<(), RecordError> {
        write(&self.network_path(&record.id), record, Durability::PowerCut)
    }

    pub(crate) fn remove_network(&self, id: &str) -> Result<(), RecordError> {
        remove(&self.network_path(id))
    }

    pub(crate) fn save_endpoint(&self, record: &EndpointRecord) -> Result<(), RecordError> {
        let path = self.endpoint_path(&record.container, &record.network);
        write(&path, record, Durability::Process)
    }

    pub(crate) fn remove_endpoint(
        &self,
        container: &str,
        network: &str,
    ) -> Result<(), RecordError> {
        remove(&self.endpoint_path(container, network))
    }

    fn network_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn endpoint_path(&self, container: &str, network: &str) -> PathBuf {
        let network = network.get(..12).unwrap_or(network);
        self.dir
            .join(ENDPOINTS)
            .join(format!("{container}.{network}.json"))
    }
}

fn check_version(version: u32, path: &Path) -> Result<(), RecordError> {
    if version <= VERSION {
        return Ok(());
    }
    let source = io::Error::other(format!("it has version {version}, of a newer weft"));
    Err(failed("read record", path)(source))
}

/// The records in `dir`; leftovers of interrupted writes are removed.
fn json_files(dir: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed("list records in", dir))? {
        let path = entry.map_err(failed("list records in", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if name.ends_with(".json") {
            found.push(path);
        } else if name.contains(".json.tmp-") {
            // Another try at the next start if it cannot be removed.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(found)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, RecordError> {
    let content = read_bounded(path, LARGEST).map_err(failed("read record", path))?;
    serde_json::from_slice(&content).map_err(|error| failed("read record", path)(error.into()))
}

fn write<T: Serialize>(path: &Path, record: &T, durability: Durability) -> Result<(), RecordError> {
    let content = serde_json::to_vec(record).expect("records hold nothing JSON cannot");
    replace(path, &content, durability).map_err(failed("write record", path))
}

fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove record", path)(error))
        }
        _ => Ok(()),
    }
}
