"""Memory and time of FGFA's window at full size: python benchmarks/fgfa_window.py [--plain] [--reach K] [--onnx FOLDER]

Random parameters and frames. With --plain the window as one graph of MXNet's own operators (the
original's get_aggregation_symbol), else as tests and demos run it. Time is that of the processor,
memory what the process holds without its parameters and frames. With --reach 0 the window is the
frame alone: what that takes are the networks. With --onnx the ONNX files of an exported folder, by
onnxruntime, of whose memory the networks are a part.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from dff.frames import prepare  # noqa: E402
from dff.runtime.onnx_networks import open_networks  # noqa: E402
from lib.inference.key_frames import input_format  # noqa: E402
from lib.inference.networks import DETECTION, Binder, with_test_settings  # noqa: E402
from lib.precision.precision import make_precision  # noqa: E402
from lib.inference.window import WindowNetworks  # noqa: E402
from lib.operator_cxx import loader  # noqa: E402
from lib.symbols.initialise import initial_value  # noqa: E402
from lib.symbols.registry import get_symbol_instance  # noqa: E402
from lib.tasks.task import TASKS  # noqa: E402

HEIGHT, WIDTH = 720, 1280      # of the frames


def parameters(symbols, shapes):
    """Return ({name: NDArray}, {name: NDArray}) with first values for all `symbols`, of inputs `shapes`."""
    found = {}, {}
    for symbol in symbols:
        given = {name: shape for name, shape in shapes.items() if name in symbol.list_arguments()}
        args, _, auxs = symbol.infer_shape(**given)
        for to, names, all_shapes in ((found[0], symbol.list_arguments(), args),
                                      (found[1], symbol.list_auxiliary_states(), auxs)):
            to.update((name, mx.nd.array(initial_value(name, shape)))
                      for name, shape in zip(names, all_shapes) if name not in given)
    return found


def resident():
    """Return the process's resident memory, now and at most since `forget_peak`, in MB."""
    with open('/proc/self/status', encoding='ascii') as stream:
        found = dict(line.split(':') for line in stream)
    return tuple(int(found[key].split()[0]) / 1024 for key in ('VmRSS', 'VmHWM'))


def forget_peak():
    """Begin anew to watch for the most memory."""
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as stream:
        stream.write('5')


def report(before, copied=0):
    """Print the memory in MB above `before` and `copied` parameters."""
    now, most = (value - before - copied for value in resident())
    print('window and work space: %.0f MB, %.0f MB at most' % (now, most), flush=True)


def timed(what, function, *arguments):
    """Run a function and print the seconds of the processor that it took; returns what it returns.

    what: it is called; function, arguments: what to run.
    """
    start = time.process_time()
    result = function(*arguments)
    mx.nd.waitall()
    print('%s: %.2f s of the processor' % (what, time.process_time() - start), flush=True)
    return result


def as_tests_run_it(config, instance, params, frames, reach, before):
    """Fill the window and join it; the time of one frame is that of one put and one join.

    Args:
        config: settings of the task.
        instance: its symbol class.
        params: (arg_params, aux_params).
        frames: those of the window.
        reach: K.
        before: resident memory in MB.
    """
    binder = Binder(mx.cpu(), *params, 'random', make_precision('float32', params[0], 'random'))
    networks = WindowNetworks(config, instance, binder, DETECTION, reach)
    timed('first frame', networks.put, 0, frames[0])
    copied = sum(array.size for pool in networks.pools.values() for array in pool.arg_params.values()) * 4 / 2 ** 20
    forget_peak()
    for place in range(1, 2 * reach):
        networks.repeat(place, 0)
        networks._frames[place] = frames[place]      # what each frame looks like changes no cost
    timed('feature and embedding of a frame', networks.put, 2 * reach, frames[2 * reach])
    timed('flow to all frames, join, heads', networks.join, reach)
    report(before, copied)


def as_one_graph(config, instance, params, frames, reach, before):
    """Run the original's symbol for the window.

    config, instance, params, frames, reach, before: as of as_tests_run_it.
    """
    with loader.built_in():
        symbol = instance.get_aggregation_symbol(with_test_settings(config, KEY_FRAME_INTERVAL=reach))
    channels, (_, _, height, width) = config.network.FGFA_FEAT_DIM, frames[0].tensor.shape
    places = 2 * reach + 1
    inputs = {'data': (1, 1), 'im_info': (1, 3), 'data_cache': (places, 3, height, width),
              'feat_cache': (places, channels, -(-height // 16), -(-width // 16))}
    arrays = {name: mx.nd.ones(shape) for name, shape in inputs.items()}
    arrays.update((name, params[0][name]) for name in symbol.list_arguments() if name not in arrays)
    executor = symbol.bind(mx.cpu(), arrays, grad_req='null')
    timed('flow to all frames, join, heads', executor.forward)
    report(before)


def as_onnx(folder, frames, reach):
    """Fill the window of the ONNX files in `folder` with all of `frames`, and join it; reach: K."""
    networks = open_networks(folder, threads=1)
    window = networks.window(reach)
    window.put(0, frames[0])
    for place in range(1, 2 * reach + 1):
        window.repeat(place, 0)
    window.join(reach)
    forget_peak()
    before = resident()[0]
    for place, frame in enumerate(frames[1:], 1):
        timed('feature and embedding of a frame', window.put, place, frame)
    print('the window\'s %d other frames: %.0f MB' % (2 * reach, resident()[0] - before), flush=True)
    timed('flow to all frames, join, heads', window.join, reach)
    report(before)


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--plain', action='store_true', help="as one graph of MXNet's own operators")
    parser.add_argument('--reach', type=int, default=9, metavar='K', help='frames to each side (default 9)')
    parser.add_argument('--onnx', metavar='FOLDER', help='of tools/export_model.py fgfa_rfcn --format onnx')
    args = parser.parse_args()
    task = TASKS.get('fgfa_rfcn')
    task.load_symbols()
    config = task.new_config()
    config.symbol = task.demo.symbol
    instance, rng = get_symbol_instance(config), np.random.RandomState(0)
    config.TEST.KEY_FRAME_INTERVAL = args.reach
    places = 2 * args.reach + 1
    frames = [prepare(rng.randint(0, 256, (HEIGHT, WIDTH, 3), np.uint8), input_format(config))
              for _ in range(places)]
    if args.onnx:
        as_onnx(args.onnx, frames, args.reach)
        return
    symbols = instance.test_networks(config).values()
    image, dims = (1, 3, 64, 64), config.network.DFF_FEAT_DIM
    params = parameters(symbols, {
        'data': image, 'data_ref': image, 'im_info': (1, 3), 'feat_cache': (places, dims, 4, 4), 'centre': (1,),
        'embed_cache': (places, config.network.FGFA_FEAT_DIM - dims, 4, 4), 'flow': (places, 2, 4, 4)})
    mx.nd.waitall()
    forget_peak()
    before = resident()[0]
    (as_one_graph if args.plain else as_tests_run_it)(config, instance, params, frames, args.reach, before)


if __name__ == '__main__':
    main()
