"""Times the CUDA kernels against the device's copy bandwidth: python benchmarks/gpu_operators.py

Needs a GPU, CuPy and the built native library; MXNet is not needed. Prints, for each operator, the
time, the bytes that it must move at least (every input and output once) over that time, and this
as a share of what a copy of 1 GiB reaches.
"""
import argparse
import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib.operator_cxx import loader  # noqa: E402
from lib.utils.cli import run as run_main  # noqa: E402
from dff.errors import SetupError  # noqa: E402


def open_device():
    """(cupy, device). Raises SetupError where something is missing."""
    try:
        import cupy
        cupy.cuda.runtime.getDeviceCount()
    except ImportError as error:
        raise SetupError('CuPy is not installed: pip install cupy-cuda12x (or the one for your CUDA)') from error
    except Exception as error:  # CuPy's own class for CUDA's errors lies behind the import that may fail
        raise SetupError('no GPU: %s' % error) from error
    if loader.c_library() is None:
        raise SetupError('the native library is not built: run `sh init.sh`')
    from tests.gpu.device import Device
    return cupy, Device(loader.c_library())


def milliseconds(cupy, call, repeats=20):
    """Return the median time of a call by the device's clock.

    Args:
        cupy: the module.
        call: function without arguments.
        repeats: timed calls, after five to warm up.
    """
    times = []
    for _ in range(repeats + 5):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end))
    return sorted(times[5:])[repeats // 2]


def milliseconds_in_graph(cupy, call, launches=10):
    """Return the time of a call inside a graph: what Python needs to launch one does not count.

    Args:
        cupy: the module.
        call: function without arguments.
        launches: calls in the graph.
    """
    cupy.cuda.Device().synchronize()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        call()  # loads the kernels and allocates workspaces, which a graph cannot
        stream.synchronize()
        stream.begin_capture()
        for _ in range(launches):
            call()
        graph = stream.end_capture()
        return milliseconds(cupy, graph.launch) / launches


def copy_bandwidth(cupy):
    """Return the GB/s, bytes read and bytes written, of a copy of 1 GiB."""
    source = cupy.empty(1 << 28, 'float32')
    target = cupy.empty_like(source)
    return 2 * source.nbytes / milliseconds(cupy, lambda: cupy.copyto(target, source)) / 1e6


def time_operators(cupy, device, images, report):
    """Report each operator at the size of a 562x1000 image.

    Args:
        cupy: the module.
        device: Device of tests/gpu/device.py.
        images: how many at a time.
        report: called with name, images, a function that runs the operator, and its arrays.
    """
    random = cupy.random.RandomState(0)

    def normal(*shape):
        return random.standard_normal(shape).astype('float32')

    feature, scale, out = normal(3, images, 1024, 36, 63)
    smooth = (3 * normal(images, 2, 4, 7)).repeat(9, axis=2).repeat(9, axis=3) + 0.1 * normal(images, 2, 36, 63)
    for motion, flow in (('', smooth), (', each cell from elsewhere', 3 * normal(images, 2, 36, 63))):
        gradients = [cupy.empty_like(array) for array in (feature, flow, scale)]
        report('warp x scale' + motion, images,
               functools.partial(device.warp, feature, flow, scale, out),
               (feature, flow, scale, out))
        report('warp x scale, backward' + motion, images,
               functools.partial(device.warp_gradients, out, feature, flow, scale, gradients),
               (out, feature, flow, scale, *gradients))

    current, reference, matches = (normal(images, depth, 71, 125) for depth in (128, 128, 81))
    pair = [cupy.empty_like(current), cupy.empty_like(reference)]
    report('correlation, 4 cells around', images,
           lambda: device.correlation(current, reference, 4, matches),
           (current, reference, matches))
    report('correlation, 4 cells around, backward', images,
           lambda: device.correlation_gradients(matches, current, reference, 4, pair),
           (matches, current, reference, *pair))

    settings = dict(spatial_scale=1 / 16, output_dim=31, pooled_size=7, group_size=7)
    corners = cupy.sort(random.uniform(0, 1, (images * 300, 2, 2)), axis=1) * cupy.array([1000, 562])
    rois = cupy.hstack((cupy.repeat(cupy.arange(images), 300)[:, None], corners.reshape(-1, 4))).astype('float32')
    data, pooled = normal(images, 31 * 49, 36, 63), cupy.empty((images * 300, 31, 7, 7), 'float32')
    gradient = cupy.empty_like(data)
    report('PS-RoI pooling', images, lambda: device.psroi(data, rois, pooled, **settings), (data, rois, pooled))
    report('PS-RoI pooling, backward', images,
           lambda: device.psroi_gradient(pooled, rois, data.shape, gradient, **settings),
           (pooled, rois, gradient))

    from lib.boxes.anchors import base_anchors
    scores, deltas = random.uniform(0, 1, (images, 18, 36, 63)).astype('float32'), 0.3 * normal(images, 36, 36, 63)
    im_info = cupy.tile(cupy.array([562, 1000, 1], 'float32'), (images, 1))
    anchors = base_anchors(16, (8, 16, 32), (0.5, 1, 2))
    report('Proposal 6000 -> 300', images,
           lambda: device.proposal(scores, deltas, im_info, anchors, 16, 6000, 300, 0.7),
           (scores, deltas))


def main():
    """Run the command."""
    argparse.ArgumentParser(description=__doc__.partition('\n')[0]).parse_args()
    cupy, device = open_device()
    bandwidth = copy_bandwidth(cupy)
    print('%s: a copy moves %.0f GB/s\n' % (cupy.cuda.runtime.getDeviceProperties(0)['name'].decode(), bandwidth))
    print('| operator | images | ms | GB/s | of a copy |\n|---|---|---|---|---|')

    def report(name, images, call, arrays):
        time = milliseconds_in_graph(cupy, call)
        moved = sum(array.nbytes for array in arrays) / time / 1e6
        print('| %s | %d | %.3f | %.0f | %.0f %% |' % (name, images, time, moved, 100 * moved / bandwidth), flush=True)
    for images in (1, 10, 40):
        time_operators(cupy, device, images, report)


if __name__ == '__main__':
    run_main(main)
