"""A process of tools/benchmark.py: PyTorch, OpenVINO or onnxruntime, run on command. usage: worker.py NAME FOLDER

Needs neither MXNet nor the rest of this project, so that it may run in an environment of its own.
"""
import json
import os
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def answer(content):
    """Write `content` as a line of JSON that benchmarks/contenders.py reads."""
    print('@' + json.dumps(content), flush=True)


try:
    import numpy as np
except ImportError as missing:
    answer({'missing': 'not installed here: %s' % missing})
    sys.exit()


def load(folder):
    """({'key': network, and of DFF 'current'}, (current frame, key frame), names of the score maps) in PyTorch."""
    import torch
    from torch_network import CurrentNetwork, KeyNetwork, Parameters
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    with open(os.path.join(folder, 'network.json'), encoding='utf-8') as stream:
        network = json.load(stream)
    with np.load(os.path.join(folder, 'parameters.npz')) as arrays:
        params = Parameters({name: arrays[name] for name in arrays.files})
    with np.load(os.path.join(folder, 'frames.npz')) as arrays:
        frames = [torch.from_numpy(arrays[name]) for name in ('data', 'data_key')]
    networks = {'key': KeyNetwork(params, network['units']).eval()}
    if network['has_flow']:
        networks['current'] = CurrentNetwork(params).eval()
    return networks, frames, network['maps']


def example(networks, frames):
    """{kind: inputs}: the key frame; the current frame with it and its feature."""
    import torch
    data, data_key = frames
    with torch.no_grad():
        inputs = {'key': (data_key,)}
        if 'current' in networks:
            inputs['current'] = (data, data_key, networks['key'](data_key)[0])
    return inputs


def in_torch(name, networks, frames):
    """Return {kind: callable}; the faster memory layout is PyTorch's channels-last on CPUs.

    Args:
        name: 'torch-compile' or 'torchscript'.
        networks: {kind: nn.Module}.
        frames: images as tensors [1, 3, H, W].
    """
    import torch
    networks = {kind: network.to(memory_format=torch.channels_last) for kind, network in networks.items()}
    inputs = example(networks, [frame.to(memory_format=torch.channels_last) for frame in frames])
    for kind in networks:
        if name == 'torch-compile':
            import torch._inductor.config
            torch._inductor.config.freezing = True
            networks[kind] = torch.compile(networks[kind])
        else:
            networks[kind] = _frozen(networks[kind], inputs[kind])

    def runner(kind):
        def call():
            # no_grad: freezing works on what needs no gradient, and inference_mode tensors cannot be traced.
            with torch.no_grad():
                return [output.numpy() for output in networks[kind](*inputs[kind])]
        return call
    return {kind: runner(kind) for kind in networks}


def _frozen(network, inputs):
    """TorchScript with the oneDNN graph fuser; without it where it cannot compile the network for this processor."""
    import torch
    for fuser in (True, False):
        torch.jit.enable_onednn_fusion(fuser)
        with torch.no_grad():
            frozen = torch.jit.freeze(torch.jit.trace(network, inputs, check_trace=False))
            try:
                for _ in range(3):      # it compiles at its second call
                    frozen(*inputs)
                return frozen
            except RuntimeError as error:
                if not fuser:
                    raise
                print('no oneDNN graph fuser: %s' % str(error).strip().splitlines()[-1], file=sys.stderr)


def calibration(networks, folder):
    """{kind: [inputs]} that int8 is calibrated with: the frames and key frames that TEST.PRECISION: int8 takes, too."""
    import torch
    with np.load(os.path.join(folder, 'calibration.npz')) as arrays:
        frames, interval = torch.from_numpy(arrays['frames']), int(arrays['key_frame_interval'])
    found = {kind: [] for kind in networks}
    with torch.no_grad():
        for place in range(len(frames)):
            frame = frames[place:place + 1]
            if 'current' not in networks or place % interval == 0:
                found['key'].append((frame,))
                key, feature = frame, networks['key'](frame)[0] if 'current' in networks else None
            else:
                found['current'].append((frame, key, feature))
    return found


def in_openvino(networks, inputs, frames):
    """Return {kind: callable}.

    Args:
        networks: {kind: nn.Module}.
        inputs: {kind: tensors to time}.
        frames: {kind: [tensors to calibrate int8 with, by NNCF]}; None: float32.
    """
    import openvino
    import torch
    core = openvino.Core()
    settings = {'INFERENCE_NUM_THREADS': int(os.environ['OMP_NUM_THREADS']), 'PERFORMANCE_HINT': 'LATENCY',
                'INFERENCE_PRECISION_HINT': 'f32'}
    with torch.no_grad():
        models = {
            kind: openvino.convert_model(network, example_input=inputs[kind],
                                         input=[list(value.shape) for value in inputs[kind]])
            for kind, network in networks.items()
        }
    if frames is not None:
        import nncf
        for kind, each in frames.items():
            data = nncf.Dataset(each, lambda item: [value.numpy() for value in item])
            models[kind] = nncf.quantize(models[kind], data, subset_size=len(each))
    compiled = {kind: core.compile_model(model, 'CPU', settings) for kind, model in models.items()}
    requests = {kind: model.create_infer_request() for kind, model in compiled.items()}

    def runner(kind):
        values = [np.ascontiguousarray(value.numpy()) for value in inputs[kind]]

        def call():
            results = requests[kind].infer(dict(enumerate(values)), share_inputs=True, share_outputs=True)
            return [results[output] for output in compiled[kind].outputs]
        return call
    return {kind: runner(kind) for kind in networks}


def runners_of(name, networks, frames, folder):
    """{kind: callable} of the contender `name`; networks, frames: of `load`; folder: of the job."""
    if name in ('torch-compile', 'torchscript'):
        return in_torch(name, networks, frames)
    if name == 'openvino-int8':
        import nncf  # noqa: F401  before the minutes of work that it is needed after
    shown = calibration(networks, folder) if name.endswith('-int8') else None
    if name.startswith('openvino'):
        return in_openvino(networks, example(networks, frames), shown)
    from onnx_network import in_onnxruntime
    return in_onnxruntime(networks, example(networks, frames), shown, folder, int(os.environ['OMP_NUM_THREADS']))


def versions(name):
    """Return the framework of the contender `name` and its version, in words."""
    if name.startswith('onnxruntime'):
        import onnxruntime
        return 'onnxruntime %s' % onnxruntime.__version__
    if name == 'openvino-int8':
        import nncf
        return 'NNCF %s' % nncf.__version__
    if name == 'openvino':
        import openvino
        return 'OpenVINO %s' % openvino.__version__
    import torch
    return 'PyTorch %s' % torch.__version__


def save_outputs(runners, maps, path):
    """Save the key frame's feature, where it is used, and all score maps.

    Each network runs twice, so that it is warm before it is timed.

    Args:
        runners: {kind: callable}.
        maps: names of the score maps.
        path: .npz file to write.
    """
    found = {}
    for kind, call in runners.items():
        call()
        feature, *scores = call()
        if kind == 'key' and 'current' in runners:
            found['feature'] = feature
        found.update(('%s %s' % (kind, name), value) for name, value in zip(maps, scores))
    np.savez(path, **found)


def turn(runners, count):
    """As of benchmarks/worker.py: one key frame, then others where there are."""
    rows, begin = [], time.perf_counter()
    for number in range(count):
        kind = 'current' if number and 'current' in runners else 'key'
        start = time.perf_counter()
        runners[kind]()
        rows.append([kind == 'key', None, 1e3 * (time.perf_counter() - start), None])
    return {'frames': rows, 'wall': 1e3 * (time.perf_counter() - begin)}


def main():
    """Load the networks that the command line names; then answer the lines of standard input."""
    name, folder = sys.argv[1:]
    try:
        networks, frames, maps = load(folder)
        runners = runners_of(name, networks, frames, folder)
        version = versions(name)
    except ImportError as error:
        answer({'missing': 'not installed here: %s' % error})
        return
    save_outputs(runners, maps, os.path.join(folder, name + '.npz'))
    precision = 'int8' if name.endswith('-int8') else 'float32'
    answer({'version': version, 'precision': dict.fromkeys(runners, precision)})
    for line in sys.stdin:
        if line.strip() == 'memory':
            answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        else:
            answer(turn(runners, int(line)))


if __name__ == '__main__':
    main()
