"""``policy.toml``: the severities of flags and the limits of checks, as a file."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from translate.checks import FLAGS, CheckLimits, FlagPolicy, Severity
from translate.errors import PolicyError

__all__ = ["load_policy"]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    severities: dict[str, Severity] = {}
    limits: dict[str, Annotated[float, Field(allow_inf_nan=False)] | None] = {}


def load_policy(path: Path) -> FlagPolicy:
    """Load a policy; both tables may be absent.

    Raises:
        PolicyError: the file cannot be read, is no TOML, or names what does not exist; all faults at once.

    An example::

        [severities]
        number_mismatch = "review"   # info, warn, review or drop

        [limits]
        low_score = -1.5
    """
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise PolicyError(f"the policy {path} cannot be read: {exc}") from exc
    read, limits, faults = _File(), CheckLimits(), list[str]()
    try:
        read = _File.model_validate(plain)
        limits = TypeAdapter(CheckLimits).validate_python(read.limits)
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
    named = {table: set(rows) for table, rows in plain.items() if isinstance(rows, dict)}
    for kind, table, known in (
        ("flag", "severities", FLAGS),
        ("limit", "limits", {one.name for one in fields(CheckLimits)}),
    ):
        if unknown := sorted(named.get(table, set()) - known):
            faults.append(f"names the {kind} {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if faults:
        raise PolicyError(f"the policy {path}: {'; '.join(faults)}")
    return FlagPolicy(read.severities, limits)
