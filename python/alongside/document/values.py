"""Give the generated types what a dataclass would, without what it costs at each start.

A dataclass makes its methods by running generated code, about a millisecond a class. The command
that starts a node is there only until it becomes the node, so that is most of what it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value:
    """A value that never changes, made of the fields that its class annotates.

    Fields are given by keyword; those with a default may be left out. Two are equal where class
    and all fields are.
    """

    def __init__(self, **given: object) -> None:
        """Take the fields.

        Raises:
            TypeError: one is missing, or there is none of that name.
        """
        kind = type(self)
        names = kind.__annotations__
        unknown = [name for name in given if name not in names]
        missing = [name for name in names if name not in given and not hasattr(kind, name)]
        if unknown or missing:
            raise TypeError(f"{kind.__name__}: unknown {unknown}, missing {missing}")
        held = {name: given[name] if name in given else getattr(kind, name) for name in names}
        self.__dict__.update(held)

    if not TYPE_CHECKING:  # a checker that saw these would let every name be set

        def __setattr__(self, name: str, value: object) -> NoReturn:
            raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

        def __delattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{type(self).__name__}.{name} cannot be removed")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"
