"""Settings: who wins, where a value came from, and that a wrong one is told with all others."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptbank.cluster import is_ray, map_on_ray
from promptbank.config import Settings, backbones_folder, load_settings, make_home
from promptbank.errors import ConfigError


def written(home: Path, text: str) -> dict[str, object]:
    home.mkdir(exist_ok=True)
    (home / "promptbank.toml").write_text(text, encoding="utf-8")
    return {"home": home}


def origins_of(flags: dict[str, object], environment: dict[str, str]) -> dict[str, str]:
    return {o.name: o.origin for o in load_settings(flags, environment)[1]}


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    flags = written(tmp_path / "home", "threads = 3\n")
    environment = {"PROMPTBANK_THREADS": "2"}
    seen = [
        load_settings(flags | {"threads": 1}, environment)[0].threads,
        load_settings(flags, environment)[0].threads,
        load_settings(flags, {})[0].threads,
        load_settings({"home": tmp_path / "empty"}, {})[0].threads,
    ]
    assert seen == [1, 2, 3, 0]


OTHER_VALUES = {"db": "sqlite:///x{n}.db", "backbone": "b{n}", "host": "10.0.0.{n}", "port": "80{n}", "engine": "e{n}"}


@pytest.mark.parametrize("name", [name for name in Settings.__dataclass_fields__ if name != "home"])
def test_each_setting_is_taken_from_every_place_in_the_order_of_precedence(name: str, tmp_path: Path) -> None:
    """By hand: value n comes from place n, and taking the first place away shows the next one."""
    values = [
        OTHER_VALUES.get(name, "{n}024" if "max_" in name or "batch" in name else "2{n}").format(n=n + 6)
        for n in range(3)
    ]
    is_text = name in OTHER_VALUES and name != "port"
    flags = written(tmp_path / "home", f"{name} = {values[2]!r}\n" if is_text else f"{name} = {values[2]}\n")
    variable = {f"PROMPTBANK_{name.upper()}": values[1]}
    places = [(flags | {name: values[0]}, variable), (flags, variable), (flags, {})]
    for value, (given_flags, environment) in zip(values, places, strict=True):
        assert str(getattr(load_settings(given_flags, environment)[0], name)) == value


def test_the_settings_file_is_the_one_that_is_named_or_lies_in_the_home(tmp_path: Path) -> None:
    flags = written(tmp_path / "home", "threads = 3\n")
    (tmp_path / "etc.toml").write_text("threads = 4\n")
    named = {"PROMPTBANK_CONFIG": str(tmp_path / "etc.toml")}
    settings, origins = load_settings(flags, named)
    assert (settings.threads, origins[3].origin) == (4, str(tmp_path / "etc.toml"))
    with pytest.raises(ConfigError, match=r"no\.toml \(from PROMPTBANK_CONFIG\) is not there"):
        load_settings(flags, {"PROMPTBANK_CONFIG": str(tmp_path / "no.toml")})
    (tmp_path / "home" / "config.toml").write_text("threads = 5\n")  # as it was called first
    with pytest.raises(ConfigError, match=r"has promptbank\.toml and config\.toml; keep the settings"):
        load_settings(flags, {})
    (tmp_path / "home" / "promptbank.toml").unlink()
    assert load_settings(flags, {})[0].threads == 5


def test_every_setting_has_its_origin_in_order(tmp_path: Path) -> None:
    flags = written(tmp_path / "home", "max_body = 2048\n") | {"backbone": "tiny", "threads": None}
    found = origins_of(flags, {"PROMPTBANK_BATCH_TOKENS": "64", "PROMPTBANK_MAX_RECORDS": ""})
    assert found == {
        "home": "flag",
        "db": "default",
        "backbone": "flag",
        "threads": "default",
        "batch_tokens": "PROMPTBANK_BATCH_TOKENS",
        "max_records": "default",
        "max_body": str(tmp_path / "home" / "promptbank.toml"),
        "max_tokens": "default",
        "body_seconds": "default",
        "canary_agreement": "default",
        "host": "default",
        "port": "default",
        "workers": "default",
        "engine": "default",
        "backbones": "default",
    }
    assert list(found) == [*Settings.__dataclass_fields__, "backbones"]


def test_the_folder_of_backbones_is_told_with_where_it_is_said(tmp_path: Path) -> None:
    named = {"PROMPTBANK_CACHE": str(tmp_path / "cache")}
    told = load_settings({"home": tmp_path / "home"}, named)[1][-1]
    assert (told.name, told.value, told.origin) == ("backbones", str(tmp_path / "cache"), "PROMPTBANK_CACHE")
    (tmp_path / "home" / "backbones").mkdir(parents=True)  # the home's own win
    told = load_settings({"home": tmp_path / "home"}, named)[1][-1]
    assert (told.value, told.origin) == (str(tmp_path / "home" / "backbones"), "default")


def test_the_bank_lies_in_the_home_unless_told(tmp_path: Path) -> None:
    assert load_settings({}, {"PROMPTBANK_HOME": str(tmp_path)})[0].db == f"sqlite:///{tmp_path}/bank.db"
    elsewhere = {"PROMPTBANK_HOME": str(tmp_path), "PROMPTBANK_DB": "sqlite:///other.db"}
    assert load_settings({}, elsewhere)[0].db == "sqlite:///other.db"


def test_the_home_is_below_the_users_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({}, {})[0].home == tmp_path / ".promptbank"
    assert load_settings({"home": "~/bank"}, {})[0].home == tmp_path / "bank"
    monkeypatch.chdir(tmp_path)
    assert load_settings({"home": "bank"}, {"PROMPTBANK_HOME": "/elsewhere"})[0].home == tmp_path / "bank"


def test_the_home_of_an_unknown_user_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"home is '' \(from flag\)"):
        load_settings({"home": ""}, {"PROMPTBANK_HOME": "/elsewhere"})
    with pytest.raises(ConfigError, match=r"~no-such-user-here/x \(from PROMPTBANK_HOME\) names a user's"):
        load_settings({}, {"PROMPTBANK_HOME": "~no-such-user-here/x"})


def test_all_wrong_values_are_told_at_once_with_where_they_stand(tmp_path: Path) -> None:
    wrong = 'batch_tokens = 63\nmax_records = true\nmax_body = 4096.5\nbackbone = ["tiny"]\n'
    flags = written(tmp_path / "home", wrong)
    with pytest.raises(ConfigError) as told:
        load_settings(flags | {"db": ""}, {"PROMPTBANK_THREADS": "many"})
    for part in (
        "db is '' (from flag)",
        "backbone is ['tiny']",
        "threads is 'many' (from PROMPTBANK_THREADS); it must be a whole number from 0 to 1024",
        f"batch_tokens is 63 (from {tmp_path / 'home' / 'promptbank.toml'}); it must be a whole number from 64",
        "max_records is True",
        "max_body is 4096.5",
    ):
        assert part in str(told.value)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("threads", 0, 1024),
        ("batch_tokens", 64, 1_000_000),
        ("max_records", 1, 100_000),
        ("max_body", 1024, 2_147_483_648),
        ("max_tokens", 16, 1_000_000),
        ("body_seconds", 1, 3600),
        ("canary_agreement", 0, 100),
        ("port", 0, 65_535),
        ("workers", 1, 64),
    ],
)
def test_the_ends_of_a_range_are_in_it_and_their_neighbours_are_not(name: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(load_settings({"home": "x"}, {f"PROMPTBANK_{name.upper()}": str(value)})[0], name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"from {low} to {high}"):
            load_settings({"home": "x"}, {f"PROMPTBANK_{name.upper()}": str(value)})


@pytest.mark.parametrize("content", [b"threads = \n", b"[threads\n", b"\xff\xfe = 1\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "promptbank.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"promptbank\.toml is no valid TOML"):
        load_settings({"home": tmp_path}, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    flags = written(tmp_path, "threads = 1\n")
    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(ConfigError, match=r"promptbank\.toml cannot be read \(Permission denied\)"):
        load_settings(flags, {})


def test_unknown_keys_are_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown keys: Threads, home; known: db, backbone, threads"):
        load_settings(written(tmp_path / "home", 'home = "x"\nThreads = 1\nthreads = 1\n'), {})


def test_resolving_settings_makes_no_folder(tmp_path: Path) -> None:
    load_settings({"home": tmp_path / "a" / "b"}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_made_with_its_parents_and_made_again_in_peace(tmp_path: Path) -> None:
    for _ in range(2):
        make_home(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("below", ["", "home", "deep/home"])
def test_a_home_at_or_below_a_regular_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ConfigError, match=r"cannot be used .*set PROMPTBANK_HOME to a folder"):
        make_home(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "kept"


@given(
    user=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    password=st.text("abcXYZ0189:@/%#?&=+-_.", min_size=1).map(lambda text: f"<{text}>"),
)
def test_a_password_is_never_among_the_origins(user: str, password: str) -> None:
    url = f"postgresql://{user}:{password}@host:5432/bank"
    settings, origins = load_settings({"home": os.sep, "db": url}, {})
    assert settings.db == url
    shown = next(o.value for o in origins if o.name == "db")
    assert shown == f"postgresql://{user}:***@host:5432/bank"


def test_a_password_in_the_query_is_hidden_too() -> None:
    url = "postgresql://host/bank?user=me&password=secret&sslmode=require"
    shown = next(o.value for o in load_settings({"home": "x", "db": url}, {})[1] if o.name == "db")
    assert shown == "postgresql://host/bank?user=me&password=***&sslmode=require"


@pytest.mark.parametrize("url", ["sqlite:///a/bank.db", "postgresql://me@host/bank", "bank.db", "postgresql://h:5/b"])
def test_an_address_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert next(o.value for o in load_settings({"home": "x", "db": url}, {})[1] if o.name == "db") == url


def test_a_file_of_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("threads = 2\r\n", encoding="utf-8-sig")
    assert load_settings({"home": str(tmp_path)}, {})[0].threads == 2


def test_a_home_keeps_its_own_backbones_and_another_shares_those_of_the_cache_or_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home, users, cache = tmp_path / "home", tmp_path / ".promptbank" / "backbones", tmp_path / "cache"
    named = {"PROMPTBANK_CACHE": "~/cache"}
    assert (backbones_folder(home, {}), backbones_folder(home, named)) == (home / "backbones", cache)
    users.mkdir(parents=True)
    (users / ".half-built").mkdir()
    assert backbones_folder(home, {}) == home / "backbones"  # the user has none either
    (users / "gemma").mkdir()
    assert (backbones_folder(home, {}), backbones_folder(home, named)) == (users, cache)
    assert backbones_folder(home, {"PROMPTBANK_CACHE": ""}) == home / "backbones"
    (home / "backbones").mkdir(parents=True)
    assert (backbones_folder(home, {}), backbones_folder(home, named)) == (home / "backbones",) * 2


def test_work_goes_to_ray_only_where_it_is_told_so_and_needs_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = load_settings({"home": os.sep}, {})
    assert not is_ray(settings)
    assert is_ray(load_settings({"home": os.sep}, {"PROMPTBANK_ENGINE": "ray"})[0])
    with pytest.raises(ConfigError, match="engine is 'dask'; possible: local, ray"):
        is_ray(load_settings({"home": os.sep}, {"PROMPTBANK_ENGINE": "dask"})[0])
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"needs Ray; run pip install 'promptbank\[ray\]'"):
        next(map_on_ray(lambda _bank, item: item, settings, [1]))
