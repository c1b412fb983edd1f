//! The load of `weft-bench planner`, without what its other cases need.

#[path = "../../../bench/src/planner.rs"]
mod planner;

fn main() {
    planner::run();
}
