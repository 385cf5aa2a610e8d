"""A function of the user's that makes a network."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from longtail.facts.messages import quoted

Factory = Callable[..., nn.Module]
"""(num_classes=C) -> a new network; also given input_shape, the shape of one example, where it has that parameter."""


def check_factory(factory: Any) -> None:
    """Raise TypeError where this cannot make networks; called before data are read."""
    if isinstance(factory, nn.Module) or not callable(factory):
        what = f"a {type(factory).__name__}" if isinstance(factory, nn.Module) else quoted(factory)
        raise TypeError(
            f"network must be a function of num_classes that returns a new nn.Module, got {what}; "
            "pass the function or class that makes it, since every run starts from a new one"
        )
    parameters = _parameters(factory)
    if parameters is not None and not _accepts(parameters, "num_classes"):
        raise TypeError(
            f"network must take num_classes= by name, got {qualified(factory)}({', '.join(parameters)}); "
            "rename its parameter"
        )


def make(factory: Factory, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Call a factory; input_shape is passed where it is a parameter by that name.

    Raises:
        ValueError: the factory raises an error, or returns no `nn.Module`.
    """
    arguments: dict[str, Any] = {"num_classes": num_classes}
    if "input_shape" in (_parameters(factory) or {}):  # not through **kwargs, which pass it on to anything
        arguments["input_shape"] = input_shape
    try:
        model = factory(**arguments)
    except Exception as error:  # whatever the user's code raises
        given = ", ".join(f"{name}={value}" for name, value in arguments.items())
        raise ValueError(f"network {qualified(factory)}({given}) failed ({first_line(error)}); correct it") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"network {qualified(factory)} must return an nn.Module, got {quoted(model)}; return it")
    return model


def qualified(factory: Factory) -> str:
    """Return module and qualified name of a factory, and the arguments that a `functools.partial` gives it."""
    if isinstance(factory, partial):
        arguments = [*map(repr, factory.args), *(f"{name}={value!r}" for name, value in factory.keywords.items())]
        return f"{qualified(factory.func)}({without_addresses(', '.join(arguments))})"
    named: Any = factory if hasattr(factory, "__qualname__") else type(factory)
    return f"{named.__module__}.{named.__qualname__}"


def without_addresses(text: str) -> str:
    """Return the repr of an object without addresses in memory, which differ between processes."""
    return re.sub(r"0x[0-9a-fA-F]{6,}", "", text)


def first_line(error: Exception) -> str:
    """Return type and first line of an exception, shortened."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"


def _parameters(factory: Factory) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):  # of some callables written in C
        return None


def _accepts(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    by_name = parameters.get(name)
    if by_name is not None and by_name.kind is not inspect.Parameter.POSITIONAL_ONLY:
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
