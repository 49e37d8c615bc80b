//! What the linker still misses where the payload is built for the host's target instead of
//! `x86_64-unknown-none`: the memory functions the compiler calls. Written in assembly because a loop in Rust
//! would be turned into a call of itself.

#![expect(unsafe_code, reason = "the compiler calls these by name")]

use core::arch::naked_asm;

// SAFETY: each symbol is defined once in the image and does what C says of it; the string instructions count
// upwards because nothing in the payload sets the direction flag.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!("mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret")
}

// SAFETY: as above; backwards where the regions overlap that way.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "mov rcx, rdx",
        "cmp rdi, rsi",
        "jb 2f",
        "lea rdi, [rdi + rcx - 1]",
        "lea rsi, [rsi + rcx - 1]",
        "std",
        "rep movsb",
        "cld",
        "ret",
        "2: rep movsb",
        "ret",
    )
}

// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    naked_asm!("mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret")
}

// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    naked_asm!(
        "xor eax, eax",
        "xor ecx, ecx",
        "2: cmp rcx, rdx",
        "je 3f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "je 2b",
        "3: ret",
    )
}

// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

/// Named by the prebuilt `core`; nothing unwinds here.
// SAFETY: the symbol is defined once in the image and never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
