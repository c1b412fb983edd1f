//! Prepared sandboxes: claimed, unfit, and released unclaimed.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use weft_network::{AttachError, Host, NetworkSpec, Prepared, Protocol};
use weft_stdx::pool::Pool;

use crate::machine::{MACHINE, OUTSIDE, fetch, netns, on_a_machine, port, request, run, serve};

const PATIENCE: Duration = Duration::from_secs(30);

fn pool(host: &Host, size: usize) -> Pool<Prepared<OwnedFd>> {
    let pool = host.pool(size, || Ok(netns())).unwrap();
    assert!(pool.is_full_within(PATIENCE));
    pool
}

#[test]
fn a_claimed_sandbox_is_as_an_attached_one() {
    on_a_machine(|machine| {
        let host = machine.open();
        let pool = pool(&host, 2);
        let prepared = pool.take().unwrap();
        assert_eq!(prepared.address(), Ipv4Addr::new(10, 44, 0, 2));
        let unused = netns();
        let mut attach = request("web", "bridge", unused.as_fd());
        attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        let (attachment, sandbox) = host.claim(&attach, prepared).unwrap();
        assert_eq!(attachment.address, Ipv4Addr::new(10, 44, 0, 2));
        let _server = serve(&sandbox, 80);
        assert_eq!(
            fetch(&machine.outside, (MACHINE, 8080)).unwrap(),
            OUTSIDE.to_string()
        );
        assert!(fetch(&sandbox, (MACHINE, 8080)).is_ok());
        assert!(pool.is_full_within(PATIENCE));
        // A restart knows it as any other.
        drop(pool);
        drop(host);
        let host = machine.open();
        assert_eq!(host.attachments("web"), [attachment]);
        assert!(fetch(&machine.outside, (MACHINE, 8080)).is_ok());
        host.detach("web", None).unwrap();
    });
}

#[test]
fn what_does_not_fit_or_is_not_wanted_is_released() {
    on_a_machine(|machine| {
        let host = machine.open();
        machine.container(&host, "first", "bridge");
        host.detach("first", None).unwrap();
        host.sweep();
        let before = (run("nft list ruleset"), run("ip -o link").lines().count());
        host.create(NetworkSpec {
            name: "red".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let pool = pool(&host, 3);
        let netns = netns();
        let refused = |change: &dyn Fn(&mut weft_network::Attach<'_>)| {
            let mut attach = request("one", "bridge", netns.as_fd());
            change(&mut attach);
            let prepared = pool.take().unwrap();
            let error = host.claim(&attach, prepared).unwrap_err();
            assert!(pool.is_full_within(PATIENCE));
            assert!(host.attachments("one").is_empty());
            error
        };
        let unfit = |error| matches!(error, AttachError::Unfit(_));
        assert!(unfit(refused(&|attach| attach.network = "red")));
        assert!(unfit(refused(&|attach| attach.interface = "eth1")));
        assert!(unfit(refused(
            &|attach| attach.ip = Some(Ipv4Addr::new(10, 44, 0, 77).into())
        )));
        let taken = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
        let ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        let error = refused(&|attach| attach.ports = ports.clone());
        assert!(matches!(error, AttachError::Port(_)), "{error}");
        drop((pool, taken));
        host.sweep();
        assert_eq!(
            (run("nft list ruleset"), run("ip -o link").lines().count()),
            before
        );
    });
}
