//! The process dies between any two steps of an attach; its successor, or the same one, clears
//! up by the container's id alone.

use std::collections::HashSet;
use std::os::fd::AsFd;

use weft_network::{Protocol, Step};

use crate::machine::{inside, netns, on_a_machine, port, request, run};

const STEPS: [Step; 5] = [
    Step::Recorded,
    Step::Guarded,
    Step::Linked,
    Step::Configured,
    Step::Published,
];

#[test]
fn whatever_was_done_is_undone() {
    on_a_machine(|machine| {
        let host = machine.open();
        machine.container(&host, "first", "bridge");
        host.detach("first", None).unwrap();
        host.sweep();
        drop(host);
        let seen = || (run("nft list ruleset"), run("ip -o link").lines().count());
        let before = seen();
        for step in STEPS {
            for restarted in [false, true] {
                let mut host = machine.open();
                let netns = netns();
                let mut attach = request("one", "bridge", netns.as_fd());
                attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
                host.attach_until(&attach, step).unwrap();
                if restarted {
                    drop(host);
                    host = machine.open();
                    host.retain(&HashSet::new()).unwrap();
                } else {
                    host.detach("one", None).unwrap();
                }
                host.sweep();
                assert_eq!(seen(), before, "{step:?}, restarted: {restarted}");
                let left = inside(&netns, || run("ip -o link").lines().count());
                assert_eq!(left, 1, "{step:?}");
                // And everything is free again.
                host.attach(&attach).unwrap();
                host.detach("one", None).unwrap();
                host.sweep();
            }
        }
    });
}
