//! gzip by ISA-L, through the few functions of `isal.c`, which is compiled against the system's header.
#![expect(unsafe_code, reason = "a library in C; what makes each call sound stands beside it")]

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::NonNull;

use super::{Member, corrupt};

unsafe extern "C" {
    fn coupon_corpus_isal_new() -> *mut c_void;
    fn coupon_corpus_isal_reset(state: *mut c_void);
    fn coupon_corpus_isal_free(state: *mut c_void);
    fn coupon_corpus_isal_inflate(
        state: *mut c_void,
        input: *const u8,
        input_bytes: *mut u32,
        output: *mut u8,
        output_bytes: *mut u32,
        is_complete: *mut c_int,
    ) -> c_int;
}

/// Inflates a member, header and trailer included.
pub(super) struct IsaL(NonNull<c_void>);

// SAFETY: the state is plain memory that only this value points to; ISA-L keeps nothing about threads.
unsafe impl Send for IsaL {}

impl IsaL {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes nothing; gives memory that is ready for use, or null.
        let state = unsafe { coupon_corpus_isal_new() };
        NonNull::new(state).map(Self).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Member for IsaL {
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        let bytes = |slice: &[u8]| u32::try_from(slice.len()).unwrap_or(u32::MAX);
        let (mut taken, mut made, mut is_complete) = (bytes(input), bytes(output), 0);
        // SAFETY: the state is live and used by nobody else while `self` is borrowed. ISA-L reads at most `taken` bytes
        // from `input` and writes at most `made` bytes to `output`, which are no longer than the slices; it keeps
        // neither pointer, since `isal.c` sets both for each call. The counts live until the call returns.
        let status = unsafe {
            coupon_corpus_isal_inflate(
                self.0.as_ptr(),
                input.as_ptr(),
                &raw mut taken,
                output.as_mut_ptr(),
                &raw mut made,
                &raw mut is_complete,
            )
        };
        if status == 0 {
            Ok((taken as usize, made as usize, is_complete != 0))
        } else {
            Err(corrupt("the gzip data are corrupt"))
        }
    }

    fn reset(&mut self) {
        // SAFETY: the state is live, and borrowed by nobody else.
        unsafe { coupon_corpus_isal_reset(self.0.as_ptr()) }
    }
}

impl Drop for IsaL {
    fn drop(&mut self) {
        // SAFETY: the state came from `coupon_corpus_isal_new` and is not used after this.
        unsafe { coupon_corpus_isal_free(self.0.as_ptr()) }
    }
}
