//! Where services lead new connections to, and where they did a moment ago.
//!
//! Owns having services carried out. Never: which there are, or who is ready.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use weft_api::assignment::Services;
use weft_driver::Driver;

use crate::complaints::Complaints;
use crate::report::Reports;

/// Who connected at the last moment waits in a queue of the kernel, which is emptied when a program
/// that is told to end stops to listen. This long a program on a busy machine may take to take it out.
const SETTLING: Duration = Duration::from_millis(500);

/// Addresses that services lead new connections to, or did within [`SETTLING`].
#[derive(Debug, Default)]
pub(crate) struct Led(BTreeMap<IpAddr, Option<Instant>>);

impl Led {
    /// Whether new connections may come to this address.
    pub(crate) fn leads_to(&self, address: &IpAddr) -> bool {
        self.0.get(address).is_some_and(Option::is_none)
    }

    /// Until when who came to it at last may not have been heard yet.
    pub(crate) fn served_until(&self, address: &IpAddr) -> Option<Instant> {
        let left = self.0.get(address).copied().flatten()?;
        Some(left + SETTLING)
    }

    /// These are about to be led to.
    fn begin(&mut self, services: &Services) {
        self.0.extend(endpoints(services).map(|one| (one, None)));
    }

    /// Only these are led to.
    fn done(&mut self, services: &Services, now: Instant) {
        self.0
            .retain(|_, left| left.is_none_or(|left| now < left + SETTLING));
        for left in self.0.values_mut() {
            left.get_or_insert(now);
        }
        self.begin(services);
    }
}

/// Leads traffic to services as it is told, until nobody tells any more, and says what it cannot.
pub(crate) async fn serve<D: Driver>(
    driver: &D,
    mut routes: watch::Receiver<Arc<Services>>,
    led: &watch::Sender<Led>,
    reports: &Reports,
    node: &str,
) {
    let mut complaints = Complaints::of(node);
    loop {
        let again = complaints.again();
        tokio::select! {
            changed = routes.changed() => if changed.is_err() { return },
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
        }
        let services = Arc::clone(&routes.borrow_and_update());
        // Whoever is told to end while this is carried out waits for the next.
        led.send_modify(|led| led.begin(&services));
        let outcome = driver.serve(&services).await;
        led.send_modify(|led| led.done(&services, Instant::now()));
        for event in complaints.hear(&services, outcome, Instant::now()) {
            reports.tell(event);
        }
    }
}

/// Where new connections may go.
pub(crate) fn endpoints(services: &Services) -> impl Iterator<Item = IpAddr> {
    let services = services.table.values();
    let ports = services.flat_map(|service| &service.ports);
    let all = ports.flat_map(|port| &port.endpoints);
    let ready = all.filter(|endpoint| endpoint.is_ready);
    ready.filter_map(|one| one.address.parse().ok())
}

#[cfg(test)]
mod tests {
    use weft_api::assignment::{Endpoint, Service, ServicePort};
    use weft_api::observed::Subject;
    use weft_driver::fake::World;

    use super::*;

    fn to(addresses: &[&str]) -> Services {
        let endpoint = |address: &&str| Endpoint {
            address: (*address).to_owned(),
            is_ready: true,
            ..Endpoint::default()
        };
        let port = ServicePort {
            endpoints: addresses.iter().map(endpoint).collect(),
            ..ServicePort::default()
        };
        let service = Service {
            ports: vec![port],
            ..Service::default()
        };
        Services {
            table: [("web".to_owned(), service)].into(),
            ..Services::default()
        }
    }

    #[test]
    fn who_is_led_to_no_more_is_known_for_a_while() {
        let (one, two) = (&"10.0.0.1".parse().unwrap(), &"10.0.0.2".parse().unwrap());
        let mut led = Led::default();
        let began = Instant::now();
        led.begin(&to(&["10.0.0.1"]));
        assert!(led.leads_to(one), "while it is carried out");
        led.done(&to(&["10.0.0.1"]), began);
        led.begin(&to(&["10.0.0.2"]));
        assert!(led.leads_to(one) && led.leads_to(two));
        led.done(&to(&["10.0.0.2"]), began);
        assert!(!led.leads_to(one) && led.leads_to(two));
        assert_eq!(led.served_until(one), Some(began + SETTLING));
        assert_eq!(led.served_until(two), None);
        // It comes back, or is forgotten.
        led.done(&to(&["10.0.0.1"]), began);
        assert!(led.leads_to(one) && !led.leads_to(two));
        led.done(&to(&["10.0.0.1"]), began + SETTLING);
        assert_eq!(led.served_until(two), None);
        assert!(led.leads_to(one));
    }

    #[tokio::test(start_paused = true)]
    async fn who_lets_go_of_a_port_is_noticed() {
        let world = World::new("busybox");
        world.set_taken(30080, true);
        world.set_route_broken(true);
        let (lead, routes) = watch::channel(Arc::new(Services::default()));
        let (driver, led, reports) = (world.driver(), watch::Sender::default(), Reports::default());
        let mut services = to(&["10.0.0.1"]);
        let web = services.table.get_mut("web").unwrap();
        web.ports[0].node_port = Some(30080);
        let watching = async {
            lead.send_replace(Arc::new(services.clone()));
            // Nothing is told of services while nothing is known of them.
            let silence = tokio::time::timeout(Duration::from_secs(100), reports.take()).await;
            assert!(silence.is_err(), "{silence:?}");
            world.set_route_broken(false);
            let (_, events, _) = reports.take().await;
            let [event] = events.as_slice() else {
                panic!("{events:?}");
            };
            assert_eq!(event.about, Subject::Service("web".to_owned()));
            assert!(event.message.contains("port 30080 is taken"), "{event:?}");
            assert_eq!(world.services(), services);
            // Nobody says that it is free.
            world.set_taken(30080, false);
            let (_, events, _) = reports.take().await;
            assert_eq!(events.len(), 1, "{events:?}");
            assert_eq!(events[0].reason, "ServedAgain");
            drop(lead);
        };
        tokio::join!(serve(&driver, routes, &led, &reports, "one"), watching);
    }
}
