"""<parameters>.int8.json, the record of an int8 calibration: read and checked as a whole, or not used at all.

It says what a network computes with: a record that something has changed, or that another version
has made, would give other results, or none. So it holds a checksum of itself; and as anybody can
make one, every value is checked, too.
"""
import hashlib
import json
import logging
import os

from dff.files import read_json, write_json
from lib.graph.graph import Graph
from lib.graph.quantised_graph import JUDGED

LARGEST = 1e30      # of a range's ends: HEADROOM times it is a float32
_log = logging.getLogger('dff.precision')


class Int8Record:
    """What was measured of networks, {role: network} in `networks`, on the disk where that is possible.

    Args:
        path: of the file; None: there is none.
        parameters: digest of the parameters that it is for.
        method: {name: value}, how this version measures; the record holds it, too.
        largest_error: relative, of a layer's output; those above it stay float.
    """

    def __init__(self, path, parameters, method, largest_error):
        self._path, self._largest_error, self._writes = path, largest_error, path is not None
        self._head = dict(method, parameters=parameters)
        self.networks = self._read() if path else {}

    def _read(self):
        if not os.path.exists(self._path):
            return {}
        record = read_json(self._path) or {}
        try:
            problem = self._problem(record)
        except RecursionError:
            problem = 'is no record'
        if problem:
            _log.warning('%s %s: int8 is calibrated again', self._path, problem)
        return {} if problem else record['networks']

    def _problem(self, record):
        """What forbids to use a record, in words; '' for nothing."""
        if record.get('sha256') != _checksum(record):
            return 'is damaged, was changed, or is of an older version'
        if record.get('parameters') != self._head['parameters']:
            return 'was made for other parameters'
        if any(record.get(name) != value for name, value in self._head.items()):
            return 'was made in another way'
        networks = record.get('networks')
        if not isinstance(networks, dict) or not all(self._is_network(network) for network in networks.values()):
            return 'holds values of a kind that is not expected'
        return ''

    def _is_network(self, network):
        """Whether what was measured of one network is of the right kinds."""
        if not isinstance(network, dict):
            return False
        inputs, errors, ranges = (network.get(name) for name in ('inputs', 'errors', 'ranges'))
        kept, times = network.get('float_layers'), network.get('milliseconds')
        if not isinstance(inputs, list) or not all(isinstance(part, dict) for part in (errors, ranges, kept, times)):
            return False
        return (all(isinstance(name, str) for name in inputs)
                and all(_is_number(error) for error in errors.values())
                and set(kept) == {name for name, error in errors.items() if not error <= self._largest_error}
                and all(isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends))
                        and -LARGEST <= ends[0] <= ends[1] <= LARGEST for ends in ranges.values())
                and all(isinstance(time, dict) and set(time) - {'native'} == {'float32', 'int8'} and all(
                    _is_number(value) and 0 < value < LARGEST for value in time.values()) for time in times.values()))

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
            _log.warning('%s does not fit the network with inputs %s: int8 is calibrated again for it', self._path,
                         ', '.join(sorted(found['inputs']))[:200])
            del self.networks[role]
            return None
        return found

    def save(self):
        """Write the record; where that cannot be, one line says so, once, and int8 goes on without."""
        if not self._writes:
            return
        record = dict(self._head, networks=self.networks)
        try:
            write_json(self._path, dict(record, sha256=_checksum(record)))
        except OSError as error:
            self._writes = False
            _log.warning('cannot write %s (%s): int8 runs all the same, and is calibrated again in the next run',
                         self._path, error.strerror or error)


def _checksum(record):
    """SHA-256 of all but the checksum itself."""
    content = {name: value for name, value in record.items() if name != 'sha256'}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
