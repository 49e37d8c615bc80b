// SPDX-License-Identifier: GPL-2.0
/*
 * kvmhint: a guest's reports served inside KVM, without an exit to user space.
 *
 * A hypercall with a number of its own (abi/src/calls.rs) names ranges of guest memory that the guest does not need,
 * in its registers or in a batch page (abi/src/wire/page.rs). Each is checked and zapped in the address space of the
 * thread that runs the virtual processor, while that processor is out.
 *
 * KVM has no place for a hypercall of somebody else's, so that ftrace redirects kvm_emulate_hypercall() for this number.
 * KVM's own function still runs first: it checks the privilege level, goes past the instruction, and answers
 * -KVM_ENOSYS. Only that answer is replaced.
 *
 * What may not be zapped is refused: zap.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kvm_host.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/version.h>

#include "zap.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define ftrace_regs_get_argument(fregs, n)	((fregs)->regs.di)
#define ftrace_regs_set_instruction_pointer	ftrace_instruction_pointer_set
#endif

/* The number of the call: far above KVM's own. */
#define KVMHINT_CALL		0x5048
/* Operations, in the lower half of the word; the upper has the number of entries. */
#define KVMHINT_NOTHING		0
#define KVMHINT_RANGE		1
#define KVMHINT_BATCH		2
/* A batch page: a word that is not looked at here, then entries of frame and number of pages. */
#define KVMHINT_ENTRIES		511
#define KVMHINT_PAGES_BITS	12
/* Entries that are copied at a time: what is copied is on the stack. */
#define KVMHINT_CHUNK		ZAP_CHUNK

/* Zaps guest frames, which the caller's address space has: all of them or none. Its mmap lock is held. */
static bool zap_frames(struct kvm_vcpu *vcpu, gfn_t first, u64 count)
{
	struct kvm_memory_slot *slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), first);

	/* The slot has the first frame; compared with what it has left, no number of pages can wrap. */
	if (!slot || slot->flags & (KVM_MEMSLOT_INVALID | KVM_MEM_READONLY))
		return false;
	if (!count || count > slot->base_gfn + slot->npages - first)
		return false;
	return zap_range(__gfn_to_hva_memslot(slot, first), count << PAGE_SHIFT);
}

static void serve_range(struct kvm_vcpu *vcpu, gfn_t first, u64 count, struct tally *tally)
{
	tell_range(tally, zap_frames(vcpu, first, count), first, count);
}

/* The mmap lock is not held while entries are copied: the page that holds them may have to be faulted in. */
static long serve_batch(struct kvm_vcpu *vcpu, gpa_t page, u32 count, struct tally *tally)
{
	u64 entries[KVMHINT_CHUNK];
	u32 done, some, i;

	if (count > KVMHINT_ENTRIES)
		return -E2BIG;
	for (done = 0; done < count; done += some) {
		some = min_t(u32, count - done, KVMHINT_CHUNK);
		if (kvm_vcpu_read_guest(vcpu, page + (1 + done) * sizeof(u64), entries, some * sizeof(u64)))
			return -EFAULT;
		mmap_read_lock(current->mm);
		for (i = 0; i < some; i++)
			serve_range(vcpu, entries[i] >> KVMHINT_PAGES_BITS,
				    entries[i] & (BIT(KVMHINT_PAGES_BITS) - 1), tally);
		mmap_read_unlock(current->mm);
		cond_resched();
	}
	return 0;
}

/* The answer: how many ranges were refused, or what is wrong with the call. */
static long serve(struct kvm_vcpu *vcpu, u32 word, gpa_t gpa, u64 count)
{
	struct tally tally = {};
	long error = 0;

	if (current->mm != vcpu->kvm->mm || !PAGE_ALIGNED(gpa))
		error = -EFAULT;
	else if (word == KVMHINT_RANGE) {
		mmap_read_lock(current->mm);
		serve_range(vcpu, gpa >> PAGE_SHIFT, count, &tally);
		mmap_read_unlock(current->mm);
	} else if ((u16)word == KVMHINT_BATCH)
		error = serve_batch(vcpu, gpa, word >> 16, &tally);
	else if (word != KVMHINT_NOTHING)
		error = -ENOSYS;

	tell_call(&tally, error);
	return error ?: (long)tally.refused;
}

/* Runs in the place of kvm_emulate_hypercall(), of the thread of a virtual processor. */
static int kvmhint_emulate_hypercall(struct kvm_vcpu *vcpu)
{
	unsigned long *regs = vcpu->arch.regs;
	/* Not redirected: it is called from this module. */
	int next = kvm_emulate_hypercall(vcpu);

	if (regs[VCPU_REGS_RAX] == (unsigned long)-KVM_ENOSYS)
		regs[VCPU_REGS_RAX] = serve(vcpu, regs[VCPU_REGS_RDX], regs[VCPU_REGS_RBX], regs[VCPU_REGS_RCX]);
	/*
	 * Taken when the call was redirected: nobody unloads the module under a thread that sleeps here. The few
	 * instructions that are left do not sleep, and unregister_ftrace_function() waits for them.
	 */
	module_put(THIS_MODULE);
	return next;
}

static void notrace redirect(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)ftrace_regs_get_argument(fregs, 0);

	/* Of a guest whose state is encrypted the registers are not the guest's. */
	if (vcpu->arch.regs[VCPU_REGS_RAX] != KVMHINT_CALL || vcpu->arch.guest_state_protected)
		return;
	if (within_module(parent, THIS_MODULE) || !try_module_get(THIS_MODULE))
		return;
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)kvmhint_emulate_hypercall);
}

static struct ftrace_ops redirection = {
	.func = redirect,
	.flags = FTRACE_OPS_FL_IPMODIFY,
};

static int __init kvmhint_init(void)
{
	unsigned long function = (unsigned long)kvm_emulate_hypercall;
	int error = ftrace_set_filter_ip(&redirection, function, 0, 0);

	if (error) {
		pr_err("kvm_emulate_hypercall cannot be traced: %d\n", error);
		return error;
	}
	error = register_ftrace_function(&redirection);
	if (error) {
		pr_err("kvm_emulate_hypercall cannot be redirected: %d\n", error);
		ftrace_free_filter(&redirection);
	}
	return error;
}

static void __exit kvmhint_exit(void)
{
	unregister_ftrace_function(&redirection);
	ftrace_free_filter(&redirection);
}

module_init(kvmhint_init);
module_exit(kvmhint_exit);
MODULE_DESCRIPTION("Guests' reports of free pages, served inside KVM");
MODULE_LICENSE("GPL");
