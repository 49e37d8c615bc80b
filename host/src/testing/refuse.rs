//! A thread that the kernel refuses a system call, as a sandbox does.

#![expect(unsafe_code, reason = "prctl and seccomp")]

use std::panic::resume_unwind;

/// Runs `run` on a thread of its own, and the threads it starts, that are refused system call `number` with `errno`.
pub(crate) fn refused<T: Send>(
    number: libc::c_long,
    errno: libc::c_int,
    run: impl FnOnce() -> T + Send,
) -> T {
    std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            refuse(u32::try_from(number).unwrap(), errno.unsigned_abs());
            run()
        });
        confined.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Has the kernel refuse a system call to the calling thread, for as long as it lives.
fn refuse(number: u32, errno: u32) {
    let step = |code: u32, k, jt, jf| libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k };
    // The number of the system call is the first word of what a filter sees.
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the filter has as many steps as it says, and lives until both calls have returned. They concern the
    // calling thread alone.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    assert!(refused, "{}", std::io::Error::last_os_error());
}
