"""Tercel: machine-learning model inference."""

from ._tercel import __version__

__all__ = ["__version__"]
