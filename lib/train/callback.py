"""Reports of a training run while it goes on."""
import contextlib
import math
import sys
import time

from tqdm import tqdm

from lib.train.watch.estimate import TimeLeft, Trend


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
        reports: called with a dict for each log line (lib/train/watch/reports.py).
        extra: update -> more entries for these, such as the learning rate.

    The loss is the sum of the metrics whose names end in Loss; all values are means since the last log line.
    """

    def __init__(self, batches_per_epoch, batch_size, frequent, logger, end_epoch, stream=None,
                 waited=None, reports=(), extra=None):
        self.batches_per_epoch, self.batch_size, self.frequent = batches_per_epoch, batch_size, frequent
        self.logger, self.end_epoch = logger, end_epoch
        self.stream = stream or sys.stdout
        self._bar = None
        self._epoch = None
        self._line_time = self._shown_time = time.time()
        self._line_batch = 0
        self._waited, self._epoch_start = waited, (self._line_time, 0.0)
        self._reports, self._extra, self._line_waited = reports, extra, 0.0
        self._left, self._trend = TimeLeft(), Trend(batches_per_epoch * end_epoch)
        # (time, batch of the run) up to which `_left` knows: not the first, which binds networks
        self._timed = None
        self._paused = 0.0      # seconds since the last line

    def __call__(self, param):
        """param: mx.model.BatchEndParam."""
        now = time.time()
        done = param.nbatch + 1
        if param.epoch != self._epoch:
            self._start_epoch(param.epoch, param.nbatch)
        if self._timed is None:
            self._timed, self._paused = (now, param.epoch * self.batches_per_epoch + done), 0.0
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

    @contextlib.contextmanager
    def pause(self):
        """While the body runs there is no bar, and its time is none of training."""
        started = time.time()
        if self._bar is not None:
            self._bar.clear()
        yield
        seconds = time.time() - started
        self._paused += seconds
        self._line_time += seconds

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
        seconds = max(now - self._line_time, 1e-9)
        update = param.epoch * self.batches_per_epoch + done
        rest = self.batches_per_epoch * self.end_epoch - update
        left = self._time_left(now, update, rest)
        left = rest * seconds / batches if left is None else left
        trend = self._trend.add(update, batches, _loss(values))
        line = 'epoch %d batch %d/%d  loss %.4f%s  %.2f images/s  %s left  %s' % (
            param.epoch + 1,
            done,
            self.batches_per_epoch,
            _loss(values),
            _in_words(*trend),
            batches * self.batch_size / seconds,
            _duration(left),
            '  '.join(
                '%s %s' % (name, 'none' if math.isnan(value) else '%.4f' % value)
                for name, value in values
            ),
        )
        self._write(line)
        param.eval_metric.reset_local()
        if self._reports:
            self._report(param.epoch + 1, done, values, trend, batches, seconds, left)
        self._line_time, self._line_batch = now, done

    def _time_left(self, now, update, rest):
        """Seconds that `rest` batches will take behind batch `update`; None: not known yet."""
        before, first = self._timed
        self._left.add(update - first, now - before - self._paused, self._paused)
        self._timed, self._paused = (now, update), 0.0
        return self._left.seconds(rest)

    def _report(self, epoch, done, values, trend, batches, seconds, left):
        """Hand out the figures of a log line."""
        update = (epoch - 1) * self.batches_per_epoch + done
        report = {'kind': 'train', 'epoch': epoch, 'batch': done, 'batches': self.batches_per_epoch,
                  'update': update, 'loss': _loss(values), 'smoothed_loss': trend[0],
                  'metrics': dict(values), 'seconds_left': left,
                  'images_per_second': batches * self.batch_size / seconds}
        if self._waited:
            waited = self._waited()
            report['waiting'], self._line_waited = (waited - self._line_waited) / seconds, waited
        report.update(self._extra(update) if self._extra else {})
        for write in self._reports:
            write(report)

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


def _in_words(smoothed, change, batches):
    """The smoothed loss and its change, for the line; nothing while there is no change to tell."""
    if change is None:
        return ''
    return ' (smoothed %.4f, %+.4f in %d batches)' % (smoothed, change, batches)


def _duration(seconds):
    """H:MM:SS"""
    seconds = int(seconds + 0.5)
    return '%d:%02d:%02d' % (seconds // 3600, seconds // 60 % 60, seconds % 60)
