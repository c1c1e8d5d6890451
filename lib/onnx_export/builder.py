"""The nodes of an ONNX graph while it is written, as plain data: needs no package of ONNX."""

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

# The name of a value in the graph, or numbers: Python's become float32 or int64.
Value = Union[str, int, float, Sequence[Any], np.ndarray]


class Operation(NamedTuple):
    """One node."""

    operator: str  # of the ONNX standard
    inputs: List[str]  # names of values; '' where an optional one is left out
    outputs: List[str]
    attributes: Dict[str, Any]
    name: str


class Builder:
    """Collects operations and constants.

    Attributes:
        operations: [Operation], each after those that it reads.
        constants: {name: NumPy array}.
        layer: what the names of further operations begin with.
    """

    def __init__(self):
        self.operations: List[Operation] = []
        self.constants: Dict[str, np.ndarray] = {}
        self.layer = 'graph'
        self._names = set()
        self._shared: Dict[Tuple, str] = {}  # equal constants, and shapes asked for before

    def op(self, operator: str, *inputs: Value, output: str = '', **attributes: Any) -> str:
        """Append a node and return the name of its output.

        Args:
            operator: of the ONNX standard.
            inputs: names of values, or numbers.
            output: the name to give to its output; '': one is made.
            attributes: of the node.
        """
        return self.ops(operator, *inputs, outputs=[output], **attributes)[0]

    def ops(
        self, operator: str, *inputs: Value, outputs: Sequence[str], **attributes: Any
    ) -> List[str]:
        """Append a node with several `outputs` and return their names; operator, inputs,
        attributes: as of `op`.
        """
        given = [self.value(each) for each in inputs]
        name = self._unique('%s/%s' % (self.layer, operator))
        made = [each or (name if len(outputs) == 1 else self._unique(name)) for each in outputs]
        self.operations.append(Operation(operator, given, made, attributes, name))
        return made

    def value(self, value: Value) -> str:
        """Return the name of `value`, which becomes a constant unless it is a name already."""
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        if not isinstance(value, np.ndarray):
            array = array.astype(np.float32 if array.dtype.kind == 'f' else np.int64)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            self._shared[key] = self.constant(self._unique('constant'), array)
        return self._shared[key]

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant under its own `name`, as a parameter has one, and return that."""
        self._names.add(name)
        self.constants[name] = array
        return name

    def size(self, value: str, axis: int) -> str:
        """Return how long `value` is along `axis`: int64 [1]."""
        key = (value, axis)
        if key not in self._shared:
            self._shared[key] = self.op('Gather', self._shape(value), [axis])
        return self._shared[key]

    def length(self, value: str, axis: int) -> str:
        """Return how long `value` is along `axis` as a float32 [1]."""
        return self.op('Cast', self.size(value, axis), to=FLOAT)

    def count(self, size: str) -> str:
        """Return 0, 1, ... below `size`, an int64 [1], as float32 [size]."""
        # Not Range, whose ends are scalars: with sizes that are fixed, onnxruntime 1.32 takes them
        # for lists.
        ones = self.op('ConstantOfShape', size, value=np.ones(1, np.float32))
        return self.op('CumSum', ones, 0, exclusive=1)

    def part(self, value: str, axis: int, begin: int, end: int) -> str:
        """Return what lies from `begin` to before `end` along `axis` of `value`."""
        return self.op('Slice', value, [begin], [end], [axis])

    def join(self, *parts: Value) -> str:
        """Return one int64 [n] of sizes: numbers, and values [1] as `size` gives them."""
        return self.op(
            'Concat', *([each] if isinstance(each, int) else each for each in parts), axis=0
        )

    def _shape(self, value: str) -> str:
        key = (value, 'shape')
        if key not in self._shared:
            self._shared[key] = self.op('Shape', value)
        return self._shared[key]

    def _unique(self, name: str) -> str:
        found, number = name, 1
        while found in self._names:
            number += 1
            found = '%s_%d' % (name, number)
        self._names.add(found)
        return found


FLOAT, UINT8, INT64 = 1, 2, 7  # types, as Cast's `to` numbers them
