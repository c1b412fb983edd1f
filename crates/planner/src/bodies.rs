//! The bodies of the pods that are on nodes, each kept once and while there is such a pod.
//! Never keeps those of pods that wait.

use std::collections::HashMap;
use std::sync::Arc;

use crate::asked::Asked;
use crate::body::Body;
use crate::names::Names;
use crate::pod::Shape;

/// Bound: as many as there are pods on nodes.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    by_shape: HashMap<Arc<Shape>, u32>,
    kept: Vec<Option<Kept>>,
    free: Vec<u32>,
    /// How many there have ever been.
    born: u64,
    /// How many of them look at the labels of namespaces.
    asking: usize,
    /// What they, and pods that wait, ask about.
    pub(crate) asked: Asked,
}

/// A body under its id.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) body: Body,
    /// Ids are used again, this number is not.
    pub(crate) born: u64,
    pods: usize,
}

impl Bodies {
    /// The id of a shape's body, for one more pod.
    pub(crate) fn hold(&mut self, shape: &Arc<Shape>, names: &mut Names) -> u32 {
        if let Some(id) = self.by_shape.get(shape).copied() {
            self.slot(id).pods += 1;
            return id;
        }
        let body = Body::lower(shape, names);
        self.asked.note(shape);
        self.born += 1;
        self.asking += usize::from(body.asks_namespaces());
        let kept = Some(Kept {
            body,
            born: self.born,
            pods: 1,
        });
        let id = match self.free.pop() {
            Some(id) => {
                self.kept[id as usize] = kept;
                id
            }
            None => {
                self.kept.push(kept);
                u32::try_from(self.kept.len() - 1).expect("fewer pods than four thousand million")
            }
        };
        self.by_shape.insert(Arc::clone(shape), id);
        id
    }

    /// One pod less.
    pub(crate) fn release(&mut self, id: u32) {
        let kept = self.slot(id);
        kept.pods -= 1;
        if kept.pods > 0 {
            return;
        }
        let kept = self.kept[id as usize].take().expect("it was just there");
        self.asking -= usize::from(kept.body.asks_namespaces());
        self.by_shape.remove(&kept.body.shape);
        self.free.push(id);
    }

    pub(crate) fn get(&self, id: u32) -> &Kept {
        let kept = self.kept[id as usize].as_ref();
        kept.expect("an id is held while it is used")
    }

    /// Whether somebody looks at the labels of namespaces.
    pub(crate) fn ask_namespaces(&self) -> bool {
        self.asking > 0
    }

    /// Ids are below this.
    pub(crate) fn end(&self) -> usize {
        self.kept.len()
    }

    fn slot(&mut self, id: u32) -> &mut Kept {
        let kept = self.kept[id as usize].as_mut();
        kept.expect("an id is held while it is used")
    }
}
