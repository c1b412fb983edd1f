//! Volumes, by where their content comes from.

use serde_json::Value;

use super::page::{Page, shortened};
use super::storage;
use super::value::{entries, list, or, quantity, text, texts};

/// Longest attribute of a driver, in bytes.
const LONG: usize = 140;

/// Field of a source, what it is, and its own fields: title, name, what is said where it is not
/// there.
type Source = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const READ_ONLY: (&str, &str, &str) = ("ReadOnly:", "readOnly", "false");
const FILE_SYSTEM: (&str, &str, &str) = ("FSType:", "fsType", "");

/// Sources, with those of their fields that are told as they are. Those of clouds that no server has
/// mounted for years are told as of any other kind: by their name.
const SOURCES: [Source; 17] = [
    (
        "emptyDir",
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        &[("Medium:", "medium", "")],
    ),
    (
        "projected",
        "Projected (a volume that contains injected data from multiple sources)",
        &[],
    ),
    (
        "downwardAPI",
        "DownwardAPI (a volume populated by information about the pod)",
        &[],
    ),
    (
        "ephemeral",
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        &[],
    ),
    (
        "hostPath",
        "HostPath (bare host directory volume)",
        &[("Path:", "path", ""), ("HostPathType:", "type", "<none>")],
    ),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[
            ("PDName:", "pdName", ""),
            FILE_SYSTEM,
            ("Partition:", "partition", "0"),
            READ_ONLY,
        ],
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[
            ("VolumeID:", "volumeID", ""),
            FILE_SYSTEM,
            ("Partition:", "partition", "0"),
            READ_ONLY,
        ],
    ),
    (
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[
            ("Repository:", "repository", ""),
            ("Revision:", "revision", ""),
        ],
    ),
    (
        "secret",
        "Secret (a volume populated by a Secret)",
        &[
            ("SecretName:", "secretName", ""),
            ("Optional:", "optional", "false"),
        ],
    ),
    (
        "configMap",
        "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name:", "name", ""), ("Optional:", "optional", "false")],
    ),
    (
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server:", "server", ""), ("Path:", "path", ""), READ_ONLY],
    ),
    (
        "iscsi",
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        &[
            ("TargetPortal:", "targetPortal", ""),
            ("IQN:", "iqn", ""),
            ("Lun:", "lun", "0"),
            ("ISCSIInterface", "iscsiInterface", ""),
            FILE_SYSTEM,
            READ_ONLY,
            ("Portals:", "portals", "[]"),
            ("DiscoveryCHAPAuth:", "chapAuthDiscovery", "false"),
            ("SessionCHAPAuth:", "chapAuthSession", "false"),
            ("SecretRef:", "secretRef", "<nil>"),
            ("InitiatorName:", "initiatorName", "<none>"),
        ],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName:", "claimName", ""), READ_ONLY],
    ),
    (
        "local",
        "LocalVolume (a persistent volume backed by local storage on a node)",
        &[("Path:", "path", "")],
    ),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver:", "driver", ""), FILE_SYSTEM, READ_ONLY],
    ),
    (
        "fc",
        "FC (a Fibre Channel disk)",
        &[
            ("TargetWWNs:", "targetWWNs", ""),
            ("LUN:", "lun", "<none>"),
            FILE_SYSTEM,
            READ_ONLY,
        ],
    ),
    (
        "image",
        "Image (a container image or OCI artifact)",
        &[
            ("Reference:", "reference", ""),
            ("PullPolicy:", "pullPolicy", ""),
        ],
    ),
];

/// A pod's volumes, or a template's.
pub(super) fn tell(volumes: &Value, indent: &str, page: &mut Page) {
    if list(volumes).is_empty() {
        return page.line(0, format_args!("{indent}Volumes:\t<none>"));
    }
    page.line(0, format_args!("{indent}Volumes:"));
    let name_indent = if indent.is_empty() { "" } else { " " };
    for volume in list(volumes) {
        page.line(1, format_args!("{name_indent}{}:", text(&volume["name"])));
        source(volume, page);
    }
}

/// Where the content comes from: of a volume, or of a persistent volume's `spec`.
pub(super) fn source(volume: &Value, page: &mut Page) {
    let known = SOURCES
        .iter()
        .find(|(field, ..)| volume[*field].is_object());
    let Some((field, title, fields)) = known else {
        return page.line(1, "<unknown>");
    };
    let source = &volume[*field];
    page.field(2, "Type", title);
    for (title, name, missing) in *fields {
        let value = match (*name, &source[*name]) {
            ("secretRef", Value::Object(_)) => reference(&source[*name]),
            ("targetWWNs", names) => texts(names).join(", "),
            (_, value) => or(value, missing),
        };
        page.line(2, format_args!("{title}\t{value}"));
        // A claimed volume has one, between the others.
        if *field == "csi" && *name == "fsType" && source["volumeHandle"].is_string() {
            page.field(2, "VolumeHandle", text(&source["volumeHandle"]));
        }
    }
    match *field {
        "csi" => attributes(&source["volumeAttributes"], page),
        "emptyDir" => size_limit(&source["sizeLimit"], page),
        "projected" => projected(&source["sources"], page),
        "downwardAPI" => downward(&source["items"], page),
        "ephemeral" if source["volumeClaimTemplate"].is_object() => {
            let template = &source["volumeClaimTemplate"];
            page.nested(|page| storage::claim(template, false, page));
        }
        _ => {}
    }
}

/// A reference to a secret as Go prints one.
fn reference(secret: &Value) -> String {
    let name = text(&secret["name"]);
    match secret["namespace"].as_str() {
        Some(namespace) => format!("&SecretReference{{Name:{name},Namespace:{namespace},}}"),
        None => format!("&LocalObjectReference{{Name:{name},}}"),
    }
}

fn attributes(attributes: &Value, page: &mut Page) {
    let pairs = entries(attributes).map(|(key, value)| format!("{key}={}", text(value)));
    let pairs: Vec<String> = pairs.map(|pair| shortened(&pair, LONG)).collect();
    let (first, rest) = match pairs.split_first() {
        Some((first, rest)) => (&first[..], rest),
        None => ("<none>", &[][..]),
    };
    // kubectl puts the indent before each part of such a line.
    let nest = if pairs.is_empty() { "" } else { "    " };
    page.field(2, "VolumeAttributes", format_args!("{nest}{first}"));
    for pair in rest {
        page.line(4, format_args!("\t    {pair}"));
    }
}

fn size_limit(limit: &Value, page: &mut Page) {
    let limit = match quantity(limit) {
        none if none.is_zero() || none.is_negative() => "<unset>".to_owned(),
        limit => limit.to_string(),
    };
    page.field(2, "SizeLimit", limit);
}

fn projected(sources: &Value, page: &mut Page) {
    for source in list(sources) {
        let (secret, config) = (&source["secret"], &source["configMap"]);
        let token = &source["serviceAccountToken"];
        if secret.is_object() {
            page.field(2, "SecretName", text(&secret["name"]));
            page.field(2, "SecretOptionalName", or(&secret["optional"], "<nil>"));
        } else if source["downwardAPI"].is_object() {
            page.field(2, "DownwardAPI", "true");
        } else if config.is_object() {
            page.field(2, "ConfigMapName", text(&config["name"]));
            // kubectl 1.32 tells the address of what is set.
            page.field(2, "ConfigMapOptional", or(&config["optional"], "<nil>"));
        } else if token.is_object() {
            let seconds = text(&token["expirationSeconds"]);
            page.field(2, "TokenExpirationSeconds", seconds);
        }
    }
}

fn downward(items: &Value, page: &mut Page) {
    page.line(2, "Items:");
    for item in list(items) {
        let from = [
            &item["fieldRef"]["fieldPath"],
            &item["resourceFieldRef"]["resource"],
        ];
        for from in from.into_iter().filter(|from| from.is_string()) {
            page.line(3, format_args!("{} -> {}", text(from), text(&item["path"])));
        }
    }
}
