"""A strategy of one's own in an experiment. $DEMO is the folder of `polymux demo`.

python examples/experiment/own_strategy.py results/
"""

import sys
from pathlib import Path

import numpy as np

import polymux as pm


def middle(source, target, budget, seed):
    """The examples nearest to the middle of the target; ties by content."""
    distance = np.linalg.norm(source.embeddings - target.embeddings.mean(axis=0), axis=1)
    return np.lexsort((source.hashes[:, 1], source.hashes[:, 0], distance))[:budget]


pm.STRATEGIES["middle"] = middle


def show(stage, done, total):
    """Where it is, as the command line says it."""
    print(f"{stage}: {done} of {total}" if total else stage)


if __name__ == "__main__":
    file = Path(__file__).with_name("slots.toml")
    print(pm.simulate(file, sys.argv[1], more=["middle"], progress=show).results)
