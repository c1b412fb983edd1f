//! Why a claim has no volume, and what is with a volume. Pure.

use jiff::Timestamp;

use super::cause::{Finding, Seen, event, name, text};
use super::container::short;
use super::place;

/// What is with a claim.
pub(super) fn claim(seen: &Seen, now: Timestamp) -> Finding {
    let claim = &seen.object;
    let own = name(claim);
    let phase = match text(claim, "/status/phase") {
        "" => "Pending",
        phase => phase,
    };
    let found = place::deletion(seen, now).unwrap_or_else(|| match phase {
        "Bound" => Finding::well(format!(
            "claim {own} has volume {}",
            text(claim, "/spec/volumeName")
        )),
        "Lost" => Finding::wrong(
            format!(
                "claim {own} has lost its volume {}, and the data with it",
                text(claim, "/spec/volumeName")
            ),
            "delete the claim and make it anew, or bring the volume back",
        ),
        _ => pending(seen),
    });
    let class = text(claim, "/spec/storageClassName");
    let class = match class {
        "" => "no class".to_owned(),
        class => format!("class {class}"),
    };
    found.under(
        format!("persistentvolumeclaim/{own}"),
        format!("{phase}, {class}"),
    )
}

fn pending(seen: &Seen) -> Finding {
    let claim = &seen.object;
    let (own, class) = (name(claim), text(claim, "/spec/storageClassName"));
    let wanted = text(claim, "/spec/resources/requests/storage");
    let volume = text(claim, "/spec/volumeName");
    let known = seen.beside.iter();
    let known = known
        .filter(|one| text(one, "/kind") == "StorageClass")
        .find(|one| name(one) == class);
    let told = event(
        seen,
        &[
            "ProvisioningFailed",
            "FailedBinding",
            "ExternalProvisioning",
            "WaitForFirstConsumer",
        ],
    );
    let message = told.map_or("", |one| text(one, "/message"));
    let has_cause = told.is_some_and(|one| text(one, "/reason") == "ProvisioningFailed");
    let found = if !volume.is_empty() {
        Finding::wrong(
            format!("claim {own} waits for volume {volume}, which it names"),
            format!("`weft get pv {volume}` tells whether it is there, and whose it is"),
        )
    } else if class.is_empty() && !has_cause {
        Finding::wrong(
            format!("claim {own} waits for a volume of {wanted} without a class, and none fits"),
            "name a storageClassName (`weft get storageclass`), or make a volume that fits",
        )
    } else if !class.is_empty() && known.is_none() && !seen.beside.is_empty()
        || message.contains("not found")
    {
        Finding::wrong(
            format!("claim {own} asks for class {class}, which does not exist"),
            "`weft get storageclass` lists those there are",
        )
    } else if told.is_some_and(|one| text(one, "/reason") == "WaitForFirstConsumer")
        || message.is_empty() && known.is_some_and(waits)
    {
        Finding::waiting(
            format!("claim {own} waits for the first pod that uses it: its class {class} says so"),
            "start a pod that has it as a volume",
        )
    } else if told.is_some_and(|one| text(one, "/reason") == "ExternalProvisioning") {
        let maker = known.map_or("", |class| text(class, "/provisioner"));
        Finding::waiting(
            format!("claim {own} waits for {maker}, which makes volumes of class {class}"),
            "does that program run?",
        )
    } else if !message.is_empty() {
        Finding::wrong(
            format!("claim {own} gets no volume of {wanted}: {}", short(message)),
            "correct the claim: what it asks for cannot be changed, so delete it and make it anew",
        )
    } else {
        Finding::waiting(
            format!("claim {own} waits for a volume of {wanted} of class {class}"),
            "wait a little",
        )
    };
    match told {
        Some(told) => found.then(
            "event",
            format!("{}: {}", text(told, "/reason"), short(message)),
        ),
        None => found,
    }
}

/// Whether a class makes volumes only for pods.
fn waits(class: &serde_json::Value) -> bool {
    text(class, "/volumeBindingMode") == "WaitForFirstConsumer"
}

/// What is with a volume.
pub(super) fn volume(seen: &Seen, now: Timestamp) -> Finding {
    let volume = &seen.object;
    let own = name(volume);
    let phase = text(volume, "/status/phase");
    let claim = format!(
        "{}/{}",
        text(volume, "/spec/claimRef/namespace"),
        text(volume, "/spec/claimRef/name")
    );
    let found = place::deletion(seen, now).unwrap_or_else(|| match phase {
        "Bound" => Finding::well(format!("volume {own} is used by claim {claim}")),
        "Available" => Finding::well(format!("volume {own} is free for a claim")),
        "Released" => Finding::wrong(
            format!("volume {own} still has the data of claim {claim}, which is gone, and takes no other"),
            format!("delete it, or free it: weft patch pv {own} -p '{{\"spec\":{{\"claimRef\":null}}}}'"),
        ),
        "Failed" => Finding::wrong(
            format!("volume {own} could not be taken back: {}", short(text(volume, "/status/message"))),
            "remove what it is made of by hand, and delete it",
        ),
        _ => Finding::waiting(format!("volume {own} is being made ready"), "wait a little"),
    });
    found.under(format!("persistentvolume/{own}"), phase)
}
