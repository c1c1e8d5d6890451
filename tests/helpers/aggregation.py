"""The definition of the aggregation of frames in NumPy (FGFA, arXiv 1703.10025, eq. 2 to 4), in float64."""
import numpy as np


def joined(features, embeddings, query):
    """Return (sum of the frames' features by weight [N, C, h, w], cosines [M, N, h, w], weights [M, N, h, w]).

    Args:
        features: [M, N, C, h, w].
        embeddings: [M, N, E, h, w].
        query: [N, E, h, w].
    """
    cosine = (embeddings * query).sum(axis=2) / np.sqrt((embeddings ** 2).sum(axis=2) * (query ** 2).sum(axis=1))
    weights = np.exp(cosine) / np.exp(cosine).sum(axis=0)
    return (features * weights[:, :, None]).sum(axis=0), cosine, weights
