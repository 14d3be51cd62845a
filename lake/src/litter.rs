//! Files of a transaction that are not part of the lake yet. What is still here when the last owner goes is removed,
//! so that a transaction that fails or is dropped leaves nothing behind.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Litter {
    store: Store,
    urls: Mutex<HashSet<String>>,
}

impl Litter {
    pub fn new(store: &Store) -> Litter {
        Litter { store: store.clone(), urls: Mutex::default() }
    }

    /// Notes a file before it is created.
    pub fn add(&self, url: &str) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_string());
    }

    /// Forgets files: they belong to the lake now.
    pub fn keep<'a>(&self, urls: impl IntoIterator<Item = &'a str>) {
        let mut held = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        for url in urls {
            held.remove(url);
        }
    }

    /// Forgets all files, for instance when it is not known whether the lake has them.
    pub fn keep_all(&self) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes files now.
    pub fn remove<'a>(&self, urls: impl IntoIterator<Item = &'a str>) {
        let urls: Vec<&str> = urls.into_iter().collect();
        self.keep(urls.iter().copied());
        self.store.remove(urls);
    }
}

impl Drop for Litter {
    fn drop(&mut self) {
        let left = std::mem::take(self.urls.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.store.remove(left.iter().map(String::as_str));
    }
}
