//! `pods/NAME/exec` and `attach`: a process and its client, over the channels of
//! `v5.channel.k8s.io` and `v4.channel.k8s.io`.
//!
//! ```text
//!   client ─► [0 stdin][4 size][255 close, v5] ─► Typed ─► process
//!          ◄─ [1 stdout][2 stderr] ◄─ Said ◄─┘   [3 Status] when it has ended, and good-bye
//! ```
//! Never: runs anything; a node does.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use weft_control::{Failure, Object};

use crate::answer::{self, Answer};
use crate::containers;
use crate::nodes::{Command, Said, Session, Streams, Typed};
use crate::pods::Asked;
use crate::query::Query;
use crate::socket::{Incoming, Offer, Outgoing, PING};

const V5: &str = "v5.channel.k8s.io";
const V4: &str = "v4.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// Largest text that names a size.
const SIZE_MAX: usize = 256;

/// What is to be run, or joined.
enum Wish {
    Exec(Command),
    Attach(Streams),
}

/// Runs a command in a container of `pod`.
///
/// # Errors
/// The question is no good, or the container does not run.
pub(crate) async fn exec(asked: &Asked<'_>, pod: &Object) -> Result<Answer, Failure> {
    let (streams, tty) = streams(asked.query)?;
    let args: Vec<String> = asked.query.all("command").map(str::to_owned).collect();
    if args.is_empty() {
        return Err(Failure::bad_request("a command must be specified"));
    }
    let chosen = containers::choose(pod, asked.query.text("container"))?;
    let id = chosen.running()?.to_owned();
    begin(asked, id, Wish::Exec(Command { args, tty, streams })).await
}

/// Joins the streams of a container of `pod`.
///
/// # Errors
/// The question is no good, or the container does not run.
pub(crate) async fn attach(asked: &Asked<'_>, pod: &Object) -> Result<Answer, Failure> {
    let (streams, tty) = streams(asked.query)?;
    let chosen = containers::choose(pod, asked.query.text("container"))?;
    let id = chosen.running()?.to_owned();
    let (has_tty, has_stdin) = chosen.streams();
    for (is_asked, has, what) in [(tty, has_tty, "tty"), (streams.stdin, has_stdin, "stdin")] {
        if is_asked && !has {
            let name = chosen.name;
            let message = format!("container {name} was started without `{what}: true`");
            return Err(Failure::bad_request(message));
        }
    }
    begin(asked, id, Wish::Attach(streams)).await
}

fn streams(query: &Query) -> Result<(Streams, bool), Failure> {
    let streams = Streams {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
    };
    let tty = query.flag("tty");
    if streams == Streams::default() {
        let message = "you must specify at least 1 of stdin, stdout, stderr";
        return Err(Failure::bad_request(message));
    }
    if tty && streams.stderr {
        return Err(Failure::bad_request("tty and stderr cannot both be true"));
    }
    Ok((streams, tty))
}

async fn begin(asked: &Asked<'_>, id: String, wish: Wish) -> Result<Answer, Failure> {
    let offer = Offer::of(asked.head, &[V5, V4])?;
    let nodes = asked.nodes()?;
    let permit = asked.server.sessions.begin()?;
    let ending = asked.ending().await?;
    let is_v5 = offer.protocol == V5;
    offer.take(move |incoming, outgoing| async move {
        let _permit = permit;
        // Only now: a client that is not let in by its protocol tries another one.
        let begun = match wish {
            Wish::Exec(command) => nodes.exec(&id, command).await,
            Wish::Attach(streams) => nodes.attach(&id, streams).await,
        };
        match begun {
            Ok(session) => {
                tokio::select! {
                    () = carry(session, incoming, outgoing, is_v5) => {}
                    () = ending => {}
                }
            }
            Err(failure) => {
                tell(outgoing, &answer::status(&failure)).await;
                incoming.drain().await;
            }
        }
    })
}

/// Until the process has ended, or the client has gone.
async fn carry(session: Session, mut incoming: Incoming, outgoing: Outgoing, is_v5: bool) {
    let Session { typed, said } = session;
    tokio::select! {
        () = listen(&mut incoming, typed, is_v5) => return,
        () = speak(outgoing, said) => {}
    }
    incoming.drain().await;
}

/// Ends when the client goes, or talks nonsense.
async fn listen(incoming: &mut Incoming, typed: mpsc::Sender<Typed>, is_v5: bool) {
    while let Some(message) = incoming.next().await {
        let Some(channel) = message.first().copied() else {
            continue;
        };
        let bytes = message.slice(1..);
        let what = match channel {
            // Opens the channel: nothing is said yet.
            STDIN if bytes.is_empty() => continue,
            STDIN => Typed::Bytes(bytes),
            RESIZE => match size(&bytes) {
                Some(size) => size,
                None => continue,
            },
            CLOSE if is_v5 => match bytes[..] {
                [STDIN] => Typed::End,
                // What it no longer listens to goes nowhere.
                _ => continue,
            },
            _ => return,
        };
        // A process that is gone has still something to say.
        let _ = typed.send(what).await;
    }
}

/// `{"Width":80,"Height":24}`
fn size(bytes: &[u8]) -> Option<Typed> {
    if bytes.len() > SIZE_MAX {
        return None;
    }
    let told: Value = serde_json::from_slice(bytes).ok()?;
    let side = |name: &str| u16::try_from(told.get(name)?.as_u64()?).ok();
    let (rows, cols) = (side("Height")?, side("Width")?);
    (rows > 0 && cols > 0).then_some(Typed::Size { rows, cols })
}

async fn speak(mut outgoing: Outgoing, mut said: mpsc::Receiver<Said>) {
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let said = tokio::select! {
            said = said.recv() => said,
            _ = pings.tick() => match outgoing.ping().await {
                true => continue,
                false => return,
            },
        };
        let message = match said {
            Some(Said::Stdout(bytes)) => on(STDOUT, &bytes),
            Some(Said::Stderr(bytes)) => on(STDERR, &bytes),
            Some(Said::Exit(code)) => return tell(outgoing, &exit(code)).await,
            None => {
                let failure = Failure::internal("the session broke off");
                return tell(outgoing, &answer::status(&failure)).await;
            }
        };
        if !outgoing.send(message).await {
            return;
        }
    }
}

/// The last words.
async fn tell(mut outgoing: Outgoing, status: &Value) {
    if outgoing
        .send(on(ERROR, status.to_string().as_bytes()))
        .await
    {
        outgoing.close().await;
    }
}

fn on(channel: u8, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.extend_from_slice(&[channel]);
    message.extend_from_slice(bytes);
    message.freeze()
}

/// How a command has ended, as `Status` (meta/v1).
fn exit(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        for (text, expected) in [
            ("{\"Width\":80,\"Height\":24}", Some((24, 80))),
            ("{\"Width\":0,\"Height\":24}", None),
            ("{\"Width\":80000,\"Height\":24}", None),
            ("{\"Width\":-1,\"Height\":24}", None),
            ("80x24", None),
            ("", None),
        ] {
            let found = size(text.as_bytes()).map(|size| match size {
                Typed::Size { rows, cols } => (rows, cols),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn at_least_one_stream_is_asked_for() {
        let of = |text: &str| {
            let query = Query::of(&format!("/?{text}").parse().unwrap());
            streams(&query)
                .map(|(_, tty)| tty)
                .map_err(|failure| failure.message)
        };
        assert_eq!(of("stdout=true&tty=1"), Ok(true));
        assert!(of("").unwrap_err().contains("at least 1 of"));
        assert!(of("stderr=1&tty=1").unwrap_err().contains("cannot both"));
    }

    #[test]
    fn an_exit_is_told_as_kubectl_reads_it() {
        assert_eq!(exit(0)["status"], "Success");
        let three = exit(3);
        assert_eq!(three["reason"], "NonZeroExitCode");
        assert_eq!(three["details"]["causes"][0]["message"], "3");
    }
}
