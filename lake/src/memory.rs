//! The memory that the queries of a lake share. Operators that can spill ask for more until they are refused, and so do
//! merges of what was spilled, once they have enough; others (a join's side) end the query when they are refused. So the
//! greedy are kept from taking everything, and nobody is refused a small share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

/// The share of the memory that operators which can spill may take together, in eighths; one of them takes one.
const SPILLABLE_EIGHTHS: usize = 5;
/// The share that one merge may take, in eighths, whatever is taken: what it merges is what the sort before it, an
/// eighth, has just given back, and it ends the query when it is refused.
const MERGE_EIGHTHS: usize = 2;
/// How the engine names merges of what was spilled.
const MERGE: &str = "ExternalSorterMerge";
/// A share of one in so many is nobody refused, even when all is taken: what operators reserve is the worst that
/// could come, and several times of what they use.
const SMALLEST_SHARE: usize = 32;

/// A pool in which each operator that can spill leaves as much as it takes, and no other starves beside them.
#[derive(Debug)]
pub struct SharedMemory {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    spillable: usize,
    other: usize,
}

impl SharedMemory {
    pub fn new(limit: usize) -> SharedMemory {
        SharedMemory { limit, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, reservation: &MemoryReservation, additional: usize, taken: &Taken) -> bool {
        let wanted = reservation.size() + additional;
        let smallest = self.limit / SMALLEST_SHARE;
        if wanted <= smallest {
            return true;
        }
        let eighth = self.limit / 8;
        let consumer = reservation.consumer();
        // An aggregation gives back nearly all, and asks at once for what it needs to sort and spill that.
        if consumer.can_spill() && reservation.size() > smallest {
            let others = taken.spillable.saturating_sub(reservation.size());
            let limit = (eighth * SPILLABLE_EIGHTHS).min(self.limit.saturating_sub(taken.other));
            return wanted <= (limit.saturating_sub(others) / 2).min(eighth);
        }
        if consumer.name().starts_with(MERGE) {
            return wanted <= eighth * MERGE_EIGHTHS;
        }
        additional <= self.limit.saturating_sub(taken.spillable + taken.other)
    }
}

impl Taken {
    fn of(&mut self, reservation: &MemoryReservation) -> &mut usize {
        if reservation.consumer().can_spill() { &mut self.spillable } else { &mut self.other }
    }
}

impl MemoryPool for SharedMemory {
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.taken().of(reservation) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut taken = self.taken();
        let taken = taken.of(reservation);
        *taken = taken.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut taken = self.taken();
        if !self.fits(reservation, additional, &taken) {
            return Err(resources_datafusion_err!(
                "{} has {} bytes and finds no {additional} more: {} of {} are taken",
                reservation.consumer().name(),
                reservation.size(),
                taken.spillable + taken.other,
                self.limit
            ));
        }
        *taken.of(reservation) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let taken = self.taken();
        taken.spillable + taken.other
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn who_can_spill_leaves_as_much_as_it_takes_and_nobody_starves() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedMemory::new(3200));
        let sort = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (first, second, third) = (sort("first"), sort("second"), sort("third"));
        first.try_grow(400).unwrap();
        assert!(first.try_grow(1).is_err(), "an eighth");
        let merge = MemoryConsumer::new("ExternalSorterMerge[0]").register(&pool);
        merge.try_grow(800).unwrap();
        assert!(merge.try_grow(1).is_err(), "two eighths");
        let side = MemoryConsumer::new("side").register(&pool);
        side.try_grow(1400).unwrap();
        second.try_grow(200).unwrap();
        assert!(second.try_grow(101).is_err(), "half of what the others leave");
        second.try_grow(100).unwrap();
        side.try_grow(300).unwrap();
        let refused = side.try_grow(1).unwrap_err().to_string();
        assert!(refused.contains("side has 1700 bytes and finds no 1 more: 3200 of 3200 are taken"), "{refused}");
        third.try_grow(100).unwrap();
        assert!(third.try_grow(1).is_err(), "all is taken, but for a small share");
        drop(side);
        assert_eq!(pool.reserved(), 1600);
        first.shrink(360);
        assert!(first.try_grow(1800).is_ok(), "what is asked for at once, to spill");
    }
}
