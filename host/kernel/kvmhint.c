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
 * What madvise(MADV_DONTNEED) would refuse is refused, and more: a range in two mappings, one in huge pages of
 * hugetlbfs, one that is registered with userfaultfd (it would have to be told, and the call that tells it is not
 * exported). What is skipped: a TLB flush for all ranges at once; each range gathers and flushes by itself.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/hugetlb.h>
#include <linux/kvm_host.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/userfaultfd_k.h>
#include <linux/version.h>

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
#define KVMHINT_CHUNK		64

/* What was done, in /sys/module/kvmhint/parameters. Of calls that KVM refused nothing is counted. */
static atomic64_t calls, ranges, pages, refused, digest;

static int get_counter(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", (u64)atomic64_read(kp->arg));
}

static const struct kernel_param_ops counter_ops = { .get = get_counter };

module_param_cb(calls, &counter_ops, &calls, 0444);
MODULE_PARM_DESC(calls, "Calls that were served");
module_param_cb(ranges, &counter_ops, &ranges, 0444);
MODULE_PARM_DESC(ranges, "Ranges that were zapped");
module_param_cb(pages, &counter_ops, &pages, 0444);
MODULE_PARM_DESC(pages, "Pages of those ranges, whether they were there or not");
module_param_cb(refused, &counter_ops, &refused, 0444);
MODULE_PARM_DESC(refused, "Ranges and calls that were refused");

module_param_cb(digest, &counter_ops, &digest, 0444);
MODULE_PARM_DESC(digest, "Fingerprint of those pages");

/* Of the ranges of one call. */
struct tally {
	u64 ranges, pages, refused, digest;
};

/* Both sides fingerprint pages so: abi/src/digest.rs. */
static u64 edge(gfn_t frame)
{
	u64 value = frame + 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

static bool may_zap(const struct vm_area_struct *vma)
{
	unsigned long forbidden = VM_LOCKED | VM_PFNMAP | VM_IO;

#ifdef VM_SEALED
	forbidden |= VM_SEALED;
#endif
	return !(vma->vm_flags & forbidden) && !is_vm_hugetlb_page((struct vm_area_struct *)vma) &&
	       !userfaultfd_armed((struct vm_area_struct *)vma);
}

static void zap(struct vm_area_struct *vma, unsigned long start, unsigned long size)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	zap_page_range(vma, start, size);
#else
	zap_page_range_single(vma, start, size, NULL);
#endif
}

/* Zaps guest frames, which the caller's address space has: all of them or none. Its mmap lock is held. */
static bool zap_frames(struct kvm_vcpu *vcpu, gfn_t first, u64 count)
{
	struct kvm_memory_slot *slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), first);
	struct vm_area_struct *vma;
	unsigned long start;

	/* The slot has the first frame; compared with what it has left, no number of pages can wrap. */
	if (!slot || slot->flags & (KVM_MEMSLOT_INVALID | KVM_MEM_READONLY))
		return false;
	if (!count || count > slot->base_gfn + slot->npages - first)
		return false;
	start = __gfn_to_hva_memslot(slot, first);
	vma = find_vma(current->mm, start);
	if (!vma || start < vma->vm_start || count << PAGE_SHIFT > vma->vm_end - start || !may_zap(vma))
		return false;
	zap(vma, start, count << PAGE_SHIFT);
	return true;
}

static void serve_range(struct kvm_vcpu *vcpu, gfn_t first, u64 count, struct tally *tally)
{
	if (zap_frames(vcpu, first, count)) {
		tally->ranges++;
		tally->pages += count;
		tally->digest += edge(first + count) - edge(first);
	} else {
		tally->refused++;
	}
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

	atomic64_inc(&calls);
	atomic64_add(tally.ranges, &ranges);
	atomic64_add(tally.pages, &pages);
	atomic64_add(tally.digest, &digest);
	atomic64_add(tally.refused + !!error, &refused);
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
