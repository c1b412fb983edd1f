//! Two engines on one machine: their networks do not get the same addresses.

use std::os::fd::AsFd;
use std::sync::Barrier;

use weft_network::{Host, HostConfig, NetworkSpec, Subnet};

use crate::machine::{Machine, OUTSIDE, fetch, inside, netns, on_a_machine, request, run, serve};

/// How often two engines take addresses at the same moment.
const ROUNDS: usize = 12;

fn open(machine: &Machine, instance: &str) -> Host {
    Host::open(HostConfig::new(instance, machine.dir.path().join(instance))).unwrap()
}

fn subnet(host: &Host, network: &str) -> Subnet {
    host.find(network).unwrap().subnet
}

fn define(host: &Host, name: &str, subnet: Option<Subnet>) {
    let spec = NetworkSpec {
        name: name.to_owned(),
        subnet,
        ..NetworkSpec::default()
    };
    host.create(spec).unwrap();
}

#[test]
fn a_network_moves_while_nobody_is_on_it() {
    on_a_machine(|machine| {
        let (first, second) = (open(machine, "weft-first"), open(machine, "weft-second"));
        let _outside = serve(&machine.outside, 80);
        define(&first, "red", None);
        define(&second, "red", None);
        let chosen = subnet(&first, "red");
        assert_eq!(chosen, subnet(&second, "red"));
        let one = machine.container(&first, "one", "red");
        let two = machine.container(&second, "two", "red");
        assert_eq!(subnet(&first, "red"), chosen);
        let moved = subnet(&second, "red");
        assert!(!chosen.overlaps(moved), "{chosen} {moved}");
        for container in [&one, &two] {
            assert!(fetch(&container.netns, (OUTSIDE, 80)).is_ok());
        }
        // It stays where it went: over a restart, and with its bridge made anew.
        drop(second);
        let second = open(machine, "weft-second");
        assert_eq!(subnet(&second, "red"), moved);
        second.detach("two", None).unwrap();
        run(&format!(
            "ip link delete {}",
            second.find("red").unwrap().bridge
        ));
        let three = machine.container(&second, "three", "red");
        assert_eq!(subnet(&second, "red"), moved);
        assert!(fetch(&three.netns, (OUTSIDE, 80)).is_ok());
    });
}

#[test]
fn a_subnet_somebody_asked_for_stays() {
    on_a_machine(|machine| {
        let (first, second) = (open(machine, "weft-first"), open(machine, "weft-second"));
        define(&first, "red", None);
        let chosen = subnet(&first, "red");
        define(&second, "red", Some(chosen));
        let _one = machine.container(&first, "one", "red");
        let inside = netns();
        let refused = second
            .attach(&request("two", "red", inside.as_fd()))
            .unwrap_err();
        let cause = std::error::Error::source(&refused).map_or_else(
            || refused.to_string(),
            |cause| format!("{refused}: {cause}"),
        );
        assert!(
            cause.contains(&format!("subnet {chosen} overlaps with route")),
            "{cause}"
        );
        assert_eq!(subnet(&second, "red"), chosen);
    });
}

#[test]
fn engines_that_take_addresses_at_once_take_others() {
    on_a_machine(|machine| {
        let engines = [open(machine, "weft-first"), open(machine, "weft-second")];
        let start = Barrier::new(engines.len());
        // Nobody panics while the other waits.
        let rounds = |engine: &Host| -> Vec<_> {
            let round = |round: usize| {
                let name = format!("n{round}");
                start.wait();
                define(engine, &name, None);
                start.wait();
                let netns = netns();
                engine.attach(&request(&name, &name, netns.as_fd()))
            };
            (0..ROUNDS).map(round).collect()
        };
        std::thread::scope(|scope| {
            let rounds = &rounds;
            let threads = engines
                .each_ref()
                .map(|engine| scope.spawn(move || inside(machine.home(), || rounds(engine))));
            for thread in threads {
                for attached in thread.join().unwrap() {
                    attached.unwrap();
                }
            }
        });
        let [first, second] = engines.map(|engine| engine.networks());
        for one in first.iter().filter(|n| !n.is_default) {
            for other in second.iter().filter(|n| !n.is_default) {
                assert!(
                    !one.subnet.overlaps(other.subnet),
                    "{} {}",
                    one.name,
                    other.name
                );
            }
        }
    });
}
