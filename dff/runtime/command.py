"""The command `dff`: run a model on whatever gives frames."""
import argparse
import contextlib
import glob
import itertools
import os
import signal
import sys
from typing import Any, Iterator, List, Optional

import dff
from dff.errors import ConfigError, DataError, DFFError
from dff.files import IMAGE_SUFFIXES
from dff.live.live import to_stderr
from dff.live.open import Clip, open_clip
from dff.runtime.onnx_networks import ENDINGS
from dff.runtime import speed
from dff.runtime.backends import OPENERS, PROVIDERS
from dff.runtime.model import TRACKS_OR_SEQ_NMS, checked_thresh
from dff.runtime.outputs import Write, writing
from dff.runtime.window import Window, why_no_window
from dff.schedule import POLICIES
from dff.sources import DEFAULT_FPS
from dff.timing import Timing
from dff.writers import CODECS, browser_note, chosen_fps


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog='dff', description='Deep Feature Flow on video.')
    top.add_argument('--version', action='version', version=dff.__version__)
    commands = top.add_subparsers(dest='command', metavar='run, speed')
    speed.add_parser(commands)
    run = commands.add_parser(
        'run', help='run a model on a video, images, a camera or a stream',
        description='Run a model on a video, images, a camera or a stream.')
    run.add_argument('model', metavar='MODEL',
                     help='folder of tools/export_model.py, or prefix of a checkpoint with --cfg')
    run.add_argument('--input', required=True, metavar='SOURCE',
                     help="video, folder, image, glob, number of a camera, rtsp:// or http:// address, GStreamer "
                          "pipeline, - for JPEG images on standard input, --input=-:640x480 for raw BGR frames there")
    run.add_argument('--output', metavar='OUT', help='folder for pictures, or a video: %s' % ', '.join(CODECS))
    run.add_argument('--fps', type=float, metavar='N',
                     help='frames a second of the video written (default: those of a video file, else 25)')
    run.add_argument('--json', metavar='FILE', help='results, a frame a line')
    run.add_argument('--mot', metavar='FILE', help='detections as MOT Challenge text')
    run.add_argument('--csv', metavar='FILE', help='results as a table')
    run.add_argument('--show', action='store_true', help='open a window; q closes it')
    run.add_argument('--interval', type=int, metavar='N',
                     help='frames from one key frame to the next; of FGFA the frames to each side that are joined')
    run.add_argument('--policy', choices=POLICIES, help='which frames are key frames')
    run.add_argument('--thresh', type=float, default=0.5, metavar='S', help='lowest score shown (default 0.5)')
    ids = run.add_mutually_exclusive_group()
    ids.add_argument('--track', dest='track', action='store_true', default=None,
                     help='an id for every detection, in all outputs; the default without --seq-nms')
    ids.add_argument('--no-track', dest='track', action='store_false', help='no ids')
    run.add_argument('--seq-nms', action='store_true',
                     help="boxes of a clip that follow each other share a score (Seq-NMS); results come after its "
                          "end, without ids")
    run.add_argument('--live', dest='live', action='store_true', default=None,
                     help='always the newest frame; the default for cameras and streams')
    run.add_argument('--every-frame', dest='live', action='store_false', help='leave no frame of a camera out')
    run.add_argument('--frames', type=int, metavar='N', help='stop after N frames')
    run.add_argument('--cfg', metavar='FILE.yaml', help='settings of a checkpoint (MXNet)')
    run.add_argument('--epoch', type=int, default=0, metavar='N', help='number in the name of a checkpoint')
    run.add_argument('--backend', choices=sorted(OPENERS),
                     help='engine (default: the fastest here, as `dff speed` measured it)')
    run.add_argument('--provider', action='append', metavar='NAME',
                     help='of onnxruntime: %s; may be repeated, the first available is used' % ', '.join(PROVIDERS))
    run.add_argument('--precision', choices=sorted(ENDINGS), default='float32',
                     help='of ONNX files that were exported so (default float32)')
    run.add_argument('--threads', type=int, default=0, metavar='N', help='of the engine (default: its own choice)')
    run.set_defaults(function=run_model)
    return top


def run_model(args: argparse.Namespace) -> None:
    """Do what the parsed arguments `args` ask for. Raises DFFError."""
    if not (args.output or args.json or args.mot or args.csv or args.show):
        raise ConfigError('nothing to do with the results: name --output, --json, --mot, --csv or --show')
    if args.frames is not None and args.frames < 1:
        raise ConfigError('--frames must be 1 or more, found %d' % args.frames)
    chosen_fps(args.fps, DEFAULT_FPS, args.output)      # what is wrong is said before a model is loaded
    if args.frames is not None and args.seq_nms:
        raise ConfigError("--frames stops before the clip's end, for which --seq-nms waits: leave one of them out")
    if args.track and args.seq_nms:
        raise ConfigError('--track: %s' % TRACKS_OR_SEQ_NMS)
    _refuse_overwriting(args)
    missing = why_no_window() if args.show else None
    if missing:
        to_stderr('--show has no effect: %s' % missing)
    window = Window('dff') if args.show and not missing else None
    model = dff.load(args.model, args.cfg, args.epoch, args.backend, args.provider, args.threads,
                     args.precision)
    if args.mot and model.recognises != 'detection':
        raise ConfigError('--mot is for detections; this model finds classes of pixels: use --csv or --json')
    if args.track and model.recognises != 'detection':
        raise ConfigError('--track is for detections; this model finds classes of pixels: leave it out')
    checked_thresh(args.thresh)
    schedule = model.schedule(args.interval, args.policy)
    clip = open_clip(args.input, args.live, to_stderr)
    with contextlib.closing(model.run(clip, schedule, args.thresh, args.track, args.seq_nms)) as results:  # type: ignore
        to_stderr('%s, computed by %s' % (model.recognises, model.engine))
        fps = chosen_fps(args.fps, clip.fps, args.output)
        with writing(model.recognises, model.classes, fps, args.output, args.json, args.mot, args.csv) as write:
            timing = _run(itertools.islice(results, args.frames), write, window, clip)
    print(timing)
    for path in (args.output, args.json, args.mot, args.csv):
        if path:
            print('written: %s' % path)
    if browser_note(args.output):
        print(browser_note(args.output))


def _run(results: Iterator[Any], write: Write, window: Optional[Window], clip: Clip) -> str:
    timing, count = Timing(), 0
    with contextlib.suppress(KeyboardInterrupt) if clip.live else contextlib.nullcontext():
        for result in results:       # Ctrl-C is how a camera's run ends: what is done is kept
            write(result)
            timing.add(result)
            count += 1
            if window is not None and not window.show(result.draw()):
                break
    if window is not None:
        window.close()
    line = '%d frames; %s' % (count, timing.describe())
    if clip.live is not None:
        line += '\n%d frames were left out, the source broke off %d times' % (clip.live.dropped, clip.live.breaks)
    return line


def _refuse_overwriting(args):
    """Raise a DataError where a result would take the place of a frame, of the model or of another."""
    inputs = [args.input] if os.path.exists(args.input) else glob.glob(args.input, recursive=True)
    read = {os.path.realpath(path) for path in inputs}
    folders = {os.path.dirname(path) for path in read if path.lower().endswith(IMAGE_SUFFIXES)}
    taken = {os.path.realpath(args.model): 'the model'}
    for flag in ('output', 'json', 'mot', 'csv'):
        if not getattr(args, flag):
            continue
        path = os.path.realpath(getattr(args, flag))
        if path in read or flag == 'output' and path in folders:
            other = '--input: it would be overwritten'
        elif os.path.isfile(path) and os.path.dirname(path) == os.path.realpath(args.model):
            other = 'a file of the model: write elsewhere'
        elif path in taken:
            other = '%s: one would overwrite the other' % taken[path]
        else:
            taken[path] = '--' + flag
            continue
        raise DataError('--%s %s is the same as %s' % (flag, getattr(args, flag), other))


def main(arguments: Optional[List[str]] = None) -> None:
    """Entry point; arguments: of the command line, None: this process's."""
    top = parser()
    args = top.parse_args(arguments)
    if args.command is None:
        top.print_help()
        return
    # As Ctrl-C does, so that no temporary file stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        args.function(args)
    except DFFError as error:
        print('error: %s' % error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('\nstopped by Ctrl-C', file=sys.stderr)
        sys.exit(130)
