"""A strategy of one's own, known by name like the built-in ones; run it to see it choose."""

import numpy as np

import polymux as pm


def middle(source, target, budget, seed):
    """The examples nearest to the middle of the target; ties by content."""
    centre = target.embeddings.mean(axis=0)
    distance = np.linalg.norm(source.embeddings - centre, axis=1)
    order = np.lexsort((source.hashes[:, 1], source.hashes[:, 0], distance))
    return order[:budget]


pm.STRATEGIES["middle"] = middle

if __name__ == "__main__":
    draw = np.random.default_rng(0)
    source = draw.normal(size=(1000, 8)).astype(np.float32)
    target = draw.normal(loc=2.0, size=(50, 8)).astype(np.float32)
    doubt = -draw.random(1000).astype(np.float32)
    for name in ("middle", "average-dist", "knn-uncertainty"):
        print(f"{name:16}", *pm.select_encoded(source, doubt, target, budget=8, strategy=name))
