"""What API keys have used of their quotas, counted for all processes that share the bank.

A window is a stretch of time of one quota of one key; whoever counts names it. Counts are taken or refused in one
transaction, so processes that ask at once never take more than there is. They are forgotten when they no longer count,
and are no part of a copy of the bank.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from store.database import Repository
from store.schema import quota_use

LOCK = "quotas"


class QuotaRepository(Repository):
    """Count what is used in a window."""

    def use(self, window: str, amount: int, most: int, at: datetime, kept: timedelta) -> bool:
        """Add to a window, unless there would then be more in it than may be.

        Args:
            window: names it.
            amount: to add; below 0 gives back.
            most: in the window.
            at: the time, aware; windows that are no longer kept then are forgotten.
            kept: for how long the window counts, if it begins with this.

        Returns:
            Whether it was added.

        Raises:
            StoreError: the bank cannot be reached or written.
        """
        with self._database.write(LOCK) as connection:
            connection.execute(delete(quota_use).where(quota_use.c.ends_at <= at))
            here = quota_use.c.window_name == window
            used = connection.execute(select(quota_use.c.used).where(here)).scalar()
            if (used or 0) + amount > most:
                return False
            if used is None:
                connection.execute(insert(quota_use).values(window_name=window, used=amount, ends_at=at + kept))
            else:
                connection.execute(update(quota_use).where(here).values(used=max(0, used + amount)))
            return True

    def used(self, windows: Sequence[str]) -> list[int]:
        """Return what is used in each window, 0 in one that is not known."""
        with self._database.read() as connection:
            query = select(quota_use.c.window_name, quota_use.c.used).where(quota_use.c.window_name.in_(windows))
            found = {row.window_name: row.used for row in connection.execute(query)}
        return [found.get(window, 0) for window in windows]
