"""A window of frames (FGFA) of ONNX files: their features joined, one frame after the other.

feature.onnx gives feature and embedding of a frame, which are kept. pair.onnx carries those of one frame of the window
to the frame that the result is for, and adds them to a sum, as much as the embeddings look alike: eq. 2 to 4 of FGFA
(arXiv 1703.10025), without a map for each frame of the window. joined.onnx gives the results of the sum.
"""
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from dff.frames import Frame
from dff.networks import Outputs, checked_reach

SUM = 'query', 'sum', 'weight'      # what pair.onnx hands on, to itself and to joined.onnx


class Kept(NamedTuple):
    """What a window keeps of a frame, on the device."""

    frame: Frame
    image: Any
    feature: Any
    embedding: Any


class OnnxWindow:
    """dff.networks.Windowed.

    Args:
        networks: dff.runtime.onnx_networks.OnnxNetworks that aggregate.
        reach: K; the window has 2 K + 1 places.

    Raises ConfigError for a K above dff.networks.MOST_REACH.
    """

    def __init__(self, networks: Any, reach: int):
        self._networks = networks
        self._places: List[Optional[Kept]] = [None] * (2 * checked_reach(reach) + 1)

    def put(self, place: int, frame: Frame) -> None:
        """See dff.networks.Windowed. Raises DataError where the model takes images of another size only."""
        feeds = self._networks.feed('feature', frame)
        found = self._networks.run('feature', feeds)
        self._places[place] = Kept(frame, feeds['image'], found['feature'], found['embedding'])

    def repeat(self, place: int, source: int) -> None:
        """See dff.networks.Windowed."""
        self._places[place] = self._places[source]

    def join(self, place: int) -> Outputs:
        """See dff.networks.Windowed."""
        own = self._places[place]
        assert own is not None
        counts: Dict[int, int] = {}
        for each in self._places:
            counts[id(each)] = counts.get(id(each), 0) + 1
        different = {id(each): each for each in [own, *self._places] if each is not None}
        # Single zeros are spread over the maps that they are added to.
        state = {name: self._number(0, 4) for name in SUM}
        for each in different.values():     # the frame itself comes first: the others are compared with it
            more = {name + '_before': value for name, value in state.items()}
            more.update(image=own.image, other_image=each.image, other_feature=each.feature,
                        other_embedding=each.embedding, first=self._number(each is own),
                        count=self._number(counts[id(each)]))
            found = self._networks.run('pair', self._networks.feed('pair', own.frame, more=more))
            state = {name: found[name] for name in SUM}
        feeds = self._networks.feed('joined', own.frame, more=dict(state, image=own.image))
        boxes = self._networks.run('joined', feeds)
        return Outputs((boxes['boxes'], boxes['scores']))

    def _number(self, value: float, axes: int = 1) -> Any:
        return self._networks.place(np.full((1,) * axes, value, np.float32))
