"""The definition of the aggregation of frames in NumPy (FGFA, arXiv 1703.10025, eq. 2 to 4), in float64."""
import numpy as np

from tests.helpers.native_oracles import flow_warp


def joined(features, embeddings, query, sharpness=1.0):
    """Return (sum of the frames' features by weight [N, C, h, w], cosines [M, N, h, w], weights [M, N, h, w]).

    Args:
        features: [M, N, C, h, w].
        embeddings: [M, N, E, h, w].
        query: [N, E, h, w].
        sharpness: factor of the cosines.
    """
    features, embeddings, query = (np.asarray(value, np.float64) for value in (features, embeddings, query))
    lengths = np.sqrt((embeddings ** 2).sum(axis=2) + 1e-10) * np.sqrt((query ** 2).sum(axis=1) + 1e-10)
    cosine = (embeddings * query).sum(axis=2) / lengths
    weights = np.exp(sharpness * cosine)
    weights = weights / weights.sum(axis=0)
    return (features * weights[:, :, None]).sum(axis=0), cosine, weights


def carried_and_joined(features, embeddings, query, frames, flow=None):
    """As `joined`, of maps that are carried along their flow before.

    Args:
        features: [M * N, C, h, w].
        embeddings: [M * N, E, h, w].
        query: [N, E, h, w].
        frames: M.
        flow: [M * N, 2, h, w] or None.
    """
    if flow is not None:
        features, embeddings = flow_warp(features, flow), flow_warp(embeddings, flow)
    return joined(*(maps.reshape((frames, -1) + maps.shape[1:]) for maps in (features, embeddings)), query)
