//! Containers on this machine: image, network, volume and runtime composed.
//!
//! Owns the container's record and its state machine. Never speaks HTTP, never knows of nodes
//! or workloads, never forks (the spawner does).

mod accounts;
mod adopt;
mod attach;
mod cgroups;
pub mod container;
mod copyup;
mod create;
mod devices;
mod engine;
pub mod error;
mod events;
mod exec;
mod files;
mod finish;
mod health;
mod idrange;
mod images;
mod info;
mod launch;
mod logs;
mod mounts;
mod names;
mod namespaces;
mod netfiles;
mod network;
mod oci;
mod paths;
mod process;
mod prune;
mod ready;
mod remove;
pub mod sandbox;
mod services;
pub mod session;
pub mod spec;
mod stats;
mod stop;
mod unreadable;
mod update;
mod user;
mod view;
mod volumes;

pub use engine::{Config, Engine, hold};
pub use error::{EngineError, ErrorCode, Result};
pub use events::Event;
pub use files::{CopyIn, PathFacts};
pub use info::Info;
pub use logs::{LogEntry, LogStream, Stream as LogSource};
pub use network::NetworkView;
pub use prune::{PruneFilter, Pruned};
pub use session::{Attached, AttachedReader, AttachedWriter, Output};
pub use spec::Spec;
pub use stats::{Interface, Process, Stats, Usage};
pub use volumes::VolumeView;
pub use weft_image::Credentials;
pub use weft_image::{RegistryConfig, RegistrySettings};
pub use weft_network::{
    NetworkSpec, Protocol, Reach, Service, ServiceEndpoint, ServiceHost, ServicePort, Services,
    Subnet,
};
pub use weft_runtime::cgroup::{
    Memory as CgroupMemory, Stats as CgroupStats, Tasks as CgroupTasks,
};
pub use weft_runtime::spawner::SpawnerConfig;
