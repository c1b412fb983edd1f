//! All nodes as one shape sees them: who refuses it, and who is best, kept up to date by looking
//! again only at nodes that changed.
//!
//! ```text
//!  changes   … 7 3 7 9 │ 7 2          slots of nodes that changed, by anybody's doing
//!                      └ seen ──▶     this ranking has looked at what is left of it
//!
//!  node 7 ─▶ take back what it said ─▶ look ─▶ say it anew
//!
//!            fixed     its labels and taints: refusal, domains, likes   (only if the node changed)
//!            rows      zone: a 12, b 9, c 9     host: 7 says 1          (its pods, by what their
//!                                                                        bodies mean for each row)
//!            refused   by ports or by what is left ─▶ no member
//!            else      key = likes, domain a, 1 ─▶ class 4 ─▶ its rank there, by what is left
//!
//!  to place: judge every class (three zones × hosts with and without such a pod: six), and take the
//!  first member of the best. What is near is in the rows and read when a class is judged: that zone
//!  a has one more pod changes no node but the one it is on.
//! ```
//!
//! Of a node that is alone in its domain (a host) the answer itself is in the key, not the domain,
//! else each node would be a class. What the rows are is known only when a body is seen that repels or
//! likes this shape by another key; then the ranking starts over, once for each key.
//!
//! Never chooses: `place` does.

use crate::body::Body;
use crate::classes::{Classes, Rank};
use crate::filter;
use crate::filter::near::Near;
use crate::meaning::{self, Keys, Outdated};
use crate::reasons::Refusal;
use crate::row::{Row, Rule};
use crate::score;
use crate::spot::Spot;
use crate::state::State;
use crate::topology::Seat;

/// How many numbers a class's key has before the images and rows: dislikes and likes.
const LIKES: usize = 2;

/// Nodes as a shape sees them. Bound: a cell per node, a place per cell and row, a word per body.
#[derive(Debug)]
pub(crate) struct Ranking {
    pub(crate) body: Body,
    pub(crate) rows: Vec<Row>,
    pub(crate) classes: Classes,
    likes_itself: bool,
    keys: Keys,
    cells: Vec<Cell>,
    /// Of each cell, one for each row.
    places: Vec<Place>,
    known: Vec<Known>,
    /// How far it has read the changes.
    seen: u64,
}

/// A node.
#[derive(Debug, Default)]
struct Cell {
    version: u64,
    site_version: u64,
    fixed: Option<Fixed>,
    standing: Standing,
}

/// What does not change while the node itself does not.
#[derive(Debug)]
struct Fixed {
    refusal: Option<Refusal>,
    /// The head of its class's key.
    likes: Box<[i64]>,
}

/// What is made of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Standing {
    /// There is none.
    #[default]
    Gone,
    /// It cannot take the pod, whatever is near.
    Refused(Refusal),
    /// It is in a class.
    Member(u32, Rank),
}

/// A node in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    seat: Seat,
    /// Whether it is counted.
    counts: bool,
    answer: i64,
}

/// What a body means for the rows; None: nothing.
#[derive(Debug, Default)]
struct Known {
    born: u64,
    weights: Option<Box<[i64]>>,
}

impl Ranking {
    pub(crate) fn new(body: Body, state: &mut State) -> Ranking {
        let mut terms = body.affinity.iter();
        let likes_itself = terms.all(|term| body.is_meant(term, &state.namespaces));
        let keys = Keys::default();
        let mut ranking = Ranking {
            rows: keys.rows(&body, state),
            classes: Classes::default(),
            likes_itself,
            keys,
            cells: Vec::new(),
            places: Vec::new(),
            known: Vec::new(),
            seen: 0,
            body,
        };
        // Pods like this one will be there soon, so the rows of their terms are made at once.
        loop {
            let body = &ranking.body;
            match meaning::weights(body, &ranking.rows, body, &state.namespaces) {
                Ok(_) => return ranking,
                Err(outdated) => ranking.start_over(outdated, state),
            }
        }
    }

    /// Reads what has changed.
    pub(crate) fn catch_up(&mut self, state: &mut State) {
        while let Err(outdated) = self.read(state) {
            self.start_over(outdated, state);
        }
        self.seen = state.changes.end();
    }

    /// What is made of a node.
    pub(crate) fn standing(&self, slot: usize) -> Standing {
        self.cells
            .get(slot)
            .map_or(Standing::Gone, |cell| cell.standing)
    }

    /// What stands for a node in each row.
    pub(crate) fn parts(&self, slot: usize) -> Vec<i64> {
        let rows = self.rows.iter().zip(self.places_of(slot));
        rows.map(|(row, place)| row.part(place.seat, place.answer))
            .collect()
    }

    /// How many pods of which sizes a class's nodes have of the pod's images.
    pub(crate) fn image_sizes<'a>(&self, key: &'a [i64]) -> &'a [i64] {
        &key[LIKES..LIKES + self.body.images.len()]
    }

    /// The part of a class's key that is about rows.
    pub(crate) fn row_parts<'a>(&self, key: &'a [i64]) -> &'a [i64] {
        &key[LIKES + self.body.images.len()..]
    }

    /// The questions of the rows.
    pub(crate) fn near(&self) -> Near<'_> {
        Near {
            body: &self.body,
            rows: &self.rows,
            likes_itself: self.likes_itself,
        }
    }

    /// What one pod of a body more or less on a node changes in each row.
    pub(crate) fn one(&self, slot: usize, id: u32, is_terminating: bool) -> Vec<i64> {
        let known = self.known.get(id as usize);
        let weights = known.and_then(|known| known.weights.as_ref());
        let of = |(index, place): (usize, &Place)| {
            let counts = place.counts && (!is_terminating || !self.rows[index].is_spread());
            weights.map_or(0, |weights| weights[index] * i64::from(counts))
        };
        self.places_of(slot).iter().enumerate().map(of).collect()
    }

    fn read(&mut self, state: &State) -> Result<(), Outdated> {
        self.cells.resize_with(state.spots.len(), Cell::default);
        let places = state.spots.len() * self.rows.len();
        self.places.resize_with(places, Place::default);
        self.known.resize_with(state.bodies.end(), Known::default);
        match state.changes.since(self.seen) {
            Some(slots) => slots
                .into_iter()
                .try_for_each(|slot| self.look(slot, state)),
            None => (0..state.spots.len()).try_for_each(|slot| self.look(slot as u32, state)),
        }
    }

    /// Looks at a node again, if it has changed.
    fn look(&mut self, slot: u32, state: &State) -> Result<(), Outdated> {
        let (at, spot) = (slot as usize, &state.spots[slot as usize]);
        if self.cells[at].version == spot.version {
            return Ok(());
        }
        self.cells[at].version = spot.version;
        let standing = std::mem::take(&mut self.cells[at].standing);
        if let Standing::Member(class, rank) = standing {
            self.classes.remove(class, &rank);
        }
        self.take_back(at);
        if self.cells[at].site_version != spot.site_version {
            self.look_at_site(at, spot, state);
        }
        if spot.site.is_none() {
            return Ok(());
        }
        self.say(at, spot, state)?;
        self.cells[at].standing = self.stand(slot, spot);
        Ok(())
    }

    /// Takes back what a node said.
    fn take_back(&mut self, at: usize) {
        let width = self.rows.len();
        let places = &self.places[at * width..(at + 1) * width];
        for (row, place) in self.rows.iter_mut().zip(places) {
            if place.counts {
                row.subtract(place.seat, place.answer);
            }
        }
    }

    fn look_at_site(&mut self, at: usize, spot: &Spot, state: &State) {
        let width = self.rows.len();
        let places = &mut self.places[at * width..(at + 1) * width];
        places.fill(Place::default());
        let cell = &mut self.cells[at];
        cell.site_version = spot.site_version;
        let Some(site) = &spot.site else {
            cell.fixed = None;
            return;
        };
        let body = &self.body;
        let tolerations = &body.shape.tolerations;
        let mut likes = vec![
            filter::taints::disliked(tolerations, &site.taints),
            filter::affinity::liking(body, site),
        ];
        likes.extend(body.images.iter().map(|image| {
            let there = site.images.iter().find(|(name, _)| name == image);
            there.map_or(0, |(_, size)| i64::try_from(*size).unwrap_or(i64::MAX))
        }));
        cell.fixed = Some(Fixed {
            refusal: filter::site(body, site),
            likes: likes.into(),
        });
        let is_affine = filter::affinity::holds(body, site);
        let is_tolerated = filter::taints::untolerated(tolerations, &site.taints).is_none();
        let has_keys = |is_hard: bool| {
            let mut spreads = body
                .spreads
                .iter()
                .filter(|spread| spread.is_hard == is_hard);
            spreads.all(|spread| site.labels.find(&spread.key).is_some())
        };
        let has_keys = [has_keys(false), has_keys(true)];
        for (row, place) in self.rows.iter().zip(places) {
            place.counts = match row.rule {
                Rule::Spread(index) => {
                    let spread = &body.spreads[index];
                    has_keys[usize::from(spread.is_hard)]
                        && (is_affine || !spread.honors_affinity)
                        && (is_tolerated || !spread.honors_taints)
                }
                _ => true,
            };
            place.seat = match state.topologies.seat(row.topology, at) {
                Seat::Shared(_) if row.is_own => Seat::Alone,
                seat => seat,
            };
        }
    }

    /// Adds up what a node's pods mean for the rows.
    fn say(&mut self, at: usize, spot: &Spot, state: &State) -> Result<(), Outdated> {
        let width = self.rows.len();
        for place in &mut self.places[at * width..(at + 1) * width] {
            place.answer = 0;
        }
        for here in &spot.load.bodies {
            let kept = state.bodies.get(here.body);
            let index = here.body as usize;
            if self.known[index].born != kept.born {
                let weights =
                    meaning::weights(&self.body, &self.rows, &kept.body, &state.namespaces)?;
                self.known[index] = Known {
                    born: kept.born,
                    weights,
                };
            }
            let Some(weights) = &self.known[index].weights else {
                continue;
            };
            let places = &mut self.places[at * width..(at + 1) * width];
            for ((place, weight), row) in places.iter_mut().zip(weights).zip(&self.rows) {
                let terminating = match row.rule {
                    Rule::Spread(_) => 0,
                    _ => here.terminating,
                };
                place.answer += weight * i64::from(here.living + terminating);
            }
        }
        let places = &mut self.places[at * width..(at + 1) * width];
        for (row, place) in self.rows.iter_mut().zip(places) {
            match place.counts {
                true => row.add(place.seat, place.answer),
                false => place.answer = 0,
            }
        }
        Ok(())
    }

    fn stand(&mut self, slot: u32, spot: &Spot) -> Standing {
        let at = slot as usize;
        let (Some(fixed), Some(site)) = (&self.cells[at].fixed, &spot.site) else {
            return Standing::Gone;
        };
        let load = &spot.load;
        let refusal = fixed
            .refusal
            .or_else(|| filter::load(&self.body, site, load));
        if let Some(refusal) = refusal {
            return Standing::Refused(refusal);
        }
        let mut key = Vec::with_capacity(fixed.likes.len() + self.rows.len());
        key.extend_from_slice(&fixed.likes);
        let rows = self.rows.iter().zip(self.places_of(at));
        key.extend(rows.map(|(row, place)| row.part(place.seat, place.answer)));
        let rank = Rank {
            below: -score::alone(&self.body, site, load),
            pods: load.pods,
            order: spot.order,
            slot,
        };
        Standing::Member(self.classes.insert(&key, rank), rank)
    }

    /// Forgets everything, and takes up what was missing.
    fn start_over(&mut self, outdated: Outdated, state: &mut State) {
        self.keys.add(outdated);
        self.rows = self.keys.rows(&self.body, state);
        self.classes = Classes::default();
        self.cells.clear();
        self.places.clear();
        self.known.clear();
        self.seen = 0;
    }

    fn places_of(&self, at: usize) -> &[Place] {
        let width = self.rows.len();
        &self.places[at * width..(at + 1) * width]
    }
}
