"""What rows there are, as a value: read from the bank for one request, or kept in memory by a service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from store import FALLBACK, RowInfo, Scope, Store
from tasks.equivalence import canonical

__all__ = ["LIVE", "RowListing"]

LIVE = "live"


@dataclass(frozen=True)
class RowListing:
    """The rows of a bank with their aliases.

    Attributes:
        infos: rows of all backbones, or of one task.
        defaults: the language in which a task is meant where none is named, by taskname, where one was chosen.
        fallbacks: the language that answers where one without a live row is named, likewise.
    """

    infos: Sequence[RowInfo] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, taskname: str | None = None) -> "RowListing":
        """Read the rows of a task; all rows if there are none under this very name, or no name is given."""
        found = store.rows.list(taskname=taskname) if taskname is not None else []
        return cls(found or store.rows.list(), store.defaults.all(), store.defaults.all(FALLBACK))

    @cached_property
    def _by_name(self) -> dict[str, list[RowInfo]]:
        found: dict[str, list[RowInfo]] = {}
        for info in self.infos:
            found.setdefault(info.scope.taskname, []).append(info)
        return found

    def of_task(self, taskname: str) -> list[RowInfo]:
        """Return the rows of a task; without any, those of a name with the same letters in another form of Unicode."""
        found = self._by_name.get(taskname, [])
        if found or taskname.isascii():
            return found
        wanted = canonical(taskname)
        return [info for name, infos in self._by_name.items() if canonical(name) == wanted for info in infos]

    def live(self, fingerprint: str | None = None) -> list[RowInfo]:
        """Return the live rows, of one backbone or of all, in order of taskname and language."""
        found = [i for i in self.infos if LIVE in i.aliases and fingerprint in (None, i.scope.fingerprint)]
        return sorted(found, key=lambda info: (info.scope.taskname, info.scope.lang, info.scope.fingerprint))

    def with_live(self, versions: Mapping[Scope, int], without_share: Collection[int] = ()) -> "RowListing":
        """Return the same listing with ``live`` at other versions of some scopes, and no share for some row ids."""
        if not versions and not without_share:
            return self

        def moved(info: RowInfo) -> RowInfo:
            if info.row_id in without_share:
                info = replace(info, share=0.0)
            if info.scope not in versions:
                return info
            others = {name for name in info.aliases if name != LIVE}
            mine = others | {LIVE} if versions[info.scope] == info.version else others
            return replace(info, aliases=tuple(sorted(mine)))

        return replace(self, infos=[moved(info) for info in self.infos])
