"""`alongside contract wrap`: check a program's environment, then become the program."""

from __future__ import annotations

from alongside.cli import options
from alongside.components.wrap import wrapping
from alongside.contract.catalogue import wrap

command = options.ContractCommand(wrap.CONTRACT, wrapping.start)
