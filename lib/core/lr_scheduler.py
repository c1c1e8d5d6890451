"""The learning rate over a training run."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

# Deep Feature Flow, section 4: SGD with learning rate 0.001 for the sum of the gradients of all devices.
PAPER_RATE = 0.001


class WarmupMultiFactorScheduler(mx.lr_scheduler.LRScheduler):
    """`warmup_lr` for the first `warmup_step` updates, then the base rate, times `factor` after each of `steps`.

    It depends on the number of the update alone, so a resumed run needs nothing but that number. `steps` and
    `warmup_step` count updates (batches); the base rate is the optimizer's `learning_rate`.
    """

    def __init__(self, steps, factor=0.1, warmup=False, warmup_lr=0.0, warmup_step=0):
        super().__init__()
        self.steps, self.factor = sorted(steps), factor
        self.warmup, self.warmup_lr, self.warmup_step = warmup, warmup_lr, warmup_step

    def __call__(self, num_update):
        """The rate of update `num_update`, counted from 1."""
        if self.warmup and num_update < self.warmup_step:
            return self.warmup_lr
        return self.base_lr * self.factor ** sum(num_update > step for step in self.steps)


def effective_lr_report(lr, num_devices, batch_images=1):
    """What `lr` amounts to on so many devices, against the paper's rule, as one line for the log.

    The gradients of the devices are summed, not averaged (rescale_grad is 1): the effective rate is lr times devices.
    """
    effective = lr * num_devices
    line = 'effective learning rate %g = TRAIN.lr %g x %d device%s (gradients are summed), %d image%s an update' % (
        effective, lr, num_devices, '' if num_devices == 1 else 's', num_devices * batch_images,
        '' if num_devices * batch_images == 1 else 's')
    if abs(effective - PAPER_RATE) < 1e-3 * PAPER_RATE:
        return line + ": the paper's rule for ImageNet VID, lr = %g / devices" % PAPER_RATE
    return line + ("; the paper's rule for ImageNet VID, lr = %g / devices, would be TRAIN.lr %g: yours is %.3g times as "
                   'high' % (PAPER_RATE, PAPER_RATE / num_devices, effective / PAPER_RATE))
