//! What a command line chooses: kinds, names, selectors, manifests.
//!
//! Owns the grammar `TYPE`, `TYPE NAME…`, `TYPE/NAME…`, `TYPE,TYPE`, categories.

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::discovery::Resource;
use weft_client::cluster::{Answer, ApiError};

use super::connect::{Api, no_kind};
use super::form::items;
use super::manifest::{self, Sources};
use crate::error::CliError;

/// Selectors.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selectors {
    /// Only what has these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Only what has these fields: metadata.name=x
    #[arg(long, value_name = "FIELDS")]
    pub field_selector: Option<String>,
}

impl Selectors {
    /// Whether nothing is selected by.
    pub fn is_empty(&self) -> bool {
        self.selector.is_none() && self.field_selector.is_none()
    }

    /// `request` with them.
    pub fn on(&self, request: Request) -> Request {
        request
            .query_opt("labelSelector", self.selector.as_deref())
            .query_opt("fieldSelector", self.field_selector.as_deref())
    }
}

/// One object, or all of a kind.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its kind.
    pub kind: Resource,
    /// Where it is, if its kind is in namespaces; nothing: everywhere.
    pub namespace: Option<String>,
    /// Which one.
    pub name: Option<String>,
}

impl Target {
    /// That of an object that was seen.
    pub fn of(kind: &Resource, object: &Value) -> Target {
        let text = |key: &str| object["metadata"][key].as_str().map(str::to_owned);
        Target {
            kind: kind.clone(),
            namespace: text("namespace").filter(|_| kind.is_namespaced),
            name: text("name"),
        }
    }

    /// Its path, or that of one of its subresources.
    pub fn path<'a>(&'a self, below: Option<&'a str>) -> Vec<&'a str> {
        self.kind
            .path(self.namespace.as_deref(), self.name.as_deref(), below)
    }

    /// `configmap/x`, for messages before it was seen.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{}/{name}", self.kind.label()),
            None => self.kind.full_name(),
        }
    }

    /// A GET of it.
    pub fn get(&self) -> Request {
        Request::get(format!("get {}", self.label()), &self.path(None))
    }
}

/// How many objects are asked for at once.
pub const PAGE: u64 = 500;

/// What a server answers, all pages of a list as one; each of at most `chunk` objects (0: of all).
pub async fn pages(
    request: Request,
    chunk: u64,
    send: impl AsyncFn(&Request) -> Result<Answer, ApiError>,
) -> Result<Value, ApiError> {
    let request = match chunk {
        0 => request,
        chunk => request.query("limit", &chunk.to_string()),
    };
    let mut whole: Option<Value> = None;
    let mut token: Option<String> = None;
    loop {
        let next = request.clone().query_opt("continue", token.as_deref());
        let mut page: Value = send(&next).await?.json()?;
        token = page["metadata"]["continue"]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned);
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => {
                for list in ["items", "rows"] {
                    if let (Some(all), Value::Array(more)) =
                        (whole[list].as_array_mut(), page[list].take())
                    {
                        all.extend(more);
                    }
                }
            }
        }
        if token.is_none() {
            return Ok(whole.unwrap_or_default());
        }
    }
}

/// The objects that are meant by `target`, which may be all of a kind that selectors choose.
pub async fn each(
    api: &Api,
    target: Target,
    selectors: &Selectors,
) -> Result<Vec<Target>, CliError> {
    if target.name.is_some() {
        return Ok(vec![target]);
    }
    let request = selectors.on(target.get());
    let list = pages(request, PAGE, async |page| api.ask(page).await).await?;
    let found = items(&list).into_iter();
    Ok(found
        .map(|object| Target::of(&target.kind, object))
        .collect())
}

/// Which kinds and names `words` name; `sources` may name manifests instead.
pub async fn targets(
    api: &Api,
    words: &[String],
    sources: &Sources,
    all_namespaces: bool,
) -> Result<Vec<Target>, CliError> {
    if !sources.is_empty() {
        if !words.is_empty() {
            return Err(CliError::new(
                "when paths, URLs, or stdin is provided as input, you may not specify a resource by arguments as well",
            ));
        }
        let mut targets = Vec::new();
        for manifest in manifest::read(sources).await? {
            targets.push(manifest.target(api).await?);
        }
        return Ok(targets);
    }
    let namespace = (!all_namespaces).then(|| api.namespace.clone());
    let target = |kind: &Resource, name: Option<&str>| Target {
        kind: kind.clone(),
        namespace: namespace.clone().filter(|_| kind.is_namespaced),
        name: name.map(str::to_owned),
    };
    let mut targets = Vec::new();
    if words.iter().any(|word| word.contains('/')) {
        for word in words {
            let Some((kind, name)) = word
                .split_once('/')
                .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
            else {
                return Err(CliError::new(
                    "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'weft get resource/<resource_name>' instead of 'weft get resource resource/<resource_name>'",
                ));
            };
            let names = kinds(api, kind).await?;
            targets.extend(names.iter().map(|kind| target(kind, Some(name))));
        }
    } else if let Some((first, names)) = words.split_first() {
        for kind in kinds(api, first).await? {
            match names {
                [] => targets.push(target(&kind, None)),
                names => targets.extend(names.iter().map(|name| target(&kind, Some(name)))),
            }
        }
    }
    let is_named = targets
        .iter()
        .any(|target| target.name.is_some() && target.kind.is_namespaced);
    if all_namespaces && is_named {
        return Err(CliError::new(
            "a resource cannot be retrieved by name across all namespaces",
        ));
    }
    Ok(targets)
}

/// The kinds of `TYPE,TYPE`; a category means several.
async fn kinds(api: &Api, words: &str) -> Result<Vec<Resource>, CliError> {
    let known = api.kinds().await?;
    let mut found: Vec<Resource> = Vec::new();
    for word in words.split(',') {
        let of_category: Vec<Resource> = known.category(word).cloned().collect();
        let kinds = match known.find(word) {
            Some(kind) => vec![kind.clone()],
            None if !of_category.is_empty() => of_category,
            None => return Err(no_kind(word)),
        };
        for kind in kinds {
            if !found.contains(&kind) {
                found.push(kind);
            }
        }
    }
    Ok(found)
}
