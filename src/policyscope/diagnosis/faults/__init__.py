"""Bugs that are put into healthy agents, to prove that the rules find them."""

from policyscope.diagnosis.faults.kind import Fault, Place, View
from policyscope.diagnosis.faults.pipeline import PIPELINE
from policyscope.diagnosis.faults.playing import play_faulty
from policyscope.diagnosis.faults.weighted import WEIGHTED
from policyscope.diagnosis.faults.wired import WIRED

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*WIRED, *WEIGHTED, *PIPELINE)}
"""Name -> kind of fault."""

__all__ = ["FAULTS", "Fault", "Place", "View", "play_faulty"]
