//! Flags about files: volumes, binds, tmpfs, the root filesystem.

use weft_api::docker::{
    BindOptions, ContainerCreateRequest, Mount, Present, TmpfsOptions, VolumeDriverConfig,
    VolumeOptions,
};

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// What the container's files are.
#[derive(Debug, Default, clap::Args)]
pub struct MountFlags {
    /// Bind a directory or mount a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Attach a filesystem: type=bind|volume|tmpfs,source=S,target=T,…
    #[arg(long, value_name = "KEY=VALUE,…", value_parser = mount)]
    pub mount: Vec<Mount>,
    /// Mount a tmpfs
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Mount the root filesystem read-only
    #[arg(long)]
    pub read_only: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = values::size)]
    pub shm_size: Option<i64>,
}

impl Topic for MountFlags {
    const NAMES: &'static [&'static str] =
        &["volume", "v", "mount", "tmpfs", "read-only", "shm-size"];
}

impl MountFlags {
    pub(super) fn lower(&self, body: &mut ContainerCreateRequest) -> Result<(), CliError> {
        for spec in &self.volume {
            if spec.split(':').any(str::is_empty) {
                return Err(invalid(format!(
                    "invalid spec: {spec}: empty section between colons"
                )));
            }
            if spec.contains(':') {
                body.host_config.binds.push(absolute(spec)?);
            } else {
                body.volumes.insert(spec.clone(), Present);
            }
        }
        let host = &mut body.host_config;
        for spec in &self.tmpfs {
            let (target, options) = spec.split_once(':').unwrap_or((spec, ""));
            host.tmpfs.insert(target.to_owned(), options.to_owned());
        }
        host.mounts.clone_from(&self.mount);
        host.readonly_rootfs = self.read_only;
        host.shm_size = self.shm_size.unwrap_or_default();
        Ok(())
    }
}

/// Makes a source that begins with `.` or `~` absolute: only we know our working directory.
fn absolute(spec: &str) -> Result<String, CliError> {
    let (source, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let path = if source == "." || source.starts_with("./") || source.starts_with("..") {
        let here = std::env::current_dir()
            .map_err(|error| CliError::because("find the working directory", &error))?;
        here.join(source)
    } else if let Some(below) = source.strip_prefix("~/") {
        let home = std::env::var_os("HOME")
            .ok_or_else(|| invalid(format!("bind {source}: HOME is not set")))?;
        std::path::Path::new(&home).join(below)
    } else {
        return Ok(spec.to_owned());
    };
    let mut clean = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    let clean = clean
        .to_str()
        .ok_or_else(|| invalid(format!("bind {source}: the path is not UTF-8")))?;
    Ok(format!("{clean}:{rest}"))
}

/// Reads one `--mount`.
fn mount(text: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        r#type: "volume".to_owned(),
        ..Mount::default()
    };
    let mut own = OwnOptions::default();
    for field in text.split(',') {
        let (key, value) = field
            .split_once('=')
            .map_or((field, None), |(key, value)| (key, Some(value)));
        let key = key.trim().to_lowercase();
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" => mount.read_only = true,
                "volume-nocopy" => own.volume().no_copy = true,
                "bind-nonrecursive" => own.bind().non_recursive = true,
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            }
            continue;
        };
        field_with_value(&mut mount, &mut own, &key, value)
            .map_err(|why| why.unwrap_or_else(|| format!("unexpected key '{key}' in '{field}'")))?;
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    own.settle(mount)
}

/// Sets one field; `Err(None)` means an unknown key.
fn field_with_value(
    mount: &mut Mount,
    own: &mut OwnOptions,
    key: &str,
    value: &str,
) -> Result<(), Option<String>> {
    let truth = || match value.to_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(Some(format!("invalid value for {key}: {value}"))),
    };
    match key {
        "type" => mount.r#type = value.to_lowercase(),
        "source" | "src" => value.clone_into(&mut mount.source),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "readonly" | "ro" => mount.read_only = truth()?,
        "bind-propagation" => own.bind().propagation = value.to_lowercase(),
        "bind-nonrecursive" => own.bind().non_recursive = truth()?,
        "volume-nocopy" => own.volume().no_copy = truth()?,
        "volume-subpath" => value.clone_into(&mut own.volume().subpath),
        "volume-label" => own
            .volume()
            .labels
            .extend(values::pairs(&[value.to_owned()])),
        "volume-driver" => value.clone_into(&mut own.driver().name),
        "volume-opt" => own
            .driver()
            .options
            .extend(values::pairs(&[value.to_owned()])),
        "tmpfs-size" => {
            own.tmpfs().size_bytes = values::size(value)
                .map_err(|_| Some(format!("invalid value for {key}: {value}")))?;
        }
        "tmpfs-mode" => {
            own.tmpfs().mode = u32::from_str_radix(value, 8)
                .map_err(|_| Some(format!("invalid value for {key}: {value}")))?;
        }
        _ => return Err(None),
    }
    Ok(())
}

/// Options of one type of mount each.
#[derive(Default)]
struct OwnOptions {
    bind: Option<BindOptions>,
    volume: Option<VolumeOptions>,
    tmpfs: Option<TmpfsOptions>,
}

impl OwnOptions {
    fn bind(&mut self) -> &mut BindOptions {
        self.bind.get_or_insert_default()
    }

    fn volume(&mut self) -> &mut VolumeOptions {
        self.volume.get_or_insert_default()
    }

    fn driver(&mut self) -> &mut VolumeDriverConfig {
        self.volume().driver_config.get_or_insert_default()
    }

    fn tmpfs(&mut self) -> &mut TmpfsOptions {
        self.tmpfs.get_or_insert_default()
    }

    fn settle(self, mut mount: Mount) -> Result<Mount, String> {
        let mixed = |options: &str| {
            Err(format!(
                "cannot mix '{options}-*' options with mount type '{}'",
                mount.r#type
            ))
        };
        if self.volume.is_some() && mount.r#type != "volume" {
            return mixed("volume");
        }
        if self.bind.is_some() && mount.r#type != "bind" {
            return mixed("bind");
        }
        if self.tmpfs.is_some() && mount.r#type != "tmpfs" {
            return mixed("tmpfs");
        }
        mount.bind_options = self.bind;
        mount.volume_options = self.volume;
        mount.tmpfs_options = self.tmpfs;
        Ok(mount)
    }
}
