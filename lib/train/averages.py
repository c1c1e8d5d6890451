"""Exponential moving averages of the parameters (TRAIN.EMA), which are tested in their place.

Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; with an
exponential weight, as is usual for networks.
"""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.graph.graph import Graph
from lib.train.binding import mean_on_cpu


class Averages:
    """A batch_end_callback that moves the averages towards the parameters after each update.

    After update t, average = d average + (1 - d) parameter with d = min(decay, (t - 1) / (t + 8)):
    the first values, which are far off, are soon forgotten. Averaged are the parameters that are
    trained, and the statistics that batch norm gathers (network.BN_GLOBAL_STATS: false).

    Args:
        module: the MutableModule in training.
        decay: from 0 to 1, 1 excluded.
        start: (arg_params, aux_params), averages to go on from; None: they begin as the parameters
            after the next update.
    """

    def __init__(self, module, decay, start=None):
        self._module, self._decay, self._start = module, decay, start
        self._statistics = learned_statistics(module.symbol)
        self._devices = []      # of each device {name: average}

    def __call__(self, param):
        """param: mx.model.BatchEndParam, of which nothing is used."""
        current = self._on_devices()
        if not self._devices:
            self._devices = [{name: self._first(name, array) for name, array in arrays.items()}
                             for arrays in current]
            if not self._start:
                return
        count = self._module.num_update
        rate = 1 - min(self._decay, (count - 1) / (count + 8))
        for averages, arrays in zip(self._devices, current):
            for name, average in averages.items():
                # In one pass: SGD's step with this decay is (1 - rate) average + rate array.
                mx.nd.sgd_update(average, arrays[name], lr=rate, wd=1.0, rescale_grad=-1.0,
                                 out=average)

    def _on_devices(self):
        """Of each device {name: NDArray}, what is averaged."""
        if self._statistics:
            # Batch norm's backward writes its statistics without telling MXNet's scheduler.
            mx.nd.waitall()
        return [dict(arguments, **{name: statistics[name] for name in self._statistics})
                for arguments, statistics in self._module.on_devices()]

    def _first(self, name, array):
        """The first average of a parameter whose value is `array`, on its device."""
        for given in self._start or ():
            if name in given:
                return given[name].copyto(array.context)
        return array.copy()

    def of(self, arg_params, aux_params):
        """Return the parameters, (arg_params, aux_params), with the averages in their places.

        Those of several devices become their mean from here on, as statistics do with a checkpoint.

        Args:
            arg_params, aux_params: {name: NDArray}, those of the module.
        """
        if not self._devices:     # no update was made yet
            return self._start or (arg_params, aux_params)
        first = self._devices[0]
        means = {name: mean_on_cpu([averages[name] for averages in self._devices])
                 if name in self._statistics else first[name].copyto(mx.cpu()) for name in first}
        for name in self._statistics:
            for averages in self._devices:
                means[name].copyto(averages[name])
        return tuple({name: means.get(name, array) for name, array in given.items()}
                     for given in (arg_params, aux_params))


def learned_statistics(symbol):
    """Return the names of the auxiliary states of `symbol` that training changes."""
    layers = [node for node in Graph(symbol).nodes() if node.op == 'BatchNorm'
              and str(node.get('use_global_stats', False)) not in ('True', '1')]
    return [source.name for layer in layers for source, _ in layer.inputs[3:]]
