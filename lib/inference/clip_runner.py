"""Many clips on several devices, and in several processes (TEST.WORKERS)."""
import logging
import os
import queue
import threading
import time
from typing import Any, NamedTuple

import cv2

from dff.errors import ConfigError
from lib.config.plugins import load_plugins
from lib.engine.devices import contexts
from lib.jobs import signs
from lib.jobs.pool import Pool
from lib.utils.memory import available_memory, peak_memory
from lib.utils.progress import progress_bar
from lib.utils.threads import physical_cores

AUTO = 'auto'           # of TEST.WORKERS
ROOM = 0.8              # share of the memory that there is, which `auto` may fill
ADVICE = ('The test ends here; the same command keeps the clips that are finished. Where the process was not ended on '
          'purpose, the memory may not suffice: set TEST.WORKERS lower')


class Source(NamedTuple):
    """Where each process of a test finds the parameters."""

    file: str        # its path
    prefix: str      # as of load_params
    epoch: Any


class _Setup(NamedTuple):
    """What a worker process needs, as TestRun and test_net have it; threads: its share of the cores."""

    run: Any
    results: Any
    pending: Any
    source: Source
    device: str
    threads: int

    def open(self):
        """Return work(clip, tick), as of run_on_devices."""
        cv2.setNumThreads(self.threads)
        device = contexts(self.device, lambda line: None)[0]
        params = self.run.load_params(self.source.prefix, self.source.epoch, logging.getLogger('dff').info)
        return self.run.make_work(device, params, self.source.file, self.pending, self.results)


class _Stopped(Exception):
    """Raised inside a clip under way to end it without a result."""


def run_on_devices(clips, devices, make_work):
    """Run all `clips`, objects with the attribute `length` (steps of the progress bar), on all `devices` at once.

    A thread for each device calls make_work(device) -> work(clip, tick), then work for one clip after the other; that
    calls tick() after each step. The first error of any thread, or Ctrl-C, stops all of them: tick() then raises, so
    that a clip under way ends there.
    """
    jobs = iter(_longest_first(clips))      # the threads share it
    messages, stop = queue.Queue(), threading.Event()

    def tick():
        if stop.is_set():
            raise _Stopped
        messages.put(1)

    def serve(device):
        """Puts 1 for every step, at the end None or the error."""
        outcome = None
        try:
            work = make_work(device)
            for clip in jobs:
                work(clip, tick)
        except Exception as error:    # whatever it is: the main thread raises it
            outcome = error
        messages.put(outcome)

    threads = [threading.Thread(target=serve, args=(device,), name=str(device)) for device in devices]
    with progress_bar(total=sum(clip.length for clip in clips), unit='frame', desc='testing') as bar:
        try:
            for thread in threads:
                thread.start()
            _watch(messages, len(threads), bar)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def run_here(clips, device, make_work):
    """Run all `clips` as run_on_devices does on one device, in the calling thread.

    For many runs in one process: MXNet keeps some MB of every thread that has used it.
    clips, make_work: as there; device: mx.Context.
    """
    work = make_work(device)
    with progress_bar(total=sum(clip.length for clip in clips), unit='frame', desc='testing') as bar:
        def tick():
            bar.update()
            signs.progress('a frame of the test')
        for clip in clips:
            work(clip, tick)


def check_workers(workers, devices):
    """Raise ConfigError where so many worker processes cannot share the devices.

    Args:
        workers: TEST.WORKERS.
        devices: [mx.Context].
    """
    if workers != AUTO and 1 < workers < len(devices):
        raise ConfigError('TEST.WORKERS is %d, and gpus names %d devices, of which each worker has one: set it to %d '
                          'or more, or to 1, with which one process serves them all'
                          % (workers, len(devices), len(devices)))


def run_clips(run, results, pending, devices, source, report):
    """Run the clips `pending` of a test: in this process, or in those that TEST.WORKERS asks for.

    Args:
        run: the TestRun.
        results: its RunFolder.
        pending: list of its jobs.
        devices: [mx.Context]; each worker process has one of them.
        source: a Source.
        report: called with lines for the log.

    Raises DFFError where a worker process is gone, and what the work raises.
    """
    workers, cores = run.config.TEST.WORKERS, _cores()
    if workers == AUTO:
        workers = _workers_by_itself(run, results, pending, devices, source, cores, report)
    workers, int8 = min(workers, len(pending)), run.config.TEST.PRECISION == 'int8'
    if workers > 1 and int8 and not os.access(os.path.dirname(source.file), os.W_OK):
        report('TEST.WORKERS: 1, as the workers would share the record of int8, and the folder of %s cannot be '
               'written to' % source.file)
        workers = 1
    if workers == 1:
        params = run.load_params(source.prefix, source.epoch, report)
        run_on_devices(pending, devices, lambda device: run.make_work(device, params, source.file, pending, results))
        return
    threads = max(1, cores // workers)
    report('%d workers, each on %d of %d threads' % (workers, threads, cores))
    setups = [_Setup(run, results, pending, source, _in_gpus(devices[number % len(devices)]), threads)
              for number in range(workers)]
    frames, began = sum(job.length for job in pending), time.monotonic()
    with _pool(run, threads) as pool, progress_bar(total=frames, unit='frame', desc='testing') as bar:
        def step():
            bar.update()
            signs.progress('a frame of the test')
        # The first writes the record that the others read.
        pool.run(_longest_first(pending), setups, step, first_alone=int8)
    seconds = time.monotonic() - began
    report('%d frames in %.1f s with the start of %d workers, %.1f frames/s; times of a frame are those of one worker '
           'while the others ran' % (frames, seconds, workers, frames / seconds))


def _workers_by_itself(run, results, pending, devices, source, cores, report):
    """The number for TEST.WORKERS: auto, which docs/distributed.md describes."""
    most = min(cores, len(pending))
    if devices[0].device_type != 'cpu' or len(devices) > 1 or most == 1:
        report('TEST.WORKERS auto: 1, as there is %s'
               % ('one thread or clip' if most == 1 else 'a list of devices, each with a thread in this process'))
        return 1
    room = available_memory()
    setup = _Setup(run, results, pending, source, 'cpu', cores)
    with _pool(run, cores) as pool:
        one = peak_memory(pool.try_out(_longest_first(pending)[0], setup, 2 * run.interval + 2))
    workers = max(1, min(most, int(ROOM * room / one)))
    report('TEST.WORKERS auto: %d, of %d threads and %d clips; one takes %d MB, and there are %d MB'
           % (workers, cores, len(pending), one >> 20, room >> 20))
    return workers


def _cores():
    """Threads that one process would use: OMP_NUM_THREADS, which may be a list, one for each level of nesting."""
    first = os.environ['OMP_NUM_THREADS'].split(',')[0].strip()      # lib/utils/mxnet_import.py or the user set it
    return int(first) if first.isdigit() and int(first) else physical_cores()


def _pool(run, threads):
    return Pool((load_plugins, (run.config.plugins, 'the settings')), threads, run.name_of, ADVICE)


def _in_gpus(device):
    """A device as the setting `gpus` names it."""
    return 'cpu' if device.device_type == 'cpu' else str(device.device_id)


def _longest_first(clips):
    """So that devices and processes end together."""
    return sorted(clips, key=lambda clip: -clip.length)


def _watch(messages, running, bar):
    """Move the bar until `running` threads have ended; raise the first error of theirs."""
    while running:
        message = messages.get()
        if isinstance(message, Exception):
            raise message
        if message is None:
            running -= 1
        else:
            bar.update(message)
            signs.progress('a frame of the test')
