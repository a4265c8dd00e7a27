"""Campaigns in which gold labels answer: the paper's experiments, on any model and data."""

from polymux.experiments.plan import planned
from polymux.experiments.simulation import Simulated, simulate

__all__ = ["Simulated", "planned", "simulate"]
