"""What a network that is being trained looks at: fixed states, one watched pass, scalars and a picture."""

from policyscope.training.probe.saliency_probe import SaliencyProbe

__all__ = ["SaliencyProbe"]
