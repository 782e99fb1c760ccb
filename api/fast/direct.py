"""Plain requests for what was asked for before, answered as they come from the network.

To read a request, to begin a task for it and to write headers one by one takes uvicorn nearly as long as the kernel
takes to send an image of 300 KB. So the application is shown what came before uvicorn is, and where it has an answer
(`api.fast.hot`), that goes out at once. Everything else, and whatever is not exactly one plain request between two
others, is uvicorn's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from api.fast import heads
from api.fast.joined import JoinedWrites
from api.replies.reply import Answer


class DirectAnswers(JoinedWrites):
    """A connection for `uvicorn.run(http=DirectAnswers)`, of an application that has `answers`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        config = named["config"]
        # Behind a prefix, an application knows its addresses by others than those on the wire.
        answers = None if config.root_path else getattr(config.loaded_app, "answers", None)
        self._answer: Answer | None = None if answers is None else answers()
        self._is_between = True
        self._answered_at = 0.0
        self._keeping: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._keep_no_more()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """The client caught up: what it asks for next, it may ask for from now on."""
        self._answered_at = self._loop.time()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Answer what came, or hand it on."""
        if self._answer is not None and self._is_between and self._is_quiet():
            answer = self._answer(data)
            if answer is not None:
                self._joined.answer(*answer)
                self._keep()
                return
        self._keep_no_more()
        before = self._inner.cycle
        super().data_received(data)
        cycle = self._inner.cycle
        # Of a request that came whole, and with it no more than its head: nothing is left over in uvicorn's parser.
        self._is_between = (
            cycle is not before and cycle is not None and not cycle.more_body and heads.ends_a_head(data)
        )

    def _is_quiet(self) -> bool:
        """Whether nothing is under way: no answer, in uvicorn or to the client, and no body.

        h11 begins a request that came behind another only later, when what it came with was judged already.
        """
        cycle = self._inner.cycle
        is_idle = cycle is None or (cycle.response_complete and not cycle.more_body)
        return is_idle and self._joined.is_quiet()

    def _keep(self) -> None:
        """Wait for the next request for as long as uvicorn does."""
        self._answered_at = self._loop.time()
        if self._keeping is None:
            self._wait_no_more()
            self._inner._unset_keepalive_if_required()  # its timer would end a connection that is in use
            self._keeping = self._loop.call_later(self._inner.timeout_keep_alive, self._unkept)

    def _unkept(self) -> None:
        left_s = self._answered_at + self._inner.timeout_keep_alive - self._loop.time()
        if left_s > 0 or not self._joined.is_quiet():  # a client may take long for an image
            self._keeping = self._loop.call_later(max(left_s, 1.0), self._unkept)
        else:
            self._keeping = None
            self._joined.close()

    def _keep_no_more(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
