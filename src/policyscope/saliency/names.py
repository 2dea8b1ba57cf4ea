"""Names of layers: the path of the module that a call's weights belong to."""

from __future__ import annotations

import sys

from torch import Tensor, nn

# Attributes that are a module's weights, so that the module's path names the layer.
_OWN = ("weight", "weight_mu", "running_mean")


class Names:
    """Tells what the layers of a model are called.

    A weight that is a parameter of one module names it. Weights that are computed at each call (weight and spectral
    norm, noise, standardisation), replaced for it (``functional_call``) or shared by modules do not, so the module is
    looked for on the call stack.

    Args:
        model: Whose modules name the layers; None where there is none.
    """

    def __init__(self, model: nn.Module | None) -> None:
        self._paths: dict[int, str] = {}
        self._owners: dict[int, set[str]] = {}
        self._others: dict[int, str] = {}
        self._made_up: list[tuple[Tensor, str]] = []
        self._counts: dict[str, int] = {}
        for path, module in model.named_modules() if model is not None else ():
            clean = path.replace("_orig_mod.", "").replace("._orig_mod", "").replace("_orig_mod", "") or "model"
            self._paths[id(module)] = clean
            for attribute, tensor in {**module._parameters, **module._buffers}.items():
                if tensor is not None and attribute in _OWN:
                    self._owners.setdefault(id(tensor), set()).add(clean)
                elif tensor is not None:
                    self._others[id(tensor)] = f"{clean}.{attribute}" if path else attribute

    def of(self, anchor: Tensor | None, kind: str) -> str:
        """The name of a layer that is being called.

        Args:
            anchor: Its weight or running mean.
            kind: What a layer is called that belongs to no module, followed by a number.
        """
        owners = self._owners.get(id(anchor), set())
        if len(owners) == 1:
            return next(iter(owners))
        on_stack = self._module_on_stack()
        if on_stack is not None and (not owners or on_stack in owners):
            return on_stack
        if owners or id(anchor) in self._others:
            return min(owners) if owners else self._others[id(anchor)]
        for tensor, name in self._made_up:
            if tensor is anchor:
                return name
        taken = {*self._paths.values(), *self._others.values()}
        while True:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            name = f"{kind}{self._counts[kind]}"
            if name not in taken:
                break
        if anchor is not None:
            self._made_up.append((anchor, name))
        return name

    def _module_on_stack(self) -> str | None:
        """The innermost module that is running, where it is a layer: one without modules in it."""
        frame = sys._getframe(2)
        while frame is not None:
            first = frame.f_code.co_varnames[:1]
            owner = frame.f_locals.get(first[0]) if first and "/torch/utils/" not in frame.f_code.co_filename else None
            if isinstance(owner, nn.Module) and id(owner) in self._paths:
                inner = set(owner._modules) - {"parametrizations"}
                path = self._paths[id(owner)]
                return path if not inner and path != "model" else None
            frame = frame.f_back  # type: ignore[assignment]
        return None
