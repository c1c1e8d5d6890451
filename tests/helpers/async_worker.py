"""A worker of a dist_async job: steps at its own pace, then what it added and what all have.
python async_worker.py FILE STEPS"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import lib  # noqa: F401
import mxnet as mx

from lib.engine.distributed import connect
from lib.utils.cli import run
from tests.helpers.module_tools import Batches, make_module, small_symbol


def main():
    path, steps = sys.argv[1], int(sys.argv[2])
    group = connect('dist_async')
    group.check_same('the number of steps', steps)
    assert not group.any(group.rank == 1)
    steps += group.rank                          # the workers end at different times
    module, batches = make_module(1, small_symbol(dropout=0)), Batches(1)
    module.bind(batches.provide_data, batches.provide_label)
    mx.random.seed(group.rank)                   # all must begin with what worker 0 has
    module.init_params(mx.init.Xavier())
    module.init_optimizer(group.kvstore, optimizer_params={'learning_rate': 0.05, 'momentum': 0.9, 'wd': 0.01})
    first = module.get_params()[0]
    # What the servers hold is read again after every step; between, the difference is this worker's own.
    added, pull = {name: mx.nd.zeros_like(array) for name, array in first.items()}, group.kvstore.pull
    last = dict(first)

    def record_and_pull(name, out, priority):
        added[name] += out[0] - last[name]
        pull(name, out, priority=priority)
        last[name] = out[0].copy()
    group.kvstore.pull = record_and_pull
    for step in range(steps):
        module.forward_backward(batches.batch(group.rank, step))
        module.update()
    group.kvstore.pull = pull
    mx.nd.waitall()                              # every step is in the servers before the others read
    group.sum('the end', mx.nd.zeros(1))
    final = {name: mx.nd.zeros_like(array) for name, array in first.items()}
    for name, array in final.items():
        pull(name, array)
    stopped = group.any(False) or group.any(False)
    mx.nd.save('%s.%d' % (path, group.rank),
               {kind + name: array for kind, arrays in (('first ', first), ('added ', added), ('final ', final))
                for name, array in arrays.items()})
    mx.nd.waitall()
    print('worker %d: %d updates, wd %g, stop %s'
          % (group.rank, module.num_update, module._updater.optimizers[0].wd, stopped), flush=True)


if __name__ == '__main__':
    run(main)
