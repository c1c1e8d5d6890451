"""A foreign network as a list of layers, in the form that files of Caffe and of ONNX are both read into."""
from typing import Dict, List, NamedTuple

import numpy as np


class Layer(NamedTuple):
    """One layer of a foreign network.

    Attributes:
        kind: conv, norm, scale, relu, pool, add, or same (what changes nothing that counts here);
            of any other layer, the name that its framework has for its type.
        name: of the layer in its file.
        inputs, outputs: names of what it reads and makes; no two layers make the same.
        tensors: {part: name of the tensor}; parts are weight, bias, gamma, beta, mean, var.
        attributes: of a conv and a pool: kernel, stride, pad, dilation in pixels and group; of a
            pool also max; of a norm: eps.
    """

    kind: str
    name: str
    inputs: List[str]
    outputs: List[str]
    tensors: Dict[str, str]
    attributes: Dict[str, float]


class Network(NamedTuple):
    """The layers of a file, in its order, with the tensors that they name."""

    layers: List[Layer]
    tensors: Dict[str, np.ndarray]
