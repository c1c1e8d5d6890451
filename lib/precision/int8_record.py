"""<parameters>.int8.json, the record of an int8 calibration."""
import logging

from lib.graph.graph import Graph
from lib.graph.int8_weights import LARGEST
from lib.graph.quantised_graph import JUDGED, WORKSPACE
from lib.precision.record import Record, is_number

_log = logging.getLogger('dff.precision')


class Int8Record(Record):
    """What was measured of networks, {role: network} in `networks`, on the disk where that is possible.

    Args:
        path: of the file; None: there is none.
        parameters: digest of the parameters that it is for.
        method: {name: value}, how this version measures; the record holds it, too.
        largest_error: relative, of a layer's output; those above it stay float.
    """

    def __init__(self, path, parameters, method, largest_error):
        super().__init__(path, dict(method, parameters=parameters), 'int8 is calibrated again')
        self._largest_error = largest_error
        self.networks = self.read().get('networks', {})

    def _wrong(self, record):
        """See Record."""
        if record.get('parameters') != self._head['parameters']:
            return 'was made for other parameters'
        networks = record.get('networks')
        fits = isinstance(networks, dict) and all(self._is_network(network) for network in networks.values())
        return super()._wrong(record) or ('' if fits else 'holds values of a kind that is not expected')

    def _is_network(self, network):
        """Whether what was measured of one network is of the right kinds."""
        if not isinstance(network, dict):
            return False
        inputs, errors, ranges = (network.get(name) for name in ('inputs', 'errors', 'ranges'))
        kept, times = network.get('float_layers'), network.get('milliseconds')
        if not isinstance(inputs, list) or not all(isinstance(part, dict) for part in (errors, ranges, kept, times)):
            return False
        return (all(isinstance(name, str) for name in inputs)
                and all(is_number(error) for error in errors.values())
                and set(kept) == {name for name, error in errors.items() if not error <= self._largest_error}
                and all(_is_range(ends, 1e30 if name.endswith(WORKSPACE) else LARGEST) for name, ends in ranges.items())
                and all(isinstance(time, dict) and set(time) - {'native'} == {'float32', 'int8'} and all(
                    is_number(value) and 0 < value < LARGEST for value in time.values()) for time in times.values()))

    def of(self, role, network, plain):
        """Return what was measured of a network, None where it must be measured.

        Args:
            role: what tells it from others.
            network: the fused symbol, each of whose tensors must have a range.
            plain: the symbol before fusion.
        """
        found = self.networks.get(role)
        if found is None:
            return None
        layers = {node.name for node in Graph(plain).nodes() if node.op in JUDGED}
        if (set(found['errors']) != layers or not set(network.get_internals().list_outputs()) <= set(found['ranges'])
                or not set(found['inputs']) <= set(plain.list_arguments())):
            _log.warning('%s does not fit the network with inputs %s: int8 is calibrated again for it', self.path,
                         ', '.join(sorted(found['inputs']))[:200])
            del self.networks[role]
            return None
        return found

    def save(self):
        """Write the record, if that is possible."""
        self.write({'networks': self.networks}, 'int8 runs all the same, and is calibrated again in the next run')


def _is_range(ends, largest):
    """Whether `ends` are those of a range within `largest`; version 1.0.0 recorded what is in workspaces, too."""
    return (isinstance(ends, list) and len(ends) == 2 and all(map(is_number, ends))
            and -largest <= ends[0] <= ends[1] <= largest)
