"""The names that dataclasses looks up for string annotations, and nothing else: the globals of generated methods.

A dataclass's methods are made from text in the namespace of the module that its class names. Guest classes name this one while
they are made, so that no module of the host ever becomes the globals of a function that a guest holds.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import KW_ONLY, InitVar
from typing import ClassVar

__all__ = ["KW_ONLY", "ClassVar", "InitVar", "dataclasses", "typing"]
