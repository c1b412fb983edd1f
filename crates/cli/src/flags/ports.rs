//! Published ports: `[[HOST-IP:][HOST-PORT]:]CONTAINER-PORT[/PROTOCOL]`, ranges included.
//!
//! Pure; what is free on the host is the engine's to say.

use weft_api::docker::{PortBinding, PortMap, Present, Set};

/// Adds what one `--publish` says to the exposed ports and the bindings.
pub fn publish(spec: &str, exposed: &mut Set, bindings: &mut PortMap) -> Result<(), String> {
    let (address, protocol) = split_protocol(spec)?;
    let (host_ip, host, container) = split_address(address)?;
    if container.is_empty() {
        return Err(format!("no port specified: {spec}<empty>"));
    }
    let inside = range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let outside = if host.is_empty() {
        None
    } else {
        Some(range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?)
    };
    let count = |(first, last): (u16, u16)| last - first;
    if let Some(outside) = outside
        && count(outside) != count(inside)
        && count(inside) != 0
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    for offset in 0..=count(inside) {
        let host_port = match outside {
            None => String::new(),
            // One port inside and several outside: the engine takes a free one.
            Some(outside) if count(outside) != count(inside) => {
                format!("{}-{}", outside.0, outside.1)
            }
            Some(outside) => (outside.0 + offset).to_string(),
        };
        let key = format!("{}/{protocol}", inside.0 + offset);
        exposed.insert(key.clone(), Present);
        bindings
            .entry(key)
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: host_ip.to_owned(),
                host_port,
            });
    }
    Ok(())
}

/// Adds what one `--expose` says.
pub fn expose(spec: &str, exposed: &mut Set) -> Result<(), String> {
    if spec.contains(':') {
        return Err(format!("invalid port format for --expose: {spec}"));
    }
    let (port, protocol) = split_protocol(spec)?;
    let (first, last) =
        range(port).ok_or_else(|| format!("invalid range format for --expose: {spec}"))?;
    for port in first..=last {
        exposed.insert(format!("{port}/{protocol}"), Present);
    }
    Ok(())
}

fn split_protocol(spec: &str) -> Result<(&str, String), String> {
    let (rest, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let protocol = protocol.to_lowercase();
    match protocol.as_str() {
        "tcp" | "udp" | "sctp" => Ok((rest, protocol)),
        _ => Err(format!("invalid proto: {protocol}")),
    }
}

/// Host address, host port, container port.
fn split_address(address: &str) -> Result<(&str, &str, &str), String> {
    let (rest, container) = match address.rsplit_once(':') {
        None => return Ok(("", "", address)),
        Some(parts) => parts,
    };
    let (ip, host) = match rest.rsplit_once(':') {
        None => ("", rest),
        Some(parts) => parts,
    };
    let bare = match ip.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .ok_or_else(|| format!("invalid IP address: {ip}"))?,
        None if ip.contains(':') => return Err(format!("invalid IP address: {ip}")),
        None => ip,
    };
    if !bare.is_empty() && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    Ok((bare, host, container))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(spec: &str) -> String {
        publish(spec, &mut Set::new(), &mut PortMap::new()).unwrap_err()
    }

    #[test]
    fn bad_ports_are_named() {
        for (spec, message) in [
            ("70000:80", "invalid hostPort: 70000"),
            ("abc:80", "invalid hostPort: abc"),
            ("80:x", "invalid containerPort: x"),
            ("80:80/foo", "invalid proto: foo"),
            ("a.b:80:80", "invalid IP address: a.b"),
            ("::1:80:80", "invalid IP address: ::1"),
            ("9-8:9-8", "invalid containerPort: 9-8"),
            (
                "8000-8001:9000-9002",
                "invalid ranges specified for container and host Ports: 9000-9002 and 8000-8001",
            ),
        ] {
            assert_eq!(error(spec), message, "{spec}");
        }
        assert_eq!(
            expose("1:2", &mut Set::new()).unwrap_err(),
            "invalid port format for --expose: 1:2"
        );
    }
}
