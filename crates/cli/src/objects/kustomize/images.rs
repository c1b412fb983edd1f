//! `images`: another name, tag or digest for an image, wherever containers are.

use serde_json::Value;

use super::id::Resource;
use super::wire::Image;

/// Renames the image that `image` names, in all.
pub fn set(resources: &mut [Resource], image: &Image) {
    for one in resources {
        if one.id().kind != "CustomResourceDefinition" {
            below(&mut one.value, image);
        }
    }
}

fn below(value: &mut Value, image: &Image) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match (&**name, &mut *value) {
                    ("containers" | "initContainers", Value::Array(list)) => {
                        for container in list {
                            let Some(Value::String(named)) = container.get_mut("image") else {
                                continue;
                            };
                            if let Some(new) = renamed(named, image) {
                                *named = new;
                            }
                        }
                    }
                    _ => below(value, image),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| below(one, image)),
        _ => {}
    }
}

/// The new name, if `old` is of the image meant.
fn renamed(old: &str, image: &Image) -> Option<String> {
    let (name, tag, digest) = parts(old);
    if name != image.name {
        return None;
    }
    let name = match &*image.new_name {
        "" => name,
        new => new,
    };
    let (tag, digest) = match (&*image.new_tag, &*image.digest) {
        ("", "") => (tag.to_owned(), digest),
        (tag, "") => (tag.to_owned(), ""),
        (tag, digest) => (tag.to_owned(), digest),
    };
    let tag = match &*tag {
        "" => String::new(),
        tag => format!(":{tag}"),
    };
    Some(match digest {
        "" => format!("{name}{tag}"),
        digest if image.new_tag.is_empty() && !image.digest.is_empty() => {
            format!("{name}@{digest}")
        }
        digest => format!("{name}{tag}@{digest}"),
    })
}

/// Name, tag and digest; a colon before a slash is of a port.
fn parts(image: &str) -> (&str, &str, &str) {
    let (rest, digest) = image.split_once('@').unwrap_or((image, ""));
    let from = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[from..].find(':') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..], digest),
        None => (rest, "", digest),
    }
}
