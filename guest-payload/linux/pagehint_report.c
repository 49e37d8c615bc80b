// SPDX-License-Identifier: GPL-2.0
/*
 * Reports free pages to the host by hypercall, in place of virtio_balloon: the same core of the kernel's finds them and
 * hands them over, and only the way to the host is another.
 *
 * The call is KVM_HC_MAP_GPA_RANGE, the one that KVM can be told to leave to user space; its attributes say what is
 * meant (abi/src/calls.rs). Either a range in the registers of a call each, or all ranges of a report in a page that the
 * call points to (abi/src/wire/page.rs). Whether it is vmcall or vmmcall the kernel decides.
 *
 * Only one driver can be registered with the core: where virtio_balloon reports already, this is not loaded.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <asm/kvm_para.h>

/* KVM_HC_MAP_GPA_RANGE; not in the headers of every kernel. */
#define CALL_NUMBER 12
#define WORD_RANGE 1
#define WORD_BATCH(count) (2 | (count) << 16)
/* The first word of a batch page is the answer's, where a call has no register for it. */
#define BATCH_CAPACITY 511
#define PAGES_BITS 12

static bool batch;
module_param(batch, bool, 0444);
MODULE_PARM_DESC(batch, "all ranges of a report in one call");

/* The core makes one report after the other: whoever reads these may see one that is not over. */
static unsigned long reports;
module_param(reports, ulong, 0444);
MODULE_PARM_DESC(reports, "calls that were made");
static unsigned long pages;
module_param(pages, ulong, 0444);
MODULE_PARM_DESC(pages, "pages in them");
static unsigned long refused;
module_param(refused, ulong, 0444);
MODULE_PARM_DESC(refused, "ranges that the host refused");

static u64 *batch_page;

/* The answer is how many ranges were refused, or an error. */
static int call(phys_addr_t gpa, unsigned long count, u32 word)
{
	long answer = kvm_hypercall3(CALL_NUMBER, gpa, count, word);

	reports++;
	if (answer < 0)
		return -EIO;
	refused += answer;
	return 0;
}

static int report_each(struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	unsigned int i;
	int err;

	for_each_sg(sgl, sg, nents, i) {
		err = call(page_to_phys(sg_page(sg)), sg->length >> PAGE_SHIFT, WORD_RANGE);
		if (err)
			return err;
		pages += sg->length >> PAGE_SHIFT;
	}
	return 0;
}

static int report_batch(struct scatterlist *sgl, unsigned int nents)
{
	unsigned long told = 0;
	struct scatterlist *sg;
	unsigned int i;
	int err;

	for_each_sg(sgl, sg, nents, i) {
		unsigned long count = sg->length >> PAGE_SHIFT;

		batch_page[1 + i] = (u64)page_to_pfn(sg_page(sg)) << PAGES_BITS | count;
		told += count;
	}
	err = call(virt_to_phys(batch_page), 1, WORD_BATCH(nents));
	if (!err)
		pages += told;
	return err;
}

static int report(struct page_reporting_dev_info *dev, struct scatterlist *sgl, unsigned int nents)
{
	return batch ? report_batch(sgl, nents) : report_each(sgl, nents);
}

static struct page_reporting_dev_info device = { .report = report };

static int __init pagehint_report_init(void)
{
	int err;

	BUILD_BUG_ON(PAGE_REPORTING_CAPACITY > BATCH_CAPACITY);
	if (!kvm_para_available())
		return -ENODEV;
	if (batch) {
		batch_page = (u64 *)get_zeroed_page(GFP_KERNEL);
		if (!batch_page)
			return -ENOMEM;
	}
	err = page_reporting_register(&device);
	if (err)
		free_page((unsigned long)batch_page);
	return err;
}

static void __exit pagehint_report_exit(void)
{
	/* Waits for a report that is being made. */
	page_reporting_unregister(&device);
	free_page((unsigned long)batch_page);
}

module_init(pagehint_report_init);
module_exit(pagehint_report_exit);
MODULE_DESCRIPTION("Free page reporting by hypercall, for pagehint");
MODULE_LICENSE("GPL");
