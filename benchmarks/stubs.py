"""A stand-in for torchvision, which two peers want at import and use for nothing that is measured or tested."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any


def stub_torchvision() -> None:
    """Puts empty modules where zennit and pytorch-grad-cam import names from, unless torchvision is installed."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return
    names: dict[str, tuple[str, ...]] = {
        "torchvision": (),
        "torchvision.models": (),
        "torchvision.models.vgg": (),
        "torchvision.models.resnet": ("Bottleneck", "BasicBlock"),
        "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
        "torchvision.transforms.functional": ("resize",),
        "torchvision.models.detection": (),
    }
    for name, attributes in names.items():
        module: Any = types.ModuleType(name)
        module.__path__ = []
        # A peer may ask find_spec for it later, which refuses modules without one.
        module.__spec__ = importlib.util.spec_from_loader(name, loader=None)
        for attribute in attributes:
            setattr(module, attribute, type(attribute, (), {}))
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
