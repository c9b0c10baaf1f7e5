//! An allocator that counts what a thread asks for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTED: Counted = Counted;

struct Counted;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn took(octets: usize) {
    TAKEN.set(TAKEN.get().wrapping_add(octets));
    let held = HELD.get().wrapping_add_unsigned(octets);
    HELD.set(held);
    if held > MOST.get() {
        MOST.set(held);
    }
}

fn gave_back(octets: usize) {
    HELD.set(HELD.get().wrapping_sub_unsigned(octets));
}

// SAFETY: everything is passed on to the system's allocator as it came; counting touches no memory of it, and the cells are
// without destructors, so a thread has them to its end.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        gave_back(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        gave_back(layout.size());
        took(size);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// What a thread asked for while something ran.
#[derive(Debug, Clone, Copy)]
pub struct Allocated {
    /// All of it, also what was given back.
    pub taken: usize,
    /// The most that was held at a time, beyond what was held before.
    pub most: usize,
}

pub fn counted<T>(run: impl FnOnce() -> T) -> (T, Allocated) {
    let (taken, held) = (TAKEN.get(), HELD.get());
    MOST.set(held);
    let result = run();
    let taken = TAKEN.get().wrapping_sub(taken);
    let most = usize::try_from(MOST.get().wrapping_sub(held)).unwrap_or(0);
    (result, Allocated { taken, most })
}
