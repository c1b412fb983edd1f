//! pull, import, load, save: what streams.
//!
//! ```text
//!   pull:          task  -> lines, bounded -> client
//!   load, import:  client -> reader -> blocking thread -> lines -> client
//!   save:          blocking thread -> pieces, bounded -> client
//! ```
//! A client that leaves drops the answer's stream, and with it task and channel: the work ends
//! at its next step. What fails before the first line is answered with a status, later with an
//! error line, as Docker does.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;
use tokio_util::task::AbortOnDropHandle;
use weft_api::docker::JsonMessage;
use weft_engine::Engine;
use weft_image::{Progress, Reference};

use super::auth::credentials;
use super::progress::{Lines, status};
use crate::error::ApiError;
use crate::session::error_line;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Lines that wait for a slow client; more are dropped, for the next one says more.
const LINES_MAX: usize = 256;
/// Pieces of an archive that wait for a slow client before the work waits for it too.
const PIECES_MAX: usize = 16;
/// Bytes of one piece of an archive.
const PIECE: usize = 64 << 10;

/// Pulls (`fromImage`) or imports (`fromSrc=-`).
pub async fn create(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    match (query.text("fromImage"), query.text("fromSrc")) {
        (Some(_), None) => pull(engine, call).await,
        (None, Some("-")) => import(engine, call).await,
        (None, Some(_)) => Err(ApiError::invalid(
            "import from an address is not supported: send the archive",
        )),
        _ => Err(ApiError::invalid(
            "one of 'fromImage' and 'fromSrc' is required",
        )),
    }
}

type Sender = mpsc::Sender<JsonMessage>;
type Task = AbortOnDropHandle<Result<(), ApiError>>;

/// The lines of a task, or its error when it failed before the first.
async fn lines(mut receiver: mpsc::Receiver<JsonMessage>, task: Task) -> Result<Answer, ApiError> {
    let Some(first) = receiver.recv().await else {
        let ended = task
            .await
            .map_err(|error| body::broken("a transfer broke off", &error))?;
        return ended.map(|()| body::json_lines(stream::empty::<JsonMessage>()));
    };
    let rest = stream::unfold(
        (Some(first), receiver, task),
        |(first, mut receiver, task)| async {
            let line = match first {
                Some(line) => line,
                None => receiver.recv().await?,
            };
            Some((line, (None, receiver, task)))
        },
    );
    Ok(body::json_lines(rest))
}

async fn pull(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let mut name = query.required("fromImage")?.to_owned();
    match query.text("tag") {
        Some(digest) if digest.contains(':') => name = format!("{name}@{digest}"),
        Some(tag) => name = format!("{name}:{tag}"),
        None => {}
    }
    let reference =
        Reference::parse(&name).map_err(|error| ApiError::invalid(error.to_string()))?;
    let platform = query.text("platform").map(str::to_owned);
    if let Some(platform) = &platform {
        super::platform(platform)?;
    }
    let auth = credentials(call.headers())?;
    body::discard(call.into_body()).await?;
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    let task = tokio::spawn(async move {
        let said = Said::new(reference.clone(), sender.clone());
        let had = engine.image(&name).ok().map(|image| image.id);
        let progress = |step| said.step(step);
        let pulled = engine
            .pull_image(&name, platform.as_deref(), auth, progress)
            .await;
        let image = match pulled {
            Ok(image) => image,
            Err(error) => return said.failed(error.into()).await,
        };
        let new = had.as_ref() != Some(&image.id);
        said.finished(new).await;
        Ok(())
    });
    lines(receiver, AbortOnDropHandle::new(task)).await
}

/// What a pull has told its client.
struct Said {
    reference: Reference,
    lines: std::sync::Mutex<Lines>,
    sender: Sender,
}

impl Said {
    fn new(reference: Reference, sender: Sender) -> Self {
        Self {
            reference,
            lines: std::sync::Mutex::default(),
            sender,
        }
    }

    fn step(&self, step: Progress) {
        let mut lines = self.lines.lock().expect("no holder panics");
        if lines.digest().is_none() {
            let id = self.reference.tag().unwrap_or_default().to_owned();
            let text = format!("Pulling from {}", self.reference.familiar_repository());
            let _ = self.sender.try_send(JsonMessage { id, ..status(text) });
        }
        for line in lines.step(step) {
            let _ = self.sender.try_send(line);
        }
    }

    async fn finished(self, new: bool) {
        let digest = self
            .lines
            .into_inner()
            .expect("no holder panics")
            .digest()
            .cloned();
        if let Some(digest) = digest {
            let _ = self.sender.send(status(format!("Digest: {digest}"))).await;
        }
        let what = if new {
            "Downloaded newer image"
        } else {
            "Image is up to date"
        };
        let _ = self
            .sender
            .send(status(format!("Status: {what} for {}", self.reference)))
            .await;
    }

    async fn failed(self, error: ApiError) -> Result<(), ApiError> {
        if self
            .lines
            .into_inner()
            .expect("no holder panics")
            .digest()
            .is_none()
        {
            return Err(error);
        }
        let _ = self.sender.send(error_line(&error)).await;
        Ok(())
    }
}

/// A blocking transfer that reads the client's body and says its lines at the end.
async fn read_body(
    call: Call,
    work: impl FnOnce(SyncIoBridge<body::Reader>) -> Result<Vec<JsonMessage>, ApiError> + Send + 'static,
) -> Result<Answer, ApiError> {
    let reader = SyncIoBridge::new(body::reader(call.into_body()));
    let said = tokio::task::spawn_blocking(move || work(reader))
        .await
        .map_err(|error| body::broken("a transfer broke off", &error))??;
    Ok(body::json_lines(stream::iter(said)))
}

/// `docker load`.
pub async fn load(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    call.query().flag("quiet", false)?;
    call.query().refuse(&["platform"])?;
    read_body(call, move |archive| {
        let loaded = engine.load_images(archive)?;
        let line = |text: String| JsonMessage {
            stream: text,
            ..JsonMessage::default()
        };
        let name = |name: &String| line(format!("Loaded image: {name}\n"));
        Ok(loaded
            .iter()
            .flat_map(|one| match one.names.as_slice() {
                [] => vec![line(format!("Loaded image ID: {}\n", one.image.id))],
                names => names.iter().map(name).collect(),
            })
            .collect())
    })
    .await
}

async fn import(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let platform = query.text("platform").map(super::platform).transpose()?;
    let message = query.text("message").unwrap_or_default().to_owned();
    let changes: Vec<String> = query.all("changes").map(str::to_owned).collect();
    let name = query
        .text("repo")
        .map(|repository| match query.text("tag") {
            Some(tag) => format!("{repository}:{tag}"),
            None => repository.to_owned(),
        });
    read_body(call, move |archive| {
        let image = engine.import_image(archive, &changes, &message, platform, name.as_deref())?;
        Ok(vec![status(image.id.to_string())])
    })
    .await
}

/// `docker save` of one.
pub async fn save_one(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let names = vec![call.param("name").to_owned()];
    save_names(&engine, names)
}

/// `docker save` of several.
pub async fn save(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    call.query().refuse(&["platform"])?;
    // Docker's client repeats the parameter; others put commas between the names.
    let names: Vec<String> = call
        .query()
        .all("names")
        .flat_map(|v| v.split(','))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(ApiError::invalid("query parameter 'names' is required"));
    }
    save_names(&engine, names)
}

fn save_names(engine: &Engine, names: Vec<String>) -> Result<Answer, ApiError> {
    for name in &names {
        engine.image(name)?;
    }
    let engine = engine.clone();
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let out = Pieces {
            sender: sender.clone(),
        };
        let mut out = io::BufWriter::with_capacity(PIECE, out);
        let saved = engine
            .save_images(&names, &mut out)
            .map_err(|error| io::Error::other(error.to_string()));
        if let Err(error) = saved.and_then(|()| out.flush()) {
            tracing::debug!(%error, "a save ended early");
            // The client sees the body end without its last chunk: a broken archive.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(body::stream("application/x-tar", drain(receiver)))
}

fn drain(
    receiver: mpsc::Receiver<io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    })
}

/// A writer whose pieces go to the client.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.sender
            .blocking_send(Ok(Bytes::copy_from_slice(piece)))
            .map_err(gone)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pushing is not offered.
pub async fn push(_engine: Engine, call: Call) -> Result<Answer, ApiError> {
    body::discard(call.into_body()).await?;
    Err(ApiError::invalid("pushing images is not supported"))
}
