"""A process of benchmarks/inference.py: PyTorch or OpenVINO, run on command. usage: worker.py NAME FOLDER CLOCK"""
import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def answer(content):
    print('@' + json.dumps(content), flush=True)


def load(folder):
    """({'key': network, 'current': network}, frames) in PyTorch."""
    import torch
    from torch_network import CurrentNetwork, KeyNetwork, Parameters
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    with np.load(os.path.join(folder, 'parameters.npz')) as arrays:
        params = Parameters({name: arrays[name] for name in arrays.files})
    with np.load(os.path.join(folder, 'frames.npz')) as arrays:
        frames = [torch.from_numpy(arrays[name]) for name in arrays.files]
    return {'key': KeyNetwork(params).eval(), 'current': CurrentNetwork(params).eval()}, frames


def in_torch(name, networks, frames):
    """{'key': callable, 'current': callable} and the version; the faster memory layout is PyTorch's channels-last on CPUs."""
    import torch
    networks = {kind: network.to(memory_format=torch.channels_last) for kind, network in networks.items()}
    frames = [frame.to(memory_format=torch.channels_last) for frame in frames]
    with torch.inference_mode():
        feature = networks['key'](frames[0])[0]
    inputs = {'key': (frames[0],), 'current': (frames[1], frames[0], feature)}
    for kind in networks:
        if name == 'torch-compile':
            import torch._inductor.config
            torch._inductor.config.freezing = True
            networks[kind] = torch.compile(networks[kind])
        else:
            networks[kind] = _frozen(networks[kind], inputs[kind])

    def runner(kind):
        def call():
            # Freezing works on what needs no gradient; inference_mode tensors cannot be traced.
            with torch.no_grad():
                return [output.numpy() for output in networks[kind](*inputs[kind])]
        return call
    if name != 'torch-compile':
        inputs = {kind: tuple(value.clone() for value in values) for kind, values in inputs.items()}
    return {kind: runner(kind) for kind in networks}, 'PyTorch %s' % torch.__version__


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


def in_openvino(networks, frames):
    import openvino
    import torch
    core = openvino.Core()
    settings = {'INFERENCE_NUM_THREADS': int(os.environ['OMP_NUM_THREADS']), 'PERFORMANCE_HINT': 'LATENCY',
                'INFERENCE_PRECISION_HINT': 'f32'}
    with torch.no_grad():
        feature = networks['key'](frames[0])[0]
        inputs = {'key': (frames[0],), 'current': (frames[1], frames[0], feature)}
        models = {kind: openvino.convert_model(network, example_input=inputs[kind], input=[list(value.shape) for value in inputs[kind]])
                  for kind, network in networks.items()}
    compiled = {kind: core.compile_model(model, 'CPU', settings) for kind, model in models.items()}
    requests = {kind: model.create_infer_request() for kind, model in compiled.items()}

    def runner(kind):
        values = [np.ascontiguousarray(value.numpy()) for value in inputs[kind]]

        def call():
            results = requests[kind].infer(dict(enumerate(values)), share_inputs=True, share_outputs=True)
            return [results[output] for output in compiled[kind].outputs]
        return call
    return {kind: runner(kind) for kind in networks}, 'OpenVINO %s' % openvino.__version__


def main():
    name, folder, clock = sys.argv[1:]
    clock = getattr(time, clock)
    try:
        networks, frames = load(folder)
        runners, version = in_openvino(networks, frames) if name == 'openvino' else in_torch(name, networks, frames)
    except ImportError as error:
        answer({'missing': 'not installed here: %s' % error})
        return
    runners['current']()
    np.savez(os.path.join(folder, name + '.npz'), feature=runners['key']()[0])
    answer({'version': version})
    for line in sys.stdin:
        kind, count = line.split()
        times = []
        for _ in range(int(count)):
            start = clock()
            runners[kind]()
            times.append(1e3 * (clock() - start))
        answer(times)


if __name__ == '__main__':
    main()
