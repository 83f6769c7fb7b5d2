"""Capture: a ModelSpec becomes a Program, which is an exported graph with its golden vectors."""

from deploypipe.capture.deployed import deployed
from deploypipe.capture.program import Program, capture
from deploypipe.capture.validate import resolve

__all__ = ["Program", "capture", "deployed", "resolve"]
