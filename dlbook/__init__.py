"""A deep-learning textbook whose code is tested: the same ideas by hand in NumPy and in PyTorch."""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"
__all__ = ["data", "figures", "history", "metrics", "pytorch", "scratch"]


def __getattr__(name: str) -> ModuleType:
    """Load a subpackage on first use, so that ``import dlbook`` costs nothing."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'dlbook' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
