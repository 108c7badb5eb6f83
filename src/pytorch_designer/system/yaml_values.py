"""Values of untrusted YAML: whatever cannot be read as one is a fault of the document, with its line.

PyYAML raises what its conversions happen to run into: an `AttributeError` for `!!timestamp soon`, a `KeyError` for
`!!bool maybe`, an `IndexError` for an empty `!!int`, a `ValueError` for the date 2026-13-40.
"""

from __future__ import annotations

from typing import Any

from yaml.constructor import ConstructorError, SafeConstructor


class FaultyValueConstructor(SafeConstructor):
    """Constructor of plain values, all of whose errors are of YAML and tell the line; it can be mixed into a loader."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """The value of a node.

        Raises:
            ConstructorError: It has none.
        """
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from error
        except (LookupError, AttributeError, TypeError) as error:
            kind = str(node.tag).rpartition(":")[2]
            raise ConstructorError(None, None, f"the value is not one of the type {kind}", node.start_mark) from error
