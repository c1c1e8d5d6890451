"""The learning rate over a training run."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

# What to compare the learning rate for the sum of the gradients of all devices with: (whose it is, rate).
# Deep Feature Flow, section 4; of Cityscapes the original's settings, 0.0005 on each of 4 devices.
PAPER_RATE = ("the paper's rule for ImageNet VID", 0.001)
CITYSCAPES_RATE = ("the original's rule for Cityscapes", 0.002)


class WarmupMultiFactorScheduler(mx.lr_scheduler.LRScheduler):
    """Lower the base rate at each of `steps`, behind a warm-up at a rate of its own.

    It depends on the number of the update alone, so a resumed run needs nothing but that number.
    The base rate is the optimizer's `learning_rate`.

    Args:
        steps: numbers of updates (batches) behind which the rate is lowered.
        factor: by which it is multiplied.
        warmup: whether there is a warm-up.
        warmup_lr: the rate in it.
        warmup_step: updates that it takes.
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


def effective_lr_report(lr, num_devices, batch_images=1, rule=PAPER_RATE):
    """Return a line for the log: what a learning rate amounts to, against a rule.

    The gradients of the devices are summed, not averaged (rescale_grad is 1): the effective rate
    is lr times devices.

    Args:
        lr: TRAIN.lr.
        num_devices: of all processes.
        batch_images: images of one device in an update.
        rule: (whose it is, rate), what to compare with.
    """
    effective = lr * num_devices
    line = 'effective learning rate %g = TRAIN.lr %g x %d device%s (gradients are summed), %d image%s an update' % (
        effective, lr, num_devices, '' if num_devices == 1 else 's', num_devices * batch_images,
        '' if num_devices * batch_images == 1 else 's')
    name, rate = rule
    if abs(effective - rate) < 1e-3 * rate:
        return line + ': %s, lr = %g / devices' % rule
    return line + '; %s, lr = %g / devices, would be TRAIN.lr %g: yours is %.3g times as high' % (
        name, rate, rate / num_devices, effective / rate)
