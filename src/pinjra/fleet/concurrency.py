"""What snippets took -> how many boxes there may be: more while they mostly wait and nothing gets slower, else fewer.

A box more is worth it when snippets sleep or wait for others, and does harm when the processors, or the machines far away, have
enough to do: then everything takes longer between the asking and the answer. So the limit grows by one box with each batch
while this delay is near the least that was seen. It shrinks ten times as slowly, to what the processors can use and while
delays are long: on a busy machine they differ tenfold by themselves. A box that does not come up is one too many.
"""

from __future__ import annotations

_SMOOTHING = 0.1  # of averages, for each snippet
_MOST_BATCH, _BATCH_SECONDS = 16, 0.2  # that go to a box together: one message there and back
_SLOW = 3.0  # times the least delay: above it nothing grows
_FORGOTTEN = 1.01  # the least delay rises so with each batch: what was once is not for ever
_LEAST_SHARE = 0.05
# Of a processor, that the fork and the end of a snippet take within its time, uncounted.
_FORK_SECONDS = 0.001
_SHRINKING = 0.1  # of a box, with each batch


class Concurrency:
    """A limit between `least` and `most`. Used under a lock."""

    def __init__(self, least: int, most: int, processors: int) -> None:
        self.least, self.most = least, max(most, least)
        self._processors = processors
        self._limit = float(least)
        self._share = 1.0  # of its time in which a snippet uses a processor
        self._wall = _BATCH_SECONDS / 4
        self._least_delay = float("inf")

    @property
    def limit(self) -> int:
        """Return how many boxes there may be now."""
        return int(self._limit + 0.01)

    @property
    def batch(self) -> int:
        """Return how many snippets may go to a box together: the last one should not wait long for the first."""
        return max(1, min(int(_BATCH_SECONDS / self._wall), _MOST_BATCH))

    @property
    def room(self) -> int:
        """Return how many snippets are worth having here at one time."""
        return self.most * _MOST_BATCH

    def learn(self, count: int, *, wall_seconds: float, cpu_seconds: float, delay_seconds: float) -> None:
        """Take what one batch took.

        Args:
            count: Its snippets.
            wall_seconds, cpu_seconds: Of these together.
            delay_seconds: How much longer it was under way, for each snippet.
        """
        if wall_seconds <= 0:
            return
        weight = 1.0 - (1.0 - _SMOOTHING) ** count
        used = cpu_seconds + count * _FORK_SECONDS
        self._share += weight * (min(used / wall_seconds, 1.0) - self._share)
        self._wall += weight * (wall_seconds / count - self._wall)
        self._least_delay = min(self._least_delay * _FORGOTTEN, delay_seconds)
        busy = max(self.least, min(self._processors / max(self._share, _LEAST_SHARE), self.most))
        if self._limit > busy or delay_seconds > _SLOW * self._least_delay:
            self.shrink(_SHRINKING)
        else:
            self._limit = min(self._limit + 1, busy)

    def shrink(self, boxes: float = 1.0) -> None:
        """Take boxes away, down to the least."""
        self._limit = max(self._limit - boxes, float(self.least))
