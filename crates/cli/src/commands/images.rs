//! `weft images`

use weft_api::docker::ImageSummary;

use super::pull::split_name;
use crate::flags::values::{filter, filters};
use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::render::units;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("images", Args, "List images");

/// Flags of `images`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show intermediate images too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Only show matching images: dangling=true, reference=…, label=…, before=…, since=…
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    list: ListFlags,
    /// Only show images of this name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

const COLUMNS: &[Column] = &[
    shown("Repository", "REPOSITORY"),
    shown("Tag", "TAG"),
    hidden("Digest", "DIGEST"),
    shown("ID", "IMAGE ID"),
    shown("CreatedSince", "CREATED"),
    shown("Size", "SIZE"),
    hidden("CreatedAt", "CREATED AT"),
    hidden("Containers", "CONTAINERS"),
    hidden("SharedSize", "SHARED SIZE"),
    hidden("UniqueSize", "UNIQUE SIZE"),
    hidden("VirtualSize", "VIRTUAL SIZE"),
];
const DIGEST: usize = 2;
const NONE: &str = "<none>";

impl Args {
    /// Lists the images.
    pub async fn run(self, session: &Session) -> Outcome {
        let mut filters = filters(&self.filter);
        if let Some(name) = &self.name {
            filters.add("reference", name);
        }
        let engine = session.engine().await?;
        let mut images = engine.list_images(self.all, &filters).await?;
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        if self.list.output.is_some() {
            session.printer.json(&images)?;
            return Ok(0);
        }
        let now = units::now_seconds();
        let dates = self.list.format.is_some();
        let mut rows: Vec<Vec<String>> = Vec::new();
        for image in &images {
            rows.extend(image_rows(
                image,
                now,
                self.list.no_trunc,
                self.digests,
                dates,
            ));
        }
        if self.list.quiet {
            rows.dedup_by(|a, b| a[3] == b[3]);
        }
        let mut columns = COLUMNS.to_vec();
        columns[DIGEST].shown = self.digests;
        print(session, &self.list, &columns, "ID", &rows)?;
        Ok(0)
    }
}

/// A row per name of the image; one without names has a row too.
fn image_rows(
    image: &ImageSummary,
    now: i64,
    full: bool,
    digests: bool,
    dates: bool,
) -> Vec<Vec<String>> {
    let id = if full {
        image.id.clone()
    } else {
        units::short_id(&image.id).to_owned()
    };
    let bytes = |size: i64| u64::try_from(size).map_or("N/A".to_owned(), units::size_short);
    names(image, digests)
        .into_iter()
        .map(|(repository, tag, digest)| {
            vec![
                repository,
                tag,
                digest,
                id.clone(),
                units::ago(image.created, now),
                bytes(image.size),
                if dates {
                    units::local(image.created)
                } else {
                    String::new()
                },
                match image.containers {
                    ..0 => "N/A".to_owned(),
                    count => count.to_string(),
                },
                bytes(image.shared_size),
                if image.shared_size < 0 {
                    "N/A".to_owned()
                } else {
                    bytes(image.size - image.shared_size)
                },
                bytes(image.size),
            ]
        })
        .collect()
}

/// (repository, tag, digest) of each name; one without names has one all the same.
pub fn names(image: &ImageSummary, digests: bool) -> Vec<(String, String, String)> {
    let digest_of = |repository: &str| {
        image.repo_digests.iter().find_map(|digest| {
            let (name, digest) = digest.split_once('@')?;
            (name == repository).then(|| digest.to_owned())
        })
    };
    let mut names: Vec<(String, String, String)> = Vec::new();
    for tag in image.repo_tags.iter().filter(|tag| *tag != "<none>:<none>") {
        let (repository, tag) = split_name(tag);
        let digest = digest_of(repository).unwrap_or_else(|| NONE.to_owned());
        names.push((
            repository.to_owned(),
            tag.unwrap_or(NONE).to_owned(),
            digest,
        ));
    }
    if names.is_empty() {
        for digest in &image.repo_digests {
            let (repository, digest) = digest.split_once('@').unwrap_or((digest, NONE));
            names.push((repository.to_owned(), NONE.to_owned(), digest.to_owned()));
        }
        if !digests {
            names.truncate(1);
        }
    }
    if names.is_empty() {
        names.push((NONE.to_owned(), NONE.to_owned(), NONE.to_owned()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_row_per_name() {
        let mut image = ImageSummary {
            id: format!("sha256:{}", "ab".repeat(32)),
            repo_tags: vec!["busybox:latest".into(), "h:5000/b:1".into()],
            repo_digests: vec!["busybox@sha256:dd".into()],
            created: 0,
            size: 4_260_000,
            shared_size: -1,
            containers: -1,
            ..ImageSummary::default()
        };
        let rows = image_rows(&image, 3 * 86400, false, true, false);
        assert_eq!(
            rows[0][..6],
            [
                "busybox",
                "latest",
                "sha256:dd",
                "abababababab",
                "3 days ago",
                "4.26MB"
            ]
        );
        assert_eq!(rows[1][..3], ["h:5000/b", "1", "<none>"]);
        image.repo_tags.clear();
        assert_eq!(
            image_rows(&image, 0, false, true, false)[0][..3],
            ["busybox", "<none>", "sha256:dd"]
        );
        image.repo_digests.clear();
        assert_eq!(
            image_rows(&image, 0, false, true, false)[0][..2],
            ["<none>", "<none>"]
        );
    }
}
