"""``policy.toml``: which flag means what, as a file."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from translate.checks import FLAGS, Limits, Policy, Severity
from translate.errors import PolicyError

__all__ = ["load_policy"]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    severities: dict[str, Severity] = {}
    limits: dict[str, float | None] = {}


def load_policy(path: Path) -> Policy:
    """Load a policy: a table ``[severities]`` of flags, a table ``[limits]`` of figures; both may be absent.

    Raises:
        PolicyError: the file cannot be read, is no TOML, or names what does not exist; all faults at once.

    An example::

        [severities]
        number_mismatch = "review"   # info, warn, review or drop

        [limits]
        low_score = -1.5
    """
    try:
        read = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise PolicyError(f"the policy {path} cannot be read: {exc}") from exc
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise PolicyError(f"the policy {path}: {said}") from exc
    known = {one.name for one in fields(Limits)}
    if unknown := sorted(set(read.limits) - known):
        raise PolicyError(
            f"the policy {path} names the limit {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    return Policy(read.severities, Limits(**read.limits)).checked(FLAGS)  # type: ignore[arg-type]  # checked above
