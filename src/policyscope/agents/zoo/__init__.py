"""The zoo: trained agents with their cards and learning curves, loaded by ``zoo:NAME``."""

from policyscope.agents.zoo.cards import Card, Measured, Weights
from policyscope.agents.zoo.shelves import card, curve, names, path, place

__all__ = ["Card", "Measured", "Weights", "card", "curve", "names", "path", "place"]
