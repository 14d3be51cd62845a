//! One pass over the input: some threads read blocks, some work on them, and a bounded channel stands between.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use crate::error::{Error, Result};
use crate::extract::source::Sources;
use crate::extract::{self, Block, Spare};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read, over both passes.
    pub bytes_done: u64,
    /// Bytes to read, over both passes.
    pub bytes_total: u64,
    /// Resources written or counted so far.
    pub resources: u64,
}

/// What the passes of a run share.
pub struct Meter<'m> {
    bytes_done: AtomicU64,
    bytes_total: u64,
    resources: AtomicU64,
    tell: &'m (dyn Fn(Progress) + Sync),
}

impl<'m> Meter<'m> {
    /// Nothing is done yet.
    pub fn new(bytes_total: u64, tell: &'m (dyn Fn(Progress) + Sync)) -> Self {
        Meter { bytes_done: AtomicU64::new(0), bytes_total, resources: AtomicU64::new(0), tell }
    }

    /// Counts resources and tells how far the run is.
    pub fn advance(&self, resources: u64) {
        let resources = self.resources.fetch_add(resources, Ordering::Relaxed) + resources;
        let bytes_done = self.bytes_done.load(Ordering::Relaxed).min(self.bytes_total);
        (self.tell)(Progress { bytes_done, bytes_total: self.bytes_total, resources });
    }
}

/// Reads all files and hands their blocks to `workers`, each on a thread of its own; returns them when all is done.
///
/// # Errors
/// The first error of a reader or worker; the others stop.
pub fn over<W: Send>(
    sources: &Sources,
    meter: &Meter<'_>,
    workers: Vec<W>,
    work: impl Fn(&mut W, &Block) -> Result<()> + Sync,
) -> Result<Vec<W>> {
    let (sender, receiver) = bounded::<Block>(workers.len() * 2);
    let next_file = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let spare = Spare::default();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..workers.len().min(sources.files.len()))
            .map(|_| {
                let sender = sender.clone();
                let (next_file, stop, spare) = (&next_file, &stop, &spare);
                scope.spawn(move || -> Result<()> {
                    loop {
                        let index = next_file.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = sources.files.get(index) else {
                            return Ok(());
                        };
                        let send = &mut |block| !stop.load(Ordering::Relaxed) && sender.send(block).is_ok();
                        extract::read(file, index as u32, &meter.bytes_done, spare, send)?;
                    }
                })
            })
            .collect();
        drop(sender);
        let running: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                let receiver = receiver.clone();
                let (stop, work, spare) = (&stop, &work, &spare);
                scope.spawn(move || -> Result<W> {
                    // Blocks are taken to the end even after a failure, so that no reader waits for ever.
                    let mut outcome = Ok(());
                    for block in receiver {
                        if outcome.is_ok() && !stop.load(Ordering::Relaxed) {
                            outcome = work(&mut worker, &block);
                            if outcome.is_err() {
                                stop.store(true, Ordering::Relaxed);
                            }
                        }
                        spare.keep(block);
                    }
                    outcome.map(|()| worker)
                })
            })
            .collect();
        drop(receiver);
        let workers: Result<Vec<W>> =
            running.into_iter().map(|worker| worker.join().unwrap_or(Err(Error::Worker))).collect();
        for reader in readers {
            reader.join().unwrap_or(Err(Error::Worker))?;
        }
        workers
    })
}
