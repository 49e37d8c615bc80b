// SPDX-License-Identifier: GPL-2.0
/*
 * vhost-pagehint: the reporting queue of a virtio balloon, served by a worker of vhost's in the host's kernel.
 *
 * /dev/vhost-pagehint takes vhost's own ioctls (linux/vhost.h: owner, features, memory table, one split ring, eventfds)
 * and two of its own. The ring, its memory table and its eventfds are vhost's core's; here are only the ranges: each
 * buffer of a chain is checked and zapped in the owner's address space, then the chain is given back, nothing written.
 *
 * What may not be zapped is refused: zap.h. So is a buffer that is not whole pages, or that the device could not write.
 * A chain that the core does not take (a buffer outside the memory table, a loop) is refused as a whole and given back;
 * a ring that makes no sense (an index that jumped, a head beyond the table) is served no more until it is started again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vhost.h>
#include <linux/vhost_iotlb.h>

/* Of the kernel's own source, drivers/vhost: no package of headers has it. */
#include "vhost.h"
#include "zap.h"

/* Starts (1) or stops (0) serving. Once it is stopped nothing is zapped any more. */
#define PAGEHINT_RUN		_IOW(VHOST_VIRTIO, 0xa0, int)
/* Why it is served no more, as an errno; 0 if nothing is wrong. */
#define PAGEHINT_BROKEN		_IOR(VHOST_VIRTIO, 0xa1, int)

/* Chains after which others that wait for the worker have their turn: as vhost-net has it. */
#define PAGEHINT_WEIGHT		256
#define PAGEHINT_FEATURES	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
				 BIT_ULL(VIRTIO_RING_F_EVENT_IDX))

struct pagehint {
	struct vhost_dev dev;
	struct vhost_virtqueue vq;
	struct vhost_virtqueue *vqs[1];
	/* Why the queue is served no more. Its mutex guards it. */
	int broken;
};

/* The guest's address of what the owner has there; all of it is in one region, of which the core has made it. */
static bool to_guest(struct vhost_virtqueue *vq, unsigned long address, u64 *gpa)
{
	const struct vhost_iotlb_map *map;

	list_for_each_entry(map, &vq->umem->list, link) {
		if (address - map->addr < map->size) {
			*gpa = map->start + (address - map->addr);
			return true;
		}
	}
	return false;
}

/* Zaps a buffer. The mmap lock is held. */
static void serve_buffer(struct vhost_virtqueue *vq, const struct iovec *buffer, struct tally *tally)
{
	unsigned long address = (unsigned long)buffer->iov_base;
	u64 gpa = 0;
	bool zapped = to_guest(vq, address, &gpa) && PAGE_ALIGNED(gpa) && zap_range(address, buffer->iov_len);

	tell_range(tally, zapped, gpa >> PAGE_SHIFT, buffer->iov_len >> PAGE_SHIFT);
}

/* Zaps the buffers of a chain: the first are those that the device may only read, which name nothing. */
static void serve_chain(struct vhost_virtqueue *vq, unsigned int out, unsigned int in, struct tally *tally)
{
	unsigned int done, some, i;

	tally->refused += out;
	for (done = 0; done < in; done += some) {
		some = min_t(unsigned int, in - done, ZAP_CHUNK);
		mmap_read_lock(current->mm);
		for (i = 0; i < some; i++)
			serve_buffer(vq, &vq->iov[out + done + i], tally);
		mmap_read_unlock(current->mm);
		cond_resched();
	}
}

/* The head of the chain that the core refused, if there is one: the core has not gone past it. */
static int refused_head(struct vhost_virtqueue *vq)
{
	__virtio16 head;

	if ((u16)(vq->avail_idx - vq->last_avail_idx) > vq->num || vq->avail_idx == vq->last_avail_idx)
		return -EINVAL;
	if (get_user(head, &vq->avail->ring[vq->last_avail_idx & (vq->num - 1)]))
		return -EFAULT;
	if (vhost16_to_cpu(vq, head) >= vq->num)
		return -EINVAL;
	vq->last_avail_idx++;
	return vhost16_to_cpu(vq, head);
}

/* Serves the next chain: its head, num of the queue if there is none, or what is wrong with the ring. */
static int serve_next(struct vhost_virtqueue *vq)
{
	struct tally tally = {};
	unsigned int out, in;
	bool taken;
	int head;

	/* The core leaves there which table it has read, if it has read one. */
	vq->indirect[0].iov_base = NULL;
	head = vhost_get_vq_desc(vq, vq->iov, ARRAY_SIZE(vq->iov), &out, &in, NULL, NULL);
	if (head == vq->num)
		return head;
	taken = head >= 0;
	if (!taken) {
		head = refused_head(vq);
		if (head < 0)
			return head;
	} else if (vq->indirect[0].iov_base && !vhost_has_feature(vq, VIRTIO_RING_F_INDIRECT_DESC)) {
		taken = false;
	} else {
		serve_chain(vq, out, in, &tally);
	}
	tell_call(&tally, !taken);
	return head;
}

/* Runs in the worker, whose address space is the owner's. */
static void handle_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue, poll.work);
	struct pagehint *pagehint = container_of(vq, struct pagehint, vq);
	struct vhost_dev *dev = &pagehint->dev;
	int chains = 0, head;

	mutex_lock(&vq->mutex);
	if (!vhost_vq_get_backend(vq))
		goto out;
	vhost_disable_notify(dev, vq);
	for (;;) {
		head = serve_next(vq);
		if (head == vq->num) {
			if (likely(!vhost_enable_notify(dev, vq)))
				break;
			vhost_disable_notify(dev, vq);
			continue;
		}
		if (head < 0) {
			pagehint->broken = -head;
			vhost_vq_set_backend(vq, NULL);
			vq_err(vq, "The ring is broken: %d\n", head);
			break;
		}
		vhost_add_used_and_signal(dev, vq, head, 0);
		if (vhost_exceeds_weight(vq, ++chains, 0))
			break;
	}
out:
	mutex_unlock(&vq->mutex);
}

static int pagehint_open(struct inode *inode, struct file *file)
{
	struct pagehint *pagehint = kvzalloc(sizeof(*pagehint), GFP_KERNEL);

	if (!pagehint)
		return -ENOMEM;
	pagehint->vqs[0] = &pagehint->vq;
	pagehint->vq.handle_kick = handle_kick;
	vhost_dev_init(&pagehint->dev, pagehint->vqs, 1, UIO_MAXIOV, PAGEHINT_WEIGHT, 0, true, NULL);
	file->private_data = pagehint;
	return 0;
}

/* Waits for the chain in hand: no page is zapped when it returns. */
static void stop(struct pagehint *pagehint)
{
	mutex_lock(&pagehint->vq.mutex);
	vhost_vq_set_backend(&pagehint->vq, NULL);
	pagehint->broken = 0;
	mutex_unlock(&pagehint->vq.mutex);
	vhost_dev_flush(&pagehint->dev);
}

static int pagehint_release(struct inode *inode, struct file *file)
{
	struct pagehint *pagehint = file->private_data;

	stop(pagehint);
	vhost_dev_stop(&pagehint->dev);
	vhost_dev_cleanup(&pagehint->dev);
	kvfree(pagehint);
	return 0;
}

/* The device's mutex is held. */
static long start(struct pagehint *pagehint)
{
	struct vhost_virtqueue *vq = &pagehint->vq;
	long error = -EFAULT;

	mutex_lock(&vq->mutex);
	if (vq->umem && vhost_vq_is_setup(vq) && vhost_vq_access_ok(vq)) {
		pagehint->broken = 0;
		vhost_vq_set_backend(vq, pagehint);
		error = vhost_vq_init_access(vq);
		if (error)
			vhost_vq_set_backend(vq, NULL);
	}
	mutex_unlock(&vq->mutex);
	/* What was made available before was kicked for in vain. */
	if (!error)
		vhost_poll_queue(&vq->poll);
	return error;
}

static long run(struct pagehint *pagehint, int __user *argument)
{
	long error;
	int wanted;

	if (get_user(wanted, argument))
		return -EFAULT;
	if (wanted != 0 && wanted != 1)
		return -EINVAL;
	mutex_lock(&pagehint->dev.mutex);
	error = vhost_dev_check_owner(&pagehint->dev);
	if (!error && wanted)
		error = start(pagehint);
	else if (!error)
		stop(pagehint);
	mutex_unlock(&pagehint->dev.mutex);
	return error;
}

static long broken(struct pagehint *pagehint, int __user *argument)
{
	int error;

	mutex_lock(&pagehint->vq.mutex);
	error = pagehint->broken;
	mutex_unlock(&pagehint->vq.mutex);
	return put_user(error, argument);
}

static long set_features(struct pagehint *pagehint, const u64 __user *argument)
{
	struct vhost_virtqueue *vq = &pagehint->vq;
	long error = 0;
	u64 features;

	if (copy_from_user(&features, argument, sizeof(features)))
		return -EFAULT;
	if (features & ~PAGEHINT_FEATURES)
		return -EOPNOTSUPP;
	mutex_lock(&vq->mutex);
	if (vhost_vq_get_backend(vq))
		error = -EBUSY;
	else
		vq->acked_features = features;
	mutex_unlock(&vq->mutex);
	return error;
}

static long pagehint_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
	struct pagehint *pagehint = file->private_data;
	void __user *at = (void __user *)argument;
	u64 features = PAGEHINT_FEATURES;
	long error;

	switch (request) {
	case PAGEHINT_RUN:
		return run(pagehint, at);
	case PAGEHINT_BROKEN:
		return broken(pagehint, at);
	case VHOST_GET_FEATURES:
		return copy_to_user(at, &features, sizeof(features)) ? -EFAULT : 0;
	case VHOST_SET_FEATURES:
		return set_features(pagehint, at);
	case VHOST_SET_LOG_BASE:
	case VHOST_SET_LOG_FD:
		/* Nothing is written into the guest's memory but the ring, and the feature is not offered. */
		return -EOPNOTSUPP;
	}
	mutex_lock(&pagehint->dev.mutex);
	error = vhost_dev_ioctl(&pagehint->dev, request, at);
	if (error == -ENOIOCTLCMD)
		error = vhost_vring_ioctl(&pagehint->dev, request, at);
	mutex_unlock(&pagehint->dev.mutex);
	return error;
}

static const struct file_operations pagehint_fops = {
	/* An open device keeps the module. */
	.owner = THIS_MODULE,
	.open = pagehint_open,
	.release = pagehint_release,
	.unlocked_ioctl = pagehint_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice pagehint_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-pagehint",
	.fops = &pagehint_fops,
};

module_misc_device(pagehint_device);
MODULE_DESCRIPTION("Guests' reports of free pages, served by a vhost worker");
MODULE_LICENSE("GPL");
