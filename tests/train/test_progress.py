"""Learning-rate schedule and progress reports."""
import io
import logging
from types import SimpleNamespace

import pytest

from lib.train.callback import Progress
from lib.train.lr_scheduler import WarmupMultiFactorScheduler, effective_lr_report


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Metric:
    """Stands for the composite metric: values and how often they were reset."""

    def __init__(self):
        self.resets = 0

    def get_name_value(self):
        return [('RPNAcc', 0.5), ('RPNLogLoss', 0.25), ('RPNL1Loss', 0.5)]

    def reset_local(self):
        self.resets += 1


def run_epochs(stream, batches=5, frequent=2, epochs=2, waited=None):
    lines = []
    logger = logging.Logger('test')
    logger.addHandler(logging.Handler())
    logger.handlers[0].emit = lambda record: lines.append(record.getMessage())
    metric = Metric()
    progress = Progress(batches, 4, frequent, logger, epochs, stream, waited)
    for epoch in range(epochs):
        for nbatch in range(batches):
            progress(SimpleNamespace(epoch=epoch, nbatch=nbatch, eval_metric=metric, locals={}))
    return lines, metric


def test_lines_without_a_terminal():
    stream = io.StringIO()
    lines, metric = run_epochs(stream)
    assert stream.getvalue() == ''
    assert [line.split('  ')[0] for line in lines] == [
        'epoch %d batch %d/5' % (epoch, batch) for epoch in (1, 2) for batch in (2, 4, 5)]
    assert metric.resets == 6
    for part in ('loss 0.7500', 'images/s', 'left', 'RPNAcc 0.5000'):
        assert part in lines[0]
    assert '0:00:00 left' in lines[-1]


def test_share_of_the_time_spent_waiting_for_data():
    waited = iter([0.0, 1e9])
    lines, _ = run_epochs(io.StringIO(), waited=lambda: next(waited))
    assert len(lines) == 8 and lines[3] == 'epoch 1 took 0:00:00, at most 0.0 % of it waiting for data'
    assert lines[7].startswith('epoch 2 took 0:00:00, at most ') and ' 0.0 %' not in lines[7]


def test_bar_on_a_terminal():
    stream = Terminal()
    lines, _ = run_epochs(stream)
    assert len(lines) == 6
    assert 'epoch 1' in stream.getvalue() and 'epoch 2' in stream.getvalue()


def test_rate_falls_after_each_step():
    schedule = WarmupMultiFactorScheduler([10, 20], 0.1)
    schedule.base_lr = 1.0
    assert [schedule(update) for update in (1, 10, 11, 20, 21)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert schedule(1) == 1     # no state: the same after a resume, in any order


def test_warm_up():
    schedule = WarmupMultiFactorScheduler([10], 0.1, warmup=True, warmup_lr=0.05, warmup_step=4)
    schedule.base_lr = 1.0
    assert [schedule(update) for update in (1, 3, 4, 11)] == pytest.approx([0.05, 0.05, 1, 0.1])


def test_report_agrees_with_the_papers_rule_or_says_by_how_much_not():
    report = effective_lr_report(0.00025, 4)
    assert report.startswith('effective learning rate 0.001 = TRAIN.lr 0.00025 x 4 devices')
    assert "the paper's rule" in report and 'would be' not in report
    assert 'would be TRAIN.lr 0.001: yours is 0.25 times as high' in effective_lr_report(0.00025, 1)
    assert '8 images an update' in effective_lr_report(0.00025, 4, 2)


def test_reports_hold_what_the_lines_say_and_pauses_are_no_training(monkeypatch):
    clock, waited = [100.0], [0.0]
    monkeypatch.setattr('lib.train.callback.time', SimpleNamespace(time=lambda: clock[0]))
    lines, reports = [], []
    logger = SimpleNamespace(info=lines.append)
    progress = Progress(10, 4, 5, logger, 4, io.StringIO(), lambda: waited[0], [reports.append],
                        lambda update: {'rate': update / 1000})
    for epoch in range(4):
        for nbatch in range(10):
            clock[0] += 9.0 if (epoch, nbatch) == (0, 0) else 1.0      # the first binds the network
            waited[0] += 0.25
            progress(SimpleNamespace(epoch=epoch, nbatch=nbatch, eval_metric=Metric(), locals={}))
            if nbatch == 6:
                with progress.pause():
                    clock[0] += 20.0
    first, second = reports[:2]
    assert (first['kind'], first['epoch'], first['batch'], first['batches'], first['update']) == ('train', 1, 5, 10, 5)
    assert first['loss'] == first['smoothed_loss'] == 0.75 and first['metrics']['RPNAcc'] == 0.5
    assert first['images_per_second'] == pytest.approx(20 / 13) and first['waiting'] == pytest.approx(1.25 / 13)
    assert first['seconds_left'] == pytest.approx(35) and first['rate'] == 0.005      # without the first batch
    # A pause of 20 s every 10 batches: no part of the speed, but of the time left.
    assert second['images_per_second'] == pytest.approx(4)
    assert second['seconds_left'] == pytest.approx(30 + 30 * 20 / 9)
    assert [report['update'] for report in reports] == list(range(5, 41, 5)) and reports[-1]['seconds_left'] == 0
    assert 'loss 0.7500  ' in lines[0]
    assert 'loss 0.7500 (smoothed 0.7500, +0.0000 in 5 batches)  ' in [line for line in lines if 'batch' in line][-1]
