"""What the card, the questionnaire, the pack and the agreement say: ``texts.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forecasteval.tables.document import read_facts

TEXTS: dict[str, Any] = read_facts(Path(__file__).with_name("texts.yaml"))
