"""Frozen descriptions: what activations, losses, initializers and layers have in common.

A description is a frozen dataclass whose fields are numbers, names and other descriptions. It holds no array and no
state, compares by value, and goes into a model file as JSON and back.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

T = TypeVar("T", bound="Description")


class Description:
    """The base of frozen dataclasses that are known by their class's name within a family.

    A family is a direct subclass, such as `mlpx.activations.Activation`: its own subclasses register themselves.
    """

    family: ClassVar[str] = "description"
    known: ClassVar[dict[str, type[Any]]] = {}
    aliases: ClassVar[Mapping[str, str]] = {}
    hints: ClassVar[Mapping[str, str]] = {}
    """Names of other libraries, and what comes closest; they are not taken, but a message tells it."""
    also: ClassVar[str] = ""
    """What else may be chosen, for messages."""

    def __init_subclass__(cls, *, abstract: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if Description in cls.__bases__:
            cls.known = {}
        elif not (abstract or cls.__name__.startswith("_")):
            known = cls.known.setdefault(cls.__name__, cls)
            if known.__module__ != cls.__module__:
                msg = f"The name {cls.__name__!r} is taken by {known.__module__}.{cls.__name__}; choose another."
                raise TypeError(msg)
            cls.known[cls.__name__] = cls

    def _store(self, field: str, value: Any) -> None:
        """Set a field to its checked value; for `__post_init__` of frozen classes."""
        object.__setattr__(self, field, value)

    @property
    def name(self) -> str:
        """The name by which it is chosen."""
        return type(self).__name__

    @property
    def label(self) -> str:
        """What it is called where a network is printed."""
        return self.name

    @classmethod
    def get(cls: type[T], choice: Any) -> T:
        """Return a description from its name, or as it is.

        Parameters
        ----------
        choice : str or Description
            A name of the family, or one of its objects.

        Returns
        -------
        Description
            Of the class that it is called on.

        Raises
        ------
        ValueError
            For an unknown name, or a description that has no default.
        TypeError
            For what is neither a name nor of the family.
        """
        if isinstance(choice, cls):
            return choice
        if not isinstance(choice, str):
            example = choice.__name__ if isinstance(choice, type) else next(iter(cls.known))
            msg = f"`{cls.family}` must be a name or an object such as {example}(), got {choice!r}."
            raise TypeError(msg)
        name = cls.aliases.get(choice, choice)
        if name not in cls.known:
            msg = (
                f"`{cls.family}` must be one of {', '.join(cls._names())}{cls.also}; got {choice!r}.{cls._near(choice)}"
            )
            raise ValueError(msg)
        try:
            found: T = cls.known[name]()
        except TypeError as error:
            msg = f"`{cls.family}` {choice!r} needs its parameters: give an object, such as {name}(...)."
            raise ValueError(msg) from error
        return found

    @classmethod
    def _names(cls) -> list[str]:
        """Return the names to choose from; what is made from a user's own function or text has none."""
        written = {"function", "text"}
        own = {name for name, known in cls.known.items() if written & {*getattr(known, "__dataclass_fields__", {})}}
        return sorted({*cls.known, *cls.aliases} - own)

    @classmethod
    def _near(cls, choice: str) -> str:
        """Return a sentence that asks whether the name that comes closest was meant; empty where none is close."""
        by_lower = {name.lower(): name for name in (*cls._names(), *cls.hints)}
        near = difflib.get_close_matches(choice.lower(), by_lower, n=1)
        if not near:
            return ""
        name = by_lower[near[0]]
        return f" Did you mean {cls.hints.get(name, name)!r}?"

    @classmethod
    def _from_fields(cls: type[T], fields: dict[str, Any]) -> T:
        """Return the description with these fields; for classes whose arguments are others."""
        return cls(**fields)

    def to_config(self) -> dict[str, Any]:
        """Return the name and the fields as JSON can hold them.

        Returns
        -------
        dict
            ``"name"`` and the fields; tuples as lists.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"name": self.name, **{key: _to_json(value) for key, value in fields.items()}}

    @classmethod
    def from_config(cls: type[T], config: Any) -> T:
        """Return the description that `to_config` wrote.

        Parameters
        ----------
        config : mapping
            What `to_config` gave.

        Returns
        -------
        Description
            Of the class that it is called on.

        Raises
        ------
        ValueError
            For anything else.
        """
        name = config.get("name") if isinstance(config, Mapping) else None
        if not isinstance(name, str) or name not in cls.known:
            msg = (
                f"Unknown {cls.family} {name!r}. If it is a class of your own, import the module that defines it first."
            )
            raise ValueError(msg)
        fields = {key: _from_json(value) for key, value in config.items() if key != "name"}
        try:
            built: T = cls.known[name]._from_fields(fields)
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"The {cls.family} {name!r} cannot be built: {error}"
            raise ValueError(msg) from error
        return built


def name_of(function: Any, otherwise: str) -> str:
    """Return the name of a function that somebody wrote, or `otherwise` where it has none of its own."""
    name = getattr(function, "__name__", "<lambda>")
    return otherwise if name == "<lambda>" else name


def _to_json(value: Any) -> Any:
    if isinstance(value, Description):
        return {"family": value.family, **value.to_config()}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        families = {family.family: family for family in Description.__subclasses__()}
        family = families.get(value.get("family", ""))
        if family is None:
            msg = f"Unknown family {value.get('family')!r}."
            raise ValueError(msg)
        return family.from_config({key: item for key, item in value.items() if key != "family"})
    return tuple(_from_json(item) for item in value) if isinstance(value, list) else value
