//! Devices: users that belong to an object, whose certificates are good as long as that is there.
//!
//! Owns: the name and groups that such a certificate has, and what they say.
//! Never: looks whether the object is there.

use crate::authority::Grant;

/// All devices; with `:<namespace>`, those of one.
pub const DEVICES: &str = "system:devices";
const USER: &str = "device:";
/// `system:device:<namespace>:<uid>`
const OWN: &str = "system:device:";
/// How its object is called.
const OBJECT: &str = "device-";

/// Which device somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The hash it is known by.
    pub hash: &'a str,
    /// The namespace of its object.
    pub namespace: &'a str,
    /// The uid of that: another object of the same name is another device.
    pub uid: &'a str,
}

impl<'a> Device<'a> {
    /// The device that a user is; nothing: it is none.
    pub fn of(user: &'a str, groups: &'a [String]) -> Option<Device<'a>> {
        let hash = hash_of(user)?;
        let mut own = groups.iter().filter_map(|group| group.strip_prefix(OWN));
        let (namespace, uid) = own.next()?.split_once(':')?;
        // One device is one.
        let is_one = own.next().is_none() && !namespace.is_empty() && !uid.is_empty();
        is_one.then_some(Device {
            hash,
            namespace,
            uid,
        })
    }

    /// What its certificate says.
    pub fn grant(&self) -> Grant {
        let Device {
            hash,
            namespace,
            uid,
        } = self;
        Grant::User {
            user: format!("{USER}{hash}"),
            groups: vec![
                DEVICES.to_owned(),
                format!("{DEVICES}:{namespace}"),
                format!("{OWN}{namespace}:{uid}"),
            ],
        }
    }

    /// The name of its object.
    pub fn object(&self) -> String {
        object_of(self.hash)
    }
}

/// The hash in a device's name as a user: `device:<hash>`.
pub fn hash_of(user: &str) -> Option<&str> {
    user.strip_prefix(USER).filter(|hash| !hash.is_empty())
}

/// The name of the object of a hash.
pub fn object_of(hash: &str) -> String {
    format!("{OBJECT}{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_its_certificate_says() {
        let device = Device {
            hash: "ab12",
            namespace: "home",
            uid: "u-1",
        };
        let Grant::User { user, groups } = device.grant() else {
            panic!("a device is a user");
        };
        assert_eq!(
            (user.as_str(), device.object().as_str()),
            ("device:ab12", "device-ab12")
        );
        assert_eq!(Device::of(&user, &groups), Some(device));
    }

    #[test]
    fn who_has_the_name_alone_is_none() {
        let groups =
            |all: &[&str]| -> Vec<String> { all.iter().map(|one| (*one).to_owned()).collect() };
        for (user, all) in [
            ("device:ab", &[][..]),
            ("device:ab", &[DEVICES, "system:devices:home"]),
            ("device:", &["system:device:home:u"]),
            ("ab", &["system:device:home:u"]),
            ("device:ab", &["system:device:home"]),
            ("device:ab", &["system:device::u"]),
            ("device:ab", &["system:device:home:"]),
            (
                "device:ab",
                &["system:device:home:u", "system:device:shop:v"],
            ),
        ] {
            assert_eq!(Device::of(user, &groups(all)), None, "{user} {all:?}");
        }
    }
}
