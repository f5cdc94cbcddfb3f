"""What an alias points to at this moment, asked often and cheaply: MLflow's client takes a second to import.

It answers one question of the cache, "is it still the same model?", and nothing is acted upon by it. So a SQLite
registry is read directly; should MLflow ever change its tables, the client is asked instead, and only time is lost.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestrator.errors import NotFoundError
from orchestrator.registry import registry

ALIAS = re.compile(r"(?:models:/)?[^/@:\s]+@[^/@:\s]+")
"""A reference by alias, such as `penguins@champion`."""

_SQLITE = "sqlite:///"
_QUERY = """
SELECT tag.value FROM registered_model_aliases AS alias
JOIN model_version_tags AS tag ON tag.name = alias.name AND tag.version = alias.version AND tag.key = 'digest'
WHERE alias.name = ? AND alias.alias = ?
"""


def digest(tracking_uri: str, reference: str, *, state: Path) -> str:
    """The digest of the model version that `name@alias` names now; "" when nothing does, or it is no such reference."""
    if ALIAS.fullmatch(reference) is None:
        return ""
    name, _, alias = reference.removeprefix("models:/").partition("@")
    if tracking_uri.startswith(_SQLITE):
        file = Path(tracking_uri.removeprefix(_SQLITE))
        if not file.is_file():
            return ""
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as database:
                row = database.execute(_QUERY, (name, alias)).fetchone()
        except sqlite3.Error:
            pass
        else:
            return str(row[0]) if row else ""
    try:
        return registry.Registry.at(tracking_uri, state=state).version(reference).digest
    except NotFoundError:
        return ""
