"""`--engine ray:NAME`: any other engine, in several processes of a Ray cluster."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from promptbank.bank.session import Bank
from promptbank.cluster import map_on_ray
from promptbank.mt.engines.provider import EngineOffer, EngineProvider, EngineRequest
from translate import Engine, EngineInfo, Hypothesis, Segment

__all__ = ["RayEngine", "RayProvider"]

NAME = "ray"
CHUNK = 64  # texts of one task


@dataclass(frozen=True)
class EngineCall:
    """What an engine of another process is to do: open itself, and translate."""

    engine: str
    pair: tuple[str, str]
    beam: int | None
    characters: int
    segments: tuple[Segment, ...] = ()


class RayEngine:
    """An engine whose calls are divided among the processes of a cluster.

    Args:
        engine: name of the one that translates there.
        request: language pair and options.
    """

    def __init__(self, engine: str, request: EngineRequest) -> None:
        self._call = EngineCall(engine, request.pair, request.beam, request.characters)
        self._settings = request.settings
        self._info: EngineInfo = next(map_on_ray(_described, self._settings, [self._call]))[1]

    def info(self) -> EngineInfo:
        """Return what the engine says of itself; it takes any number of texts, which are divided here."""
        return replace(self._info, at_once=0)

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate, some texts a task, and put the translations in order."""
        size = self._info.at_once or CHUNK
        starts = range(0, len(segments), size)
        calls = {replace(self._call, segments=tuple(segments[start : start + size])): start for start in starts}
        found = {calls[call]: hypotheses for call, hypotheses in map_on_ray(_translated, self._settings, list(calls))}
        return [hypothesis for start in starts for hypothesis in found[start]]


class RayProvider(EngineProvider):
    """Opens the engine that is named behind "ray:", on a Ray cluster; "ray" alone is "ray:auto"."""

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Return the engine, which is opened on the cluster when it is opened here."""
        kind, _, engine = name.partition(":")
        if kind != NAME:
            return None
        chosen = engine or "auto"
        return EngineOffer(name, NAME, f"{chosen} on a Ray cluster", lambda: RayEngine(chosen, request))


def _described(bank: Bank, call: EngineCall) -> EngineInfo:
    return _engine(bank, replace(call, segments=())).info()


def _translated(bank: Bank, call: EngineCall) -> list[Hypothesis]:
    return _engine(bank, replace(call, segments=())).translate(call.segments)


@cache
def _engine(bank: Bank, call: EngineCall) -> Engine:
    from promptbank.mt.engines.providers import choose_engine, open_engine

    request = EngineRequest(*call.pair, call.beam, bank.settings, characters=call.characters)
    return open_engine(choose_engine(call.engine, request), request)
