"""Which field of a run to ask for next, so that few requests are for what is not there yet.

A run appears step by step. So it is asked for by step, and what is absent shows what need not be asked for now:
later steps of the same parameter and level, and, where a whole step is absent, all that follows. A step may also be
absent because the server dropped it. So of the steps that the run has passed, the absence of one does not stand for
the others: one of them is drawn, and asked for next.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import timedelta
from itertools import zip_longest

from dwd_assets.fields.expected import Field
from dwd_assets.formats.fields import FieldKey

_PROBES = 3
"""By how many the fields of a step that are absent may outnumber those that came, before it ends a pass."""

CALM = timedelta(minutes=10)
"""A file that is older than this when it comes is not one of the run's newest: those after it will be there."""

_GAPS = 2
"""By how many the passed steps of a series that are absent may outnumber those that came, before it is left alone."""

_HOPELESS = 32
"""After so many passed steps that are absent, before anything came, no more of them are asked for in this pass."""

_MOST_BREAKDOWNS = 8
"""After so many errors of the server one after the other, nothing more is asked for."""

Series = tuple[str, str, int | None, int | None]


class StepOrder:
    """Hands out fields by step, and is told what became of them. Used by one thread.

    Within a step, constants after the others, the order is drawn by `draw`: so that a parameter that is no more
    cannot be the one for whose sake a run is taken to have ended, pass after pass. `passed`: the step in minutes
    that the run had reached before: an absence up to there says nothing of how far the run is.
    """

    def __init__(self, fields: Iterable[Field], draw: random.Random, passed: int = -1) -> None:
        drawn = [(field.key.step_minutes, _is_constant(field.key), draw.random(), field) for field in fields]
        in_order = [field for *_, field in sorted(drawn, key=lambda each: each[:3])]
        self._draw = draw
        self._passed = passed
        self._left: dict[Series, dict[FieldKey, Field]] = defaultdict(dict)
        """The passed fields that were not handed out yet."""

        for field in in_order:
            if self._is_passed(field.key):
                self._left[_series(field.key)][field.key] = field
        # The first of each series, then the second: so that each is heard of before a pass without success ends.
        turns = [list(left.values()) for left in self._left.values()]
        draw.shuffle(turns)
        behind = [field for turn in zip_longest(*turns) for field in turn if field is not None]
        self._ahead = deque([*behind, *(field for field in in_order if not self._is_passed(field.key))])
        self._all_constant = all(_is_constant(field.key) for field in self._ahead)
        telling = [field.key for field in self._ahead if self._tells(field.key)]
        self._series = len({_series(key) for key in telling})
        self._of_step = Counter(key.step_minutes for key in telling)
        self._came: Counter[int] = Counter()
        self._absent: Counter[int] = Counter()
        self._under_way: Counter[int] = Counter()
        self._series_under_way: Counter[Series] = Counter()
        self._gaps: Counter[Series] = Counter()
        self._skipped: set[Series] = set()
        self._latest: tuple[int, timedelta] = (-1, timedelta(0))
        self._breakdowns = 0
        self._in_vain = 0

    def next(self) -> Field | None:
        """The next field; none where nothing is left, or nothing before more is known of what is under way.

        None although nothing is under way means that the run has come no further.
        """
        while self._ahead:
            key = self._ahead[0].key
            if self._is_skipped(key) or self._was_drawn(key):
                self._ahead.popleft()
            elif self._is_doubtful(key):
                return None
            else:
                self._under_way[key.step_minutes] += 1
                self._series_under_way[_series(key)] += 1
                self._left[_series(key)].pop(key, None)
                return self._ahead.popleft()
        return None

    def came(self, key: FieldKey, age: timedelta) -> None:
        """A field came, or is the same as before; `age` is how long it had been on the server."""
        self._back(key)
        self._breakdowns = 0
        self._came[key.step_minutes] += 1
        self._gaps[_series(key)] -= self._is_passed(key)
        self._latest = max(self._latest, (key.step_minutes, age))

    def absent(self, key: FieldKey) -> None:
        """A field is not there yet."""
        self._back(key)
        self._breakdowns = 0
        self._absent[key.step_minutes] += self._tells(key)
        if self._is_passed(key):
            self._gaps[_series(key)] += 1
            self._in_vain += 0 if self._came else 1
            self._draw_next(_series(key))
        else:
            self._skipped.add(_series(key))

    def failed(self, key: FieldKey, *, by_server: bool) -> None:
        """A field did not come, or not as it should be; `by_server` where no file came at all."""
        self._back(key)
        self._breakdowns = self._breakdowns + 1 if by_server else 0
        if self._breakdowns >= _MOST_BREAKDOWNS:
            self.stop()

    def stop(self) -> None:
        """Hand out nothing more."""
        self._ahead.clear()

    def _is_passed(self, key: FieldKey) -> bool:
        return key.step_minutes <= self._passed

    def _is_skipped(self, key: FieldKey) -> bool:
        """Whether a field is probably absent too, by what was absent of its parameter and level."""
        series = _series(key)
        # Beyond what the run has passed one absence is enough: those steps are asked for when they are passed.
        most = _GAPS if self._is_passed(key) else 1
        # Neither are the next steps asked for of a series whose passed steps are left for another pass.
        is_hopeless = self._in_vain >= _HOPELESS and bool(self._left[series])
        return is_hopeless or series in self._skipped or self._gaps[series] >= most

    def _draw_next(self, series: Series) -> None:
        """Ask next for some passed step of a series: it shows whether the series lags, or lacks only some steps."""
        left = list(self._left[series].values())
        if left:
            self._ahead.appendleft(self._draw.choice(left))

    def _was_drawn(self, key: FieldKey) -> bool:
        """Whether a passed field was asked for already, out of its turn."""
        return self._is_passed(key) and key not in self._left[_series(key)]

    def _tells(self, key: FieldKey) -> bool:
        """Whether a field's absence tells of its step: constants are there at step 0, or not at all."""
        return self._all_constant or not _is_constant(key)

    def _tells_of_end(self, step: int) -> bool:
        """Whether what a step lacks can mean that the run has come no further."""
        # One that few parameters have (each quarter of an hour) tells nothing of the others.
        return self._of_step[step] * 2 >= self._series and step > self._passed

    def _is_doubtful(self, key: FieldKey) -> bool:
        """Whether a field is not to be asked for as long as no more is known."""
        step = key.step_minutes
        came, absent, is_calm = self._came[step], self._absent[step], self._latest[1] >= CALM
        if not is_calm and self._series_under_way[_series(key)]:
            return True
        if not self._tells_of_end(step):
            return False
        if is_calm:
            return not came and absent >= _PROBES
        if came:
            return self._under_way[step] + absent - came >= _PROBES
        unproven = sum(count for each, count in self._under_way.items() if not self._came[each])
        return unproven + absent >= _PROBES

    def _back(self, key: FieldKey) -> None:
        self._under_way[key.step_minutes] -= 1
        self._series_under_way[_series(key)] -= 1


def _series(key: FieldKey) -> Series:
    return key.parameter, key.level_type, key.level, key.member


def _is_constant(key: FieldKey) -> bool:
    return key.level_type == "time-invariant"
