/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Zaps what a guest does not need, in the address space of whoever runs here, and keeps count. Each module includes it
 * once: counters and parameters are its own.
 *
 * What madvise(MADV_DONTNEED) would refuse is refused, and more: a range in two mappings, one in huge pages of
 * hugetlbfs, one that is registered with userfaultfd (it would have to be told, and the call that tells it is not
 * exported). What is skipped: a TLB flush for all ranges at once; each range gathers and flushes by itself.
 */
#ifndef PAGEHINT_ZAP_H
#define PAGEHINT_ZAP_H

#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/userfaultfd_k.h>
#include <linux/version.h>

/* Ranges that are zapped before the mmap lock is given to others. */
#define ZAP_CHUNK		64

/* What was done, in /sys/module/NAME/parameters. A call is a hypercall, or a chain of a queue. */
static atomic64_t calls, ranges, pages, refused, digest;

static int get_counter(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", (u64)atomic64_read(kp->arg));
}

static const struct kernel_param_ops counter_ops = { .get = get_counter };

module_param_cb(calls, &counter_ops, &calls, 0444);
MODULE_PARM_DESC(calls, "Calls or chains that were served");
module_param_cb(ranges, &counter_ops, &ranges, 0444);
MODULE_PARM_DESC(ranges, "Ranges that were zapped");
module_param_cb(pages, &counter_ops, &pages, 0444);
MODULE_PARM_DESC(pages, "Pages of those ranges, whether they were there or not");
module_param_cb(refused, &counter_ops, &refused, 0444);
MODULE_PARM_DESC(refused, "Ranges, and calls or chains, that were refused");

module_param_cb(digest, &counter_ops, &digest, 0444);
MODULE_PARM_DESC(digest, "Fingerprint of those pages");

/* Of the ranges of one call or chain. */
struct tally {
	u64 ranges, pages, refused, digest;
};

/* Both sides fingerprint pages so: abi/src/digest.rs. */
static u64 edge(u64 frame)
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

/* Zaps what has this address: all of it or nothing. The mmap lock is held. */
static bool zap_range(unsigned long start, unsigned long size)
{
	struct vm_area_struct *vma = find_vma(current->mm, start);

	if (!size || !PAGE_ALIGNED(start | size))
		return false;
	if (!vma || start < vma->vm_start || size > vma->vm_end - start || !may_zap(vma))
		return false;
	zap(vma, start, size);
	return true;
}

static void tell_range(struct tally *tally, bool zapped, u64 first, u64 count)
{
	if (zapped) {
		tally->ranges++;
		tally->pages += count;
		tally->digest += edge(first + count) - edge(first);
	} else {
		tally->refused++;
	}
}

static void tell_call(const struct tally *tally, bool failed)
{
	atomic64_inc(&calls);
	atomic64_add(tally->ranges, &ranges);
	atomic64_add(tally->pages, &pages);
	atomic64_add(tally->digest, &digest);
	atomic64_add(tally->refused + failed, &refused);
}

#endif
