"""Paths of the machine: taken out of everything that is published, because they tell names that are nobody's business."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BINARY = ("image/png", "image/jpeg", "application/pdf")
# where a kernel keeps the text of a cell; tried once for each word, for pictures in markup are words without end
_CELL = re.compile(r"(?<!\S)\S*[/\\]ipykernel_\d+[/\\]\d+\.py")
_END = r"(?![\w-]|\.\w)"  # a longer name is another folder


class Machine:
    """Names for the folders of this machine; what is called instead of them depends on the folder.

    >>> Machine({"/srv/crm/acme": "Acme"}).without({"data": "/srv/crm/acme", "file": "/srv/crm/acme/deals.csv"})
    {'data': 'Acme', 'file': 'Acme/deals.csv'}
    """

    def __init__(self, named: Mapping[str, str]) -> None:
        """Take the user's own folders; those of Python, of the user and of the run are known."""
        package = Path(__file__).parents[2]
        known = {
            **{str(Path(place)): "Python" for place in (sys.prefix, sys.base_prefix)},
            str(package): "forecasteval" if (package / "pyproject.toml").is_file() else "Python",
            str(Path.home()): "~",
            str(Path.cwd()): ".",
        }
        places: dict[str, str] = {}
        for place, name in {**known, **named}.items():
            for written in {place, str(Path(place).resolve())}:
                if Path(written).is_absolute() and len(Path(written).parts) > 1:
                    places |= {written: name, Path(written).as_posix(): name, repr(written)[1:-1]: name}
        self._names = places
        longest = sorted(places, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, longest))}){_END}")

    def without(self, content: Any) -> Any:
        """Text, or plain values that hold text, with names in the place of paths."""
        if isinstance(content, str):
            if "ipykernel_" in content:  # looked for first: a picture in markup is long, and a pattern slow
                content = _CELL.sub("the notebook", content)
            if any(place in content for place in self._names):
                content = self._pattern.sub(lambda found: self._names[found[1]], content)
            return content
        if isinstance(content, Mapping):
            for key, value in content.items():  # in place, for a notebook is more than a dict
                if key not in _BINARY and not isinstance(value, int | float | bool | None):
                    content[key] = self.without(value)  # type: ignore[index]
            return content
        if isinstance(content, list):
            content[:] = [self.without(value) for value in content]
        return content
