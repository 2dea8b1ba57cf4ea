"""What goes wrong while a network is trained: a watcher that is told what happens, and the rules that it asks."""

from policyscope.training.watch.detected import Detected
from policyscope.training.watch.watcher import Watcher

__all__ = ["Detected", "Watcher"]
