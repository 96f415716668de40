//! Shuttle's locks, in the form in which the log uses parking_lot's.

#![allow(clippy::expect_used)] // Of a test alone: no store is built with it.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

pub(crate) use shuttle::sync::atomic;

/// The log's gates are used as the standard library's are, and so are shuttle's.
pub(crate) mod gate {
    pub(crate) use shuttle::sync::{Condvar, Mutex};
}

/// Each look is a place where another thread may go on: one tells as much as many.
pub(crate) const LOOKS: u32 = 1;

/// Whatever others do takes less time.
pub(crate) fn sleep(_: std::time::Duration) {
    shuttle::thread::yield_now();
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// None while it is given back.
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    /// Gives the lock back for as long as `act` takes, also where that panics.
    pub(crate) fn unlocked<R>(guard: &mut Self, act: impl FnOnce() -> R) -> R {
        struct Again<'a, 'b, T>(&'a mut MutexGuard<'b, T>);
        impl<T> Drop for Again<'_, '_, T> {
            fn drop(&mut self) {
                self.0.held = self.0.mutex.lock().held.take();
            }
        }
        guard.held = None;
        let _again = Again(guard);
        act()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("the lock is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("the lock is held")
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect("the lock is held");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Time is no way out here: who is not woken waits for ever, and shuttle says so.
    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        _: std::time::Duration,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
