//! Guests made by hand, an instruction at a time: for what no payload of ours does.

use abi::addr::Gpa;
use abi::calls::CALL_PORT;
use abi::control::{CONTROL_PORT, Control, IDLE_PORT};
use abi::layout::IMAGE;

/// What a processor does, as machine code. Every value and address fits in 31 bits.
#[derive(Clone, Default)]
pub(crate) struct Code(Vec<u8>);

impl Code {
    fn with(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Writes to a port.
    pub(crate) fn out(self, port: u16, value: u32) -> Self {
        // mov eax, value; mov dx, port; out dx, eax
        self.with(&[0xb8])
            .with(&value.to_le_bytes())
            .with(&[0x66, 0xba])
            .with(&port.to_le_bytes())
            .with(&[0xef])
    }

    /// Says something.
    pub(crate) fn say(self, control: Control) -> Self {
        self.out(CONTROL_PORT, control.value())
    }

    /// Gives the processor away.
    pub(crate) fn idle(self, microseconds: u32) -> Self {
        self.out(IDLE_PORT, microseconds)
    }

    /// Makes a call by port, with this word and these registers.
    pub(crate) fn call(self, word: u32, gpa: u32, pages: u32) -> Self {
        // mov rbx, gpa; mov rcx, pages
        let loaded = self.with(&[0x48, 0xc7, 0xc3]).with(&gpa.to_le_bytes());
        loaded.with(&[0x48, 0xc7, 0xc1]).with(&pages.to_le_bytes()).out(CALL_PORT, word)
    }

    /// Stores 32 bits.
    pub(crate) fn store(self, at: Gpa, value: u32) -> Self {
        // mov dword [at], value
        self.with(&[0xc7, 0x04, 0x25]).with(&address(at)).with(&value.to_le_bytes())
    }

    /// Copies 32 bits.
    pub(crate) fn copy(self, from: Gpa, to: Gpa) -> Self {
        // mov eax, [from]; mov [to], eax
        self.with(&[0x8b, 0x04, 0x25]).with(&address(from)).with(&[0x89, 0x04, 0x25]).with(&address(to))
    }

    /// Waits, with the processor given away, until the 32 bits are not 0.
    pub(crate) fn await_word(self, at: Gpa) -> Self {
        let idle = Self::default().idle(100).0;
        let length = u8::try_from(idle.len()).unwrap();
        // again: cmp dword [at], 0; jne over; idle; jmp again
        let code = self.with(&[0x83, 0x3c, 0x25]).with(&address(at)).with(&[0, 0x75, length + 2]).with(&idle);
        let back = 8 + 2 + length + 2;
        code.with(&[0xeb, back.wrapping_neg()])
    }

    /// Gives the processor away again and again.
    pub(crate) fn idle_for_ever(self) -> Self {
        let idle = Self::default().idle(1000).0;
        let back = u8::try_from(idle.len() + 2).unwrap();
        self.with(&idle).with(&[0xeb, back.wrapping_neg()])
    }

    /// Does nothing for ever, without an exit.
    pub(crate) fn hang(self) -> Self {
        self.with(&[0xeb, 0xfe])
    }

    /// Faults with nobody to handle it.
    pub(crate) fn fault(self) -> Self {
        self.with(&[0x0f, 0x0b])
    }
}

fn address(at: Gpa) -> [u8; 4] {
    u32::try_from(at.0).unwrap().to_le_bytes()
}

/// An image that has processor `n` run `code[n]`, which must not run over its end.
pub(crate) fn image(code: &[Code]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    let mut text = Vec::new();
    for (number, Code(code)) in code.iter().enumerate() {
        // cmp edi, number; jne over the code
        text.extend([0x83, 0xff, u8::try_from(number).unwrap(), 0x0f, 0x85]);
        text.extend(u32::try_from(code.len()).unwrap().to_le_bytes());
        text.extend(code);
    }
    text.extend([0xeb, 0xfe]);

    let entry = IMAGE.0 + HEADERS;
    let length = HEADERS + text.len() as u64;
    // An executable for x86_64 with one loadable segment, which is all of it.
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    image.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    image.extend(1_u32.to_le_bytes());
    image.extend([entry, 64, 0].map(u64::to_le_bytes).concat());
    image.extend(0_u32.to_le_bytes());
    image.extend([64_u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    image.extend([1_u32, 7].map(u32::to_le_bytes).concat());
    image.extend([0, IMAGE.0, IMAGE.0, length, length, 4096].map(u64::to_le_bytes).concat());
    image.extend(text);
    image
}
