"""The user's own code, by the name ``MODULE:FACTORY``."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from policyscope.errors import ProtocolError


def made_by(factory: str | Callable[..., Any], option: str, **arguments: Any) -> Any:
    """What a factory makes.

    Args:
        factory: ``MODULE:FACTORY``, looked for in the current folder too, as ``python -m`` does; or the callable.
        option: The option that said so, for an error.
        arguments: What it is called with, by position; their names are for an error.

    Raises:
        ProtocolError: There is none, or it is called in another way. What it raises itself passes through.
    """
    called = _imported(factory, option) if isinstance(factory, str) else factory
    try:
        inspect.signature(called).bind(*arguments.values())
    except TypeError as error:
        said = factory if isinstance(factory, str) else getattr(factory, "__name__", type(factory).__name__)
        name = said.rpartition(":")[2]
        raise ProtocolError(f"{option} {said} must be callable as {name}({', '.join(arguments)}): {error}") from error
    # Some callables that are written in C have no signature to ask for.
    except ValueError:
        pass
    return called(*arguments.values())


def _imported(where: str, option: str) -> Callable[..., Any]:
    module, _, attribute = where.partition(":")
    if not module or not attribute:
        raise ProtocolError(f"{option} {where} is not of the form MODULE:FACTORY")
    try:
        with _current_folder():
            found = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ProtocolError(f"{option} {where}: {error}; is its folder the current one or in PYTHONPATH?") from error
    except AttributeError as error:
        raise ProtocolError(f"{option} {where}: the module {module} has no {attribute}") from error
    if not callable(found):
        raise ProtocolError(f"{option} {where} is a {type(found).__name__}, nothing to be called")
    called: Callable[..., Any] = found
    return called


@contextmanager
def _current_folder() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
