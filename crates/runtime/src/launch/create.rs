//! The caller's side of create.
//!
//! Never: leaves anything of a failed create behind but the directories it was given.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Hooks, Spec};

use weft_sys::namespace::{Kind, Kinds};
use weft_sys::process::{Child, CloneRequest, Exit, Side, clone, exit_now, signal, vfork, wait};

use super::channel::{Channel, Message};
use super::gate::Gate;
use super::hook::{self, State};
use super::init::{self, Init};
use super::program::Start;
use super::step::{Failure, Named, Step};
use super::{CreateRequest, Created, Join, LaunchError, Running, Stdio, identity};
use crate::cgroup::{Cgroup, CgroupError, Hierarchy};
use crate::devices::Filter;
use crate::plan::{Plan, lower};
use crate::rootfs;

/// Most descriptors a process may inherit beyond its standard streams.
const MAX_PRESERVED: u32 = 200;

/// Makes the container; its init waits at the gate.
pub fn create(request: CreateRequest) -> Result<Created, LaunchError> {
    begin(request, None)?.ready()
}

/// Makes the container and runs its program.
pub fn run(request: CreateRequest) -> Result<Running, LaunchError> {
    begin(request, None)?.run()
}

/// A container whose init prepares itself meanwhile. Dropped, it is ended and reaped.
#[derive(Debug)]
pub struct Begun {
    child: Newborn,
    cgroup: Option<Holder>,
    channel: Channel,
    hooks: Hooks,
    state: State,
    spent: Vec<OwnedFd>,
}

/// Makes the container and does not wait for its init. With `gate` (see [`super::gate::listen`])
/// init waits there, so that the caller may end before the container is started.
pub fn begin(request: CreateRequest, gate: Option<OwnedFd>) -> Result<Begun, LaunchError> {
    let CreateRequest {
        id,
        dir,
        spec,
        rootfs,
        stdio,
        join,
        preserve_fds,
        reaper,
    } = request;
    let kinds: Vec<Kind> = join.iter().map(|join| join.kind).collect();
    let (plan, start) = plan(&spec, &dir, &kinds)?;
    check(&plan, &stdio, preserve_fds)?;
    let mut join = join;
    let new = resolve_namespaces(&plan, &mut join)?;
    let user = user_namespace(&join)?;

    let cgroup = Holder::make(&plan)?;
    let directory = cgroup.as_ref().map(|cgroup| cgroup.fd());
    let user = user.as_ref().map(|user| user.as_fd());
    let (prepared, spent) = rootfs::prepare(&plan, &rootfs, user, directory)?;
    own_streams(&stdio, &plan)?;
    let state = State {
        version: spec.version().clone(),
        id,
        status: "creating",
        pid: 0,
        dir,
        annotations: plan.annotations.clone(),
    };
    let hooks = plan.hooks.clone();
    let (ours, theirs) = Channel::pair().named(Step::Channel, "")?;
    let init = Init {
        plan,
        prepared,
        start,
        stdio,
        join,
        has_middle: false,
        channel: theirs,
        gate,
        state: state.clone(),
        preserve_fds,
        reaper,
    };
    let child = make_process(init, new, directory)?;
    Ok(Begun {
        state: State {
            pid: child.pid,
            ..state
        },
        child: Newborn(Some(child)),
        cgroup,
        channel: ours,
        hooks,
        spent,
    })
}

impl Begun {
    /// Init, in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.state.pid
    }

    /// Waits until init waits at the gate.
    pub fn ready(self) -> Result<Created, LaunchError> {
        self.accompany(false)
    }

    /// Opens the gate before init has come to it, and waits until the program runs.
    pub fn run(self) -> Result<Running, LaunchError> {
        self.accompany(true)?.running(Gate::follow)
    }

    fn accompany(mut self, opened: bool) -> Result<Created, LaunchError> {
        match self.follow(opened) {
            Ok(terminal) => Ok(self.created(terminal)),
            Err(LaunchError::Died(told)) => {
                let exit = self.child.end().map(|exit| format!("{exit:?}"));
                Err(LaunchError::Died(exit.unwrap_or(told)))
            }
            Err(error) => Err(error),
        }
    }

    /// Does the caller's part until init is ready; gives the terminal's master.
    fn follow(&self, opened: bool) -> Result<Option<OwnedFd>, LaunchError> {
        // The kernel takes its time to check device rules: init prepares itself meanwhile, and
        // nothing of the container runs before it is told to go on.
        if let Some(cgroup) = &self.cgroup {
            cgroup.guard()?;
        }
        let go = || self.channel.send(&Message::Go).named(Step::Channel, "");
        if opened && !hook::wait_for_caller(&self.hooks) {
            // If it is gone already, it has said why.
            let _ = go();
        }
        loop {
            match self.channel.receive().named(Step::Channel, "")? {
                Message::Ready(terminal) => return Ok(terminal),
                Message::Failed(failure) => return Err(failure.into()),
                Message::Namespaces => {
                    for hooks in [self.hooks.prestart(), self.hooks.create_runtime()] {
                        hook::run_all(hooks.as_deref().unwrap_or_default(), &self.state)?;
                    }
                    go()?;
                    if opened {
                        go()?;
                    }
                }
                Message::Closed => return Err(LaunchError::Died("without a word".to_owned())),
                other => return Err(LaunchError::Died(format!("it said {other:?}"))),
            }
        }
    }

    fn created(self, terminal: Option<OwnedFd>) -> Created {
        if let Some(cgroup) = self.cgroup {
            cgroup.keep();
        }
        let poststart = self.hooks.poststart().clone().unwrap_or_default();
        let Child { pid, pidfd } = self.child.grown();
        Created {
            pid,
            pidfd,
            terminal,
            spent: self.spent,
            gate: Gate::new(self.channel, poststart, self.state),
        }
    }
}

/// An init that got nowhere yet: ended and reaped with this.
#[derive(Debug)]
struct Newborn(Option<Child>);

impl Newborn {
    fn grown(mut self) -> Child {
        self.0.take().expect("only growing and ending take it")
    }

    fn end(&mut self) -> Option<Exit> {
        let child = self.0.take()?;
        let _ = signal(&child.pidfd, 9);
        wait(&child.pidfd).ok()
    }
}

impl Drop for Newborn {
    fn drop(&mut self) {
        self.end();
    }
}

/// What can be known without touching the system.
fn plan(spec: &Spec, dir: &Path, joined: &[Kind]) -> Result<(Plan, Start), LaunchError> {
    let plan = lower(spec, dir, joined)?;
    let seccomp = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let start = Start::make(seccomp, &plan.process)?;
    Ok((plan, start))
}

/// Plans for nothing: afterwards the pages of code and memory that planning needs are there.
pub(crate) fn rehearse(document: &[u8]) {
    if let Ok(spec) = serde_json::from_slice::<Spec>(document) {
        // What would be refused has been read all the same.
        let _ = plan(&spec, Path::new("/"), &[]);
    }
}

fn user_namespace(join: &[Join]) -> Result<Option<OwnedFd>, Failure> {
    let user = join.iter().find(|join| join.kind == Kind::User);
    let user = user.map(|join| join.fd.as_fd().try_clone_to_owned());
    user.transpose().named(Step::Join, "user")
}

fn check(plan: &Plan, stdio: &Stdio, preserve_fds: u32) -> Result<(), LaunchError> {
    if plan.process.terminal != matches!(stdio, Stdio::Terminal) {
        let text = "process.terminal and the standard streams given do not agree";
        return Err(LaunchError::Invalid(text.to_owned()));
    }
    if preserve_fds > MAX_PRESERVED {
        let text = format!("{preserve_fds} descriptors to preserve: more than {MAX_PRESERVED}");
        return Err(LaunchError::Invalid(text));
    }
    Ok(())
}

/// Opens what is joined by path, and makes the user namespace if a new one is asked for: it has
/// to be there before mounts can be mapped by it. Gives the kinds left to be made by clone.
fn resolve_namespaces(plan: &Plan, join: &mut Vec<Join>) -> Result<Kinds, LaunchError> {
    for (kind, path) in &plan.namespaces.join {
        let shown = || format!("{} at {}", kind.file_name(), path.display());
        let fd = OwnedFd::from(File::open(path).named(Step::Join, shown())?);
        let found = weft_sys::namespace::kind_of(&fd).named(Step::Join, shown())?;
        if found != Some(*kind) {
            let text = format!("{} is not a {} namespace", path.display(), kind.file_name());
            return Err(LaunchError::Invalid(text));
        }
        join.push(Join { kind: *kind, fd });
    }
    let new = plan.namespaces.new;
    if let (true, Some(maps)) = (new.contains(Kind::User), &plan.id_maps) {
        let made = weft_sys::namespace::create_user(&maps.users, &maps.groups, Kinds::NONE);
        let (fd, _) = made.named(Step::Join, "user")?;
        join.push(Join {
            kind: Kind::User,
            fd,
        });
    }
    Ok(new.without(Kind::User).without(Kind::Cgroup))
}

/// Pipes given as streams can be opened again by name (`/dev/stdout`) only by whom they belong to.
fn own_streams(stdio: &Stdio, plan: &Plan) -> Result<(), Failure> {
    let own = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let streams = match stdio {
        Stdio::Terminal => return Ok(()),
        Stdio::Inherit => [own.0.as_fd(), own.1.as_fd(), own.2.as_fd()],
        Stdio::Fds {
            stdin,
            stdout,
            stderr,
        } => [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
    };
    let (mut uid, mut gid) = (plan.process.uid, plan.process.gid);
    if let Some(maps) = &plan.id_maps {
        let unmapped = || std::io::Error::other("it is not mapped in the user namespace");
        let object = format!("{uid}:{gid}");
        uid = maps
            .user(uid)
            .ok_or_else(unmapped)
            .named(Step::User, &object)?;
        gid = maps
            .group(gid)
            .ok_or_else(unmapped)
            .named(Step::User, &object)?;
    }
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (
        rustix::fs::Uid::from_raw(uid),
        rustix::fs::Gid::from_raw(gid),
    );
    for stream in streams {
        let found = rustix::fs::fstat(stream).named(Step::Streams, "")?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Fifo {
            rustix::fs::fchown(stream, Some(uid), Some(gid)).named(Step::Streams, "")?;
        }
    }
    Ok(())
}

/// The container's cgroup, removed again unless it is kept.
#[derive(Debug)]
struct Holder {
    cgroup: Option<Cgroup>,
    rules: Option<Filter>,
}

impl Holder {
    fn make(plan: &Plan) -> Result<Option<Holder>, LaunchError> {
        let Some(path) = &plan.cgroup else {
            return Ok(None);
        };
        let rules = Filter::of_resources(&plan.resources).map_err(CgroupError::from);
        let rules = rules.map_err(LaunchError::Cgroup)?;
        let hierarchy = Hierarchy::find().map_err(LaunchError::Cgroup)?;
        let cgroup = hierarchy
            .create(path, &plan.resources)
            .map_err(LaunchError::Cgroup)?;
        Ok(Some(Holder {
            cgroup: Some(cgroup),
            rules,
        }))
    }

    /// Puts the device rules in force.
    fn guard(&self) -> Result<(), LaunchError> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        let guarded = rules.attach(self.fd()).map_err(CgroupError::from);
        guarded.map_err(LaunchError::Cgroup)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.cgroup
            .as_ref()
            .expect("only dropping and keeping take it")
            .fd()
    }

    fn keep(mut self) {
        self.cgroup = None;
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            // The error that brought us here is the one to tell.
            let _ = cgroup.remove();
        }
    }
}

/// Clones init, by way of a middle process if it has to be born in a joined namespace.
fn make_process(
    init: Init,
    new: Kinds,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Child, LaunchError> {
    let born_in = |join: &Join| matches!(join.kind, Kind::User | Kind::Pid);
    let needs_middle = init.join.iter().any(born_in);
    let close = |init: &Init, also: &[i32]| {
        let mut kept = init::kept(init);
        kept.extend(also);
        weft_sys::fd::close_except(3, &kept)
    };
    if !needs_middle {
        let request = CloneRequest {
            namespaces: new,
            cgroup,
            sibling: false,
        };
        return match clone(&request).named(Step::Clone, &init.state.id)? {
            Side::Parent(child) => Ok(child),
            Side::Child => {
                let _ = close(&init, &[]);
                init::run(init)
            }
        };
    }
    // In the cgroup already, so that init is born there and no descriptor of it has to go along.
    let request = CloneRequest {
        cgroup,
        ..CloneRequest::default()
    };
    let named = init.state.id.clone();
    let mut init = Some(init);
    let middle = by_middle(&request, &named, || {
        let Some(there) = &init else { return Ok(None) };
        let _ = close(there, &[]);
        match middle(there, new)? {
            Side::Parent(child) => Ok(Some(child.pid)),
            Side::Child => match init.take() {
                Some(init) => init::run(Init {
                    has_middle: true,
                    ..init
                }),
                None => exit_now(1),
            },
        }
    });
    drop(init);
    middle
}

/// Has `work` done by a child that shares our memory; it gives the number of the process it cloned
/// as our child. It drops no descriptor, which would be lost to us.
pub(super) fn by_middle(
    request: &CloneRequest<'_>,
    named: &str,
    mut work: impl FnMut() -> Result<Option<i32>, Failure>,
) -> Result<Child, LaunchError> {
    let mut made = Ok(None);
    let middle = vfork(request, || made = work()).named(Step::Clone, named)?;
    wait(&middle.pidfd).named(Step::Clone, named)?;
    let died = || LaunchError::Died("before it was made".to_owned());
    let pid = made?.ok_or_else(died)?;
    // It is our child and not reaped, so the number is still its own.
    let number = rustix::process::Pid::from_raw(pid).ok_or_else(died)?;
    let flags = rustix::process::PidfdFlags::empty();
    let pidfd = rustix::process::pidfd_open(number, flags).named(Step::Clone, named)?;
    Ok(Child { pid, pidfd })
}

fn middle(init: &Init, new: Kinds) -> Result<Side, Failure> {
    identity::score(&init.plan.process)?;
    identity::raise_limits(&init.plan.process.limits)?;
    for kind in Kind::ALL {
        for join in init.join.iter().filter(|join| join.kind == kind) {
            weft_sys::namespace::join(&join.fd, kind).named(Step::Join, kind.file_name())?;
        }
    }
    if init.plan.id_maps.is_some() {
        // What comes with the namespaces clone makes (a message queue filesystem) is to
        // belong to the container's root.
        identity::become_root()?;
    }
    let request = CloneRequest {
        namespaces: new,
        cgroup: None,
        sibling: true,
    };
    clone(&request).named(Step::Clone, &init.state.id)
}
