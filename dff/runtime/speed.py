"""Measure which engine computes a model fastest here; the command `dff speed`."""
import argparse
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from dff.errors import ConfigError, SetupError
from dff.frames import Frame, InputFormat, made_up_clip, prepare
from dff.live.live import to_stderr
from dff.networks import Outputs, TwoSided
from dff.runtime.backend import Backend
from dff.runtime.backends import Options, candidates, open_backend
from dff.runtime.machine import cores, processor, version_of
from dff.runtime.onnx_networks import ENDINGS
from dff.runtime.speed_record import Figure, record

ROUNDS = 4           # through all engines; the first prepares and is not counted
CURRENT = 2          # frames beside the key frame in a round
PAUSE = 0.05         # seconds between two engines: threads of the one before wait actively for a while

Times = Dict[str, Dict[str, List[float]]]      # of an engine, of 'key' and 'current' frames: seconds


def measure(folder: str, precision: str = 'float32', threads: int = 0, size: Optional[Tuple[int, int]] = None,
            note: Callable[[str], None] = to_stderr) -> List[Figure]:
    """Return the Figures of all engines here that can compute the model in `folder`, the fastest first.

    Args:
        folder: of tools/export_model.py.
        precision, threads: as of dff.load.
        size: height and width of the frames; None: what the model was exported for, or 9:16.
        note: called with a line where an engine cannot be used.

    Raises CheckpointError, SetupError where none can, ConfigError for a size that the model does not take.
    """
    backends: Dict[str, Backend] = {}
    options = Options(threads=threads, precision=precision)
    names = candidates(folder, options)
    for name in names:
        try:
            backends[name] = open_backend(folder, name, options)
        except SetupError as error:
            if name == names[-1] and not backends:
                raise
            note('%s is left out: %s' % (name, error))
    first = next(iter(backends.values()))
    size = size or _own_size(backends) or usual_size(first.form)
    frames = _frames(backends, size)
    times: Times = {name: {'key': [], 'current': []} for name in backends}
    networks = {name: _as_in_a_clip(each, size) for name, each in backends.items()}
    for _ in range(ROUNDS):
        take_turns(networks, frames, times)
    interval = first.about.interval
    figures = []
    for name, own in times.items():
        key = 1e3 * float(np.median(own['key'][1:]))
        current = 1e3 * float(np.median(own['current'][CURRENT:])) if own['current'] else None
        mean = key if current is None else (key + (interval - 1) * current) / interval
        figures.append(Figure(processor(), cores(), threads, precision, name, version_of(name),
                              list(frames[0].tensor.shape[2:]), round(key, 3),
                              None if current is None else round(current, 3), round(mean, 3)))
    return sorted(figures, key=lambda figure: figure.frame)


def take_turns(networks: Dict[str, Any], frames: List[Frame], times: Times) -> None:
    """Run each of `networks` on a clip, and append the seconds of each frame to its `times`.

    networks: Networks by name; frames: of one clip, the first is the key frame, the others are for those that
    have networks for other frames.
    """
    for name, each in networks.items():
        time.sleep(PAUSE)
        state: Any = None
        for place, frame in enumerate(frames):
            start = time.perf_counter()
            if place == 0:
                state = each.key(frame)[1]
            else:
                each.current(frame, state)
            times[name]['current' if place else 'key'].append(time.perf_counter() - start)


def _as_in_a_clip(backend: Backend, size: Tuple[int, int]) -> Any:
    """The Networks of a Backend that do what most frames of a clip take; size: of its frames."""
    about = backend.about
    if about.aggregates:
        return _FullWindow(backend, size)
    return _BetweenTwo(backend.networks) if about.policy == 'both' and about.two_sided else backend.networks


class _BetweenTwo:
    """Networks whose other frames take the features of two key frames; networks: TwoSided."""

    def __init__(self, networks: TwoSided):
        self._networks, self.key = networks, networks.key

    def current(self, frame: Frame, state: Any) -> Outputs:
        """Run on a frame between two key frames of the state `state`."""
        return self._networks.between(frame, state, state, 0.5)


class _FullWindow:
    """A window of as many different frames as it takes; a further one is its key frame.

    Args:
        backend: whose networks aggregate.
        size: height and width of the frames.
    """

    def __init__(self, backend: Backend, size: Tuple[int, int]):
        self._places = 2 * backend.about.interval + 1
        self._window = backend.networks.window(backend.about.interval)
        self._next = 0
        for image in made_up_clip(size, self._places):
            self._put(prepare(image, backend.form))

    def _put(self, frame: Frame) -> int:
        place = self._next % self._places
        self._window.put(place, frame._replace())      # another one each time: the same would be computed once
        self._next += 1
        return place

    def key(self, frame: Frame) -> Tuple[Outputs, None]:
        """Put `frame` in, and join the window for it."""
        return self._window.join(self._put(frame)), None


def usual_size(form: InputFormat) -> Tuple[int, int]:
    """Return (height, width) of a frame of 9:16, or wider, as large as the InputFormat `form` allows."""
    short, long = form.scales
    return min(short, long * 9 // 16), long


def _own_size(backends: Dict[str, Backend]) -> Optional[Tuple[int, int]]:
    """The one size that a model was exported for, of which the ONNX files know."""
    sizes = [each.networks.input_size() for each in backends.values() if hasattr(each.networks, 'input_size')]
    return sizes[0] if sizes else None


def _frames(backends: Dict[str, Backend], size: Tuple[int, int]) -> List[Frame]:
    first = next(iter(backends.values()))
    images = made_up_clip(size, 1 + CURRENT * first.about.propagates)
    return [prepare(image, first.form) for image in images]


def add_parser(commands: Any) -> None:
    """Add the command `speed` to subparsers of argparse."""
    own = commands.add_parser(
        'speed', help='measure which engine computes a model fastest here, for dff.load',
        description='Measure how long each engine that is installed takes for a frame, and record it in the folder '
                    'of the model: dff.load and dff run take the fastest.')
    own.add_argument('model', metavar='MODEL', help='folder of tools/export_model.py')
    own.add_argument('--precision', choices=sorted(ENDINGS), default='float32',
                     help='of ONNX files that were exported so (default float32)')
    own.add_argument('--threads', type=int, default=0, metavar='N', help="of the engines (default: their own choice)")
    own.add_argument('--size', metavar='HxW', help='of the frames (default: the largest of 9:16 that the model takes)')
    own.set_defaults(function=run_speed)


def run_speed(args: argparse.Namespace) -> None:
    """Do what the parsed arguments `args` ask for. Raises DFFError."""
    figures = measure(args.model, args.precision, args.threads, frame_size(args.size))
    path = record(args.model, figures)
    for line in lines(figures):
        print(line)
    print('written: %s. On this machine dff.load and dff run take %s' % (path, figures[0].engine))


def lines(figures: List[Figure]) -> List[str]:
    """Return `figures` in words, a line each after one about all."""
    one = figures[0]
    head = '%s, %d cores, threads: %s; %s, %dx%d; medians, alternating, ms of the networks' % (
        one.processor, one.cores, one.threads or 'as each engine likes', one.precision, one.size[0], one.size[1])
    rows = ['%s: %s' % (each.version, '%.1f a frame' % each.key if each.current is None else
                        'key frame %.1f, other %.1f, mean %.1f' % (each.key, each.current, each.frame))
            for each in figures]
    return [head, *rows]


def frame_size(text: Optional[str]) -> Optional[Tuple[int, int]]:
    """Return (height, width) of a `text` as 562x1000; None for None. Raises ConfigError."""
    if text is None:
        return None
    height, _, width = text.partition('x')
    if not (height.isdigit() and width.isdigit() and 16 <= int(height) <= 8192 and 16 <= int(width) <= 8192):
        raise ConfigError('--size must be height and width of a frame, 16 to 8192, as 562x1000; found %s' % text)
    return int(height), int(width)
