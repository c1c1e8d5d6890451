"""Reports of a training run while it goes on."""
import math
import sys
import time

from tqdm import tqdm


class Progress:
    """A batch_end_callback for `fit`: a progress bar on a terminal and a log line every `frequent` batches.

    Args:
        batches_per_epoch: batches in an epoch.
        batch_size: images in a batch, over all devices.
        frequent: batches between log lines.
        logger: gets the lines.
        end_epoch: epochs in the whole run, for the time left.
        stream: where the bar goes; where it is no terminal there is none.
        waited: returns the seconds that the loop has waited for data so far, for a line at the end of each epoch.

    The loss is the sum of the metrics whose names end in Loss; all values are means since the last log line.
    """

    def __init__(self, batches_per_epoch, batch_size, frequent, logger, end_epoch, stream=None, waited=None):
        self.batches_per_epoch, self.batch_size, self.frequent = batches_per_epoch, batch_size, frequent
        self.logger, self.end_epoch = logger, end_epoch
        self.stream = stream or sys.stdout
        self._bar = None
        self._epoch = None
        self._line_time = self._shown_time = time.time()
        self._line_batch = 0
        self._waited, self._epoch_start = waited, (self._line_time, 0.0)

    def __call__(self, param):
        """param: mx.model.BatchEndParam."""
        now = time.time()
        done = param.nbatch + 1
        if param.epoch != self._epoch:
            self._start_epoch(param.epoch, param.nbatch)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            # Reading a metric waits for the device: once a second is enough for the eye.
            if now - self._shown_time > 1:
                self._bar.set_postfix_str('loss %.4f' % _loss(param.eval_metric.get_name_value()), refresh=False)
                self._shown_time = now
        last = done == self.batches_per_epoch
        if done % self.frequent == 0 or last:
            self._log(param, done)
        if last:
            self._report_waiting(param.epoch)
            self.close()

    def close(self):
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _start_epoch(self, epoch, first):
        self.close()
        self._epoch, self._line_batch = epoch, first
        if self.stream.isatty():
            self._bar = tqdm(total=self.batches_per_epoch, desc='epoch %d' % (epoch + 1),
                             unit=' batch', file=self.stream, dynamic_ncols=True, leave=False)

    def _log(self, param, done):
        values = param.eval_metric.get_name_value()
        now = time.time()
        batches = done - self._line_batch
        speed = batches * self.batch_size / max(now - self._line_time, 1e-9)
        left = (self.batches_per_epoch * (self.end_epoch - param.epoch) - done) * self.batch_size / speed
        line = 'epoch %d batch %d/%d  loss %.4f  %.2f images/s  %s left  %s' % (
            param.epoch + 1,
            done,
            self.batches_per_epoch,
            _loss(values),
            speed,
            _duration(left),
            '  '.join(
                '%s %s' % (name, 'none' if math.isnan(value) else '%.4f' % value)
                for name, value in values
            ),
        )
        self._write(line)
        param.eval_metric.reset_local()
        self._line_time, self._line_batch = now, done

    def _report_waiting(self, epoch):
        """One line: the epoch's time and the share of it in which the loop waited for data, an
        upper bound for the device's wait.
        """
        now, waited = time.time(), self._waited() if self._waited else 0.0
        if self._waited:
            seconds = max(now - self._epoch_start[0], 1e-9)
            self._write('epoch %d took %s, at most %.1f %% of it waiting for data' % (
                epoch + 1, _duration(seconds), 100 * (waited - self._epoch_start[1]) / seconds))
        self._epoch_start = now, waited

    def _write(self, line):
        if self._bar is not None:
            self._bar.clear()
        self.logger.info(line)
        if self._bar is not None:
            self._bar.refresh()


def _loss(values):
    """The sum of the losses; one that nothing was counted for, as of a batch of ignored labels
    only, adds nothing."""
    return sum(value for name, value in values if name.endswith('Loss') and not math.isnan(value))


def _duration(seconds):
    """H:MM:SS"""
    seconds = int(seconds + 0.5)
    return '%d:%02d:%02d' % (seconds // 3600, seconds // 60 % 60, seconds % 60)
