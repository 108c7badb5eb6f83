"""Parser of a command line: its errors say first what is wrong, and name the option that was probably meant."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from pytorch_designer.wording import nearest_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTION = re.compile(r"--[^=]+|-[A-Za-z][^=]*")


class CommandParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` without abbreviations and without its help in front of an error."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    @property
    def flags(self) -> frozenset[str]:
        """The options that take no value."""
        return frozenset(option for option, action in self._option_string_actions.items() if action.nargs == 0)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse; an unknown option is refused before anything else is found wrong."""
        for argument in args or ():
            if argument == "--":
                break
            option = _OPTION.match(argument)
            if option is not None and option[0] not in self._option_string_actions:
                self._refuse_option(option[0])
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"{' '.join(rest)} does not follow the name of an option")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Print the message and where to find help, and exit with code 2."""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end}\n`{self.prog} --help` shows what it takes.\n")

    def _refuse_option(self, option: str) -> NoReturn:
        nearest = nearest_name(option, (name for name in self._option_string_actions if name.startswith("--")))
        self.error(f"there is no option {option}" + (f"; did you mean {nearest}?" if nearest else ""))


def joined_options(arguments: Sequence[str], flags: frozenset[str]) -> list[str]:
    """Rewrite `--name value` as `--name=value`, so that a value such as -1e-3 is not taken for an option.

    Args:
        arguments: A command line.
        flags: The options that take no value.
    """
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("--") and "=" not in argument and argument not in flags:
            value = next(rest, None)
            if value is None or value.startswith("--"):
                joined += [argument] if value is None else [argument, value]
            else:
                joined.append(f"{argument}={value}")
        else:
            joined.append(argument)
    return joined
