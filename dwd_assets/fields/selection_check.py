"""What a selection asks for and a model does not have: parameters, and levels of parameters."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace

from dwd_assets.fields.catalogue import ModelCatalogue
from dwd_assets.fields.parameter_folders import level_types
from dwd_assets.selection import Row, Selection

_NEAREST = 3
_LIKENESS = 0.4


def unmatched(selection: Selection, catalogue: ModelCatalogue) -> Iterator[str]:
    """A line for each parameter that is selected and that the model does not have, or not at such a level.

    Nothing where the model's parameters are not known.
    """
    known = sorted(catalogue.parameters)
    for row in selection.of_model(catalogue.model).rows if known else ():
        for pattern in row.parameters:
            yield from _unmatched(row, pattern, catalogue, known)


def _unmatched(row: Row, pattern: str, catalogue: ModelCatalogue, known: list[str]) -> Iterator[str]:
    model = catalogue.model
    alone = replace(row, parameters=(pattern,))
    found = [name for name in known if alone.takes_parameter(name)]
    if not found:
        nearest = difflib.get_close_matches(pattern, known, _NEAREST, _LIKENESS)
        yield f"{model} has no parameter {pattern!r}{'; nearest: ' if nearest else ''}{', '.join(nearest)}"
        return
    there = [_level_types(catalogue, name) for name in found]
    if all(types and not types & row.level_types for types in there):
        wanted, has = (", ".join(sorted(each)) for each in (row.level_types, set[str]().union(*there)))
        yield f"{model} has {pattern!r} at no level of type {wanted}; it has: {has}"


def _level_types(catalogue: ModelCatalogue, parameter: str) -> set[str]:
    """The types of level that are known of a parameter; nothing if none is."""
    found: set[str] = {level_type for level_type, _ in catalogue.old.get(parameter, ())}
    for name, entry in catalogue.v1.items():
        if name.lower() == parameter and entry is not None:
            found |= level_types(parameter, entry)
    return found
