"""Built-in components and templates, which the command passes to the designer.

The designer knows no component by name. A document names components by their files, so that it runs elsewhere as it
is: the files of built-in components are written into the project when a document first uses one.

    PROJECT/components/NAME.yaml       the components
    PROJECT/components/environment/    what they run in
    PROJECT/components/src/            their code
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

COMPONENTS_FOLDER = "components"
BUILT_IN_PREFIX = "builtin:"


@dataclass(frozen=True)
class BuiltInComponents:
    """Built-in components.

    Attributes:
        texts: The YAML text of each, by name, as it is written into a project. Called when it is needed first.
        write: Writes all of them into the `components` folder of a project. Files that are there stay as they are. It
            raises an OSError where it cannot.
    """

    texts: Callable[[], Mapping[str, str]]
    write: Callable[[Path], None]


NO_COMPONENTS = BuiltInComponents(texts=dict, write=lambda project: None)


@dataclass(frozen=True)
class PipelineTemplate:
    """Pipeline to begin with.

    Attributes:
        template_id: Its stable name.
        name: Its name for people.
        description: One sentence: what it does.
        text: YAML. Components are `builtin:NAME`, which become the paths of their files.
        write_data: Writes the data that it names into the folder of the new document, or None where it names none. It
            raises an OSError where it cannot.
    """

    template_id: str
    name: str
    description: str
    text: str
    write_data: Callable[[Path], None] | None = None
