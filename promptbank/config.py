"""Settings: where the home and the bank are, which backbone, how many threads.

Precedence: flag, then environment (``PROMPTBANK_*``), then the settings file, then default; every value knows where it
came from. The file is the one that ``PROMPTBANK_CONFIG`` names, else ``promptbank.toml`` in the home, or
``config.toml`` there, as it was called first. Nothing is read at import; `load_settings` is called by the CLI and the
service.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from promptbank.errors import ConfigError

__all__ = ["Origin", "Settings", "backbones_folder", "default_db", "default_file", "load_settings", "make_home"]

CONFIG_FILES = ("promptbank.toml", "config.toml")


@dataclass(frozen=True)
class Settings:
    """The resolved settings.

    Attributes:
        home: folder of everything that is kept (``bank.db``, ``backbones/``, ``mt/``, ``runs/``).
        db: database URL; ``sqlite:///<home>/bank.db`` unless told.
        backbone: built-in name, hub id, path or GGUF file of the frozen model.
        threads: threads of torch; 0 leaves its own choice.
        batch_tokens: padded tokens of one inference batch.
        max_records: most records of one HTTP request.
        max_body: most bytes of one HTTP request.
        max_tokens: most tokens of the prompt of one record of an HTTP request.
        body_seconds: in which the body of an HTTP request must have arrived.
        canary_agreement: per cent of a canary's answers that must be those of the live version; 0 compares none.
        host: address that the service listens on; this machine alone unless told.
        port: of the service; 0 takes a free one.
        workers: processes of the service, each with a backbone of its own.
        engine: where experiments and the service run: local, or ray for a Ray cluster.
    """

    home: Path
    db: str
    backbone: str = "gemma-3-270m"
    threads: int = 0
    batch_tokens: int = 4096
    max_records: int = 256
    max_body: int = 1_048_576
    max_tokens: int = 4096
    body_seconds: int = 30
    canary_agreement: int = 50
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    engine: str = "local"


@dataclass(frozen=True)
class Origin:
    """A setting's value and where it came from: "flag", an environment variable's name, a file, or "default"."""

    name: str
    value: str
    origin: str


NAMES = tuple(field.name for field in fields(Settings) if field.name != "home")
_NUMBERS = {
    "threads": (0, 1024),
    "batch_tokens": (64, 1_000_000),
    "max_records": (1, 100_000),
    "max_body": (1024, 2**31),
    "max_tokens": (16, 1_000_000),
    "body_seconds": (1, 3600),
    "canary_agreement": (0, 100),
    "port": (0, 65_535),
    "workers": (1, 64),
}


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str]) -> tuple[Settings, list[Origin]]:
    """Resolve the settings.

    Args:
        flags: values given on the command line; None means not given.
        environment: usually ``os.environ``.

    Returns:
        The settings, and each one's origin in the order of `Settings`.

    Raises:
        ConfigError: all faults at once: a number out of range, an unknown key of the file, a file that is no TOML.
    """
    home, home_origin = _home(flags, environment)
    given = {name: (value, "flag") for name, value in flags.items() if value is not None}
    variables = {name: f"PROMPTBANK_{name.upper()}" for name in NAMES}
    told = {name: (environment[key], key) for name, key in variables.items() if environment.get(key)}
    defaults = {f.name: (f.default, "default") for f in fields(Settings)} | {"db": (default_db(home), "default")}
    found: dict[str, tuple[object, str]] = {**defaults, **_read(_file(home, environment)), **told, **given}
    values: dict[str, Any] = {"home": home}
    faults: list[str] = []
    for name in NAMES:
        values[name] = (_number if name in _NUMBERS else _text)(name, *found[name], faults)
    if faults:
        raise ConfigError("; ".join(faults))
    origins = [Origin(name, _shown(name, values[name]), found[name][1]) for name in NAMES]
    return Settings(**values), [Origin("home", str(home), home_origin), *origins, _backbones(home, environment)]


def default_file(home: Path) -> Path:
    """Return the bank of a home, unless another database is named."""
    return home / "bank.db"


def default_db(home: Path) -> str:
    """Return the URL of `default_file`."""
    return f"sqlite:///{default_file(home)}"


def backbones_folder(home: Path, environment: Mapping[str, str]) -> Path:
    """Return the folder of the converted backbones of a home.

    A home that has its own ``backbones/`` keeps it. Any other shares the folder that ``PROMPTBANK_CACHE`` names, or,
    where the variable is not set, ``~/.promptbank/backbones`` if that holds backbones. An empty variable shares none.
    """
    own, named = home / "backbones", environment.get("PROMPTBANK_CACHE")
    if own.is_dir() or named == "":
        return own
    if named is not None:
        return Path(os.path.expanduser(named)).absolute()
    users = Path(os.path.expanduser("~/.promptbank/backbones"))
    return users if _holds_folders(users) else own


def _backbones(home: Path, environment: Mapping[str, str]) -> Origin:
    is_named = "PROMPTBANK_CACHE" in environment and not (home / "backbones").is_dir()
    folder = backbones_folder(home, environment)
    return Origin("backbones", str(folder), "PROMPTBANK_CACHE" if is_named else "default")


def _holds_folders(path: Path) -> bool:
    try:
        return any(entry.is_dir() for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError:
        return False


def make_home(home: Path) -> None:
    """Create the home folder.

    Raises:
        ConfigError: it cannot be made or written, for example because it lies below a regular file.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"the home {home} cannot be used ({exc.strerror}); set PROMPTBANK_HOME to a folder that can be written"
        ) from exc


def _home(flags: Mapping[str, object], environment: Mapping[str, str]) -> tuple[Path, str]:
    given, origin = "~/.promptbank", "default"
    if (named := flags.get("home")) is not None:
        given, origin = str(named), "flag"
    elif environment.get("PROMPTBANK_HOME"):
        given, origin = environment["PROMPTBANK_HOME"], "PROMPTBANK_HOME"
    if not given:
        raise ConfigError("home is '' (from flag); name a folder, or leave --home out")
    try:
        return Path(given).expanduser().absolute(), origin
    except RuntimeError as exc:
        raise ConfigError(f"the home {given} (from {origin}) names a user's folder that is not known here") from exc


def _file(home: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the settings file, or None where there is none."""
    if named := environment.get("PROMPTBANK_CONFIG"):
        path = Path(os.path.expanduser(named)).absolute()
        if not path.exists():
            raise ConfigError(f"{path} (from PROMPTBANK_CONFIG) is not there; make it, or unset the variable")
        return path
    found = [home / name for name in CONFIG_FILES if (home / name).is_file()]
    if len(found) > 1:
        raise ConfigError(f"{home} has {' and '.join(CONFIG_FILES)}; keep the settings in {CONFIG_FILES[0]} alone")
    return found[0] if found else None


def _read(path: Path | None) -> dict[str, tuple[object, str]]:
    """Read the settings file, if there is one."""
    if path is None:
        return {}
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is no valid TOML: {exc}") from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read ({exc.strerror}); make it readable, or move it away") from exc
    if unknown := sorted(set(read) - set(NAMES)):
        raise ConfigError(f"{path}: unknown keys: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    return {name: (value, str(path)) for name, value in read.items()}


def _number(name: str, raw: object, origin: str, faults: list[str]) -> int:
    low, high = _NUMBERS[name]
    try:
        value = int(str(raw))
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        faults.append(f"{name} is {raw!r} (from {origin}); it must be a whole number from {low} to {high}")
    return value


def _text(name: str, raw: object, origin: str, faults: list[str]) -> str:
    if not isinstance(raw, str) or not raw:
        faults.append(f"{name} is {raw!r} (from {origin}); it must be text that is not empty")
    return str(raw)


def _shown(name: str, value: object) -> str:
    """Return a setting as people may read it; in the database's address passwords are masked."""
    if name != "db" or str(value).startswith("sqlite:"):
        return str(value)
    from store.address import masked  # imports SQLAlchemy, which the default does not need

    return masked(str(value))
