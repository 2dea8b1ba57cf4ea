"""Bugs that are put into healthy agents, to prove that the rules find them."""

from policyscope.diagnosis.faults.behaviour import BEHAVIOUR
from policyscope.diagnosis.faults.kind import Fault, Place, View
from policyscope.diagnosis.faults.pipeline import PIPELINE
from policyscope.diagnosis.faults.playing import play_faulty
from policyscope.diagnosis.faults.weighted import WEIGHTED
from policyscope.diagnosis.faults.wired import WIRED

BIDIRECTIONAL = tuple(f"{stream}_lstm.layers.{layer}" for stream in ("policy", "value") for layer in (0, 1))
FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*WIRED, *WEIGHTED, *PIPELINE, *BEHAVIOUR)}
"""Name -> kind of fault."""

TRAINED: dict[str, Place] = {
    "zoo:faulty-link": Place(("network",), ("value",), ("value_lstm.layers.0", "advantage_lstm.layers.0")),
    "zoo:faulty-merge": Place(("network",), ("value",)),
    "zoo:faulty-stack": Place(("network", "observation")),
    "zoo:faulty-bidirectional": Place(("network",), layers=BIDIRECTIONAL),
}
"""The paper's mistakes as agents that were trained with them, and where they are."""

__all__ = ["FAULTS", "TRAINED", "Fault", "Place", "View", "play_faulty"]
