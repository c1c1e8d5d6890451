"""A small network, batches of changing size for it, and a training run of it that can be killed and resumed.

As a script: python module_tools.py PREFIX DEVICES EPOCHS [--resume] [--kill-in EPOCH] [--fixed NAME ...]
"""
import argparse
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import lib  # noqa: F401
import mxnet as mx
import numpy as np

from lib.engine.checkpoint import find_checkpoint, load_arrays, load_params, seed_epoch
from lib.engine.distributed import Group
from lib.train.checkpointer import Checkpointer
from lib.train.lr_scheduler import WarmupMultiFactorScheduler
from lib.train.module import MutableModule
from lib.train.trainer import count_from

BATCHES = 3
CONFIG = SimpleNamespace(network=SimpleNamespace(RFCN_GROUP_SIZE=7),
                         TRAIN=SimpleNamespace(BBOX_NORMALIZATION_PRECOMPUTED=False, SEED=3,
                                               CHECKPOINT_EVERY=1))


def small_symbol(dropout=0.3):
    """conv, batch norm (learned), dropout (so that MXNet's random numbers matter), classifier over any image size."""
    body = mx.sym.Convolution(mx.sym.Variable('data'), num_filter=6, kernel=(3, 3), pad=(1, 1), name='conv1')
    body = mx.sym.BatchNorm(body, fix_gamma=False, name='bn1')
    body = mx.sym.Activation(body, act_type='relu', name='relu1')
    weight = mx.sym.Variable('conv2_weight', lr_mult=2.0)
    body = mx.sym.Convolution(body, weight=weight, num_filter=6, kernel=(3, 3), name='conv2')
    body = mx.sym.Pooling(body, global_pool=True, kernel=(1, 1), pool_type='avg', name='pool')
    if dropout:
        body = mx.sym.Dropout(body, p=dropout, name='drop')
    body = mx.sym.FullyConnected(body, num_hidden=3, name='fc')
    return mx.sym.SoftmaxOutput(body, mx.sym.Variable('label'), name='softmax')


class Batches(mx.io.DataIter):
    """BATCHES batches an epoch; each device gets images of its own size, which depend on epoch and position alone."""

    def __init__(self, devices, epoch=0):
        super().__init__(2 * devices)
        self.devices, self.epoch, self.position = devices, epoch, 0
        first = self.batch(0, 0)
        self.provide_data, self.provide_label = first.provide_data, first.provide_label

    def batch(self, epoch, position):
        rng = np.random.RandomState(100 * epoch + position)
        data, label = [], []
        for _ in range(self.devices):
            height, width = rng.randint(6, 14, 2)
            data.append([mx.nd.array(rng.randn(2, 3, height, width))])
            label.append([mx.nd.array(rng.randint(0, 3, 2))])
        # Shapes as lists, which some versions of MXNet reject: the module has to take them.
        return mx.io.DataBatch(data=data, label=label, pad=0, provide_data=[[('data', list(d[0].shape))] for d in data],
                               provide_label=[[('label', list(d[0].shape))] for d in label])

    def reset(self):
        self.epoch, self.position = self.epoch + 1, 0

    def next(self):
        if self.position == BATCHES:
            raise StopIteration
        self.position += 1
        return self.batch(self.epoch, self.position - 1)


def make_module(devices=1, symbol=None, **arguments):
    symbol = small_symbol() if symbol is None else symbol
    return MutableModule(symbol, ['data'], ['label'], context=[mx.cpu(i) for i in range(devices)], **arguments)


def train(prefix, devices, epochs, resume=False, kill_in=None, fixed=()):
    """Train for `epochs` epochs with a checkpoint after each; die in the middle of epoch `kill_in` (from 0)."""
    module = make_module(devices, fixed_param_names=fixed)
    begin, first, params = 0, 0, (None, None)
    mx.random.seed(CONFIG.TRAIN.SEED)
    np.random.seed(CONFIG.TRAIN.SEED)
    if resume:
        start = find_checkpoint(prefix)
        begin, first, params = start.epoch, start.batch, load_params(prefix, start.epoch, start.batch)
        module.preload_optimizer_states(load_arrays(start.states_file), start.num_update)
    else:
        seed_epoch(CONFIG.TRAIN.SEED, 0)

    checkpointer = Checkpointer(module, prefix, CONFIG, SimpleNamespace(batches_per_epoch=BATCHES),
                                SimpleNamespace(received=None), Group('local'))

    def batch_end(param):
        checkpointer.end_batch(param)
        if param.epoch == kill_in and param.nbatch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    if resume:
        seed_epoch(CONFIG.TRAIN.SEED, begin, first)
    schedule = WarmupMultiFactorScheduler([BATCHES + 1], 0.5, True, 0.01, 2)
    batches = Batches(devices, begin)
    batches.position = first
    module.fit(batches, begin_epoch=begin, num_epoch=epochs, arg_params=params[0], aux_params=params[1],
               batch_end_callback=count_from(begin, first, [batch_end]), epoch_end_callback=checkpointer.end_epoch,
               optimizer_params={'learning_rate': 0.1, 'momentum': 0.9, 'wd': 0.01, 'lr_scheduler': schedule},
               initializer=mx.init.Xavier())
    return module


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('prefix')
    parser.add_argument('devices', type=int)
    parser.add_argument('epochs', type=int)
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--kill-in', type=int)
    parser.add_argument('--fixed', nargs='+', default=())
    args = parser.parse_args()
    train(args.prefix, args.devices, args.epochs, args.resume, args.kill_in, args.fixed)
