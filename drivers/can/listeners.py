"""Who listens on a CAN port: frame handlers by identifier, and those who must know that the bus is gone."""

from __future__ import annotations

from collections.abc import Callable

from drivers.can.interface import CanBusGoneError, CanFrame, FrameHandler

GoneHandler = Callable[[CanBusGoneError], None]


class PortListeners:
    """The listening half of every CanPort."""

    def __init__(self) -> None:
        self.gone: CanBusGoneError | None = None
        self._by_id: dict[int, tuple[FrameHandler, ...]] = {}
        self._every: tuple[FrameHandler, ...] = ()
        self._gone_handlers: list[GoneHandler] = []

    def subscribe(self, handler: FrameHandler, can_ids: frozenset[int] | None = None) -> Callable[[], None]:
        """Call handler for each frame of other nodes (all, or only these ids); returns the unsubscriber."""
        self._add(handler, can_ids)
        return lambda: self._remove(handler, can_ids)

    def _add(self, handler: FrameHandler, can_ids: frozenset[int] | None) -> None:
        if can_ids is None:
            self._every = (*self._every, handler)
        for can_id in can_ids or ():
            self._by_id[can_id] = (*self._by_id.get(can_id, ()), handler)

    def _remove(self, handler: FrameHandler, can_ids: frozenset[int] | None) -> None:
        if can_ids is None:
            self._every = _without(handler, self._every)
        for can_id in can_ids or ():
            self._by_id[can_id] = _without(handler, self._by_id[can_id])

    @property
    def wanted_ids(self) -> frozenset[int] | None:
        """Identifiers that somebody listens to; None is all of them."""
        return None if self._every else frozenset(i for i, handlers in self._by_id.items() if handlers)

    def on_gone(self, handler: GoneHandler) -> Callable[[], None]:
        """Call handler once if the bus goes away; returns the unsubscriber."""
        self._gone_handlers.append(handler)
        return lambda: self._gone_handlers.remove(handler) if handler in self._gone_handlers else None

    def deliver(self, frame: CanFrame) -> None:
        """Hand a frame of another node to the subscribers."""
        for handler in self._by_id.get(frame.can_id, ()):
            handler(frame)
        for handler in self._every:
            handler(frame)

    def mark_gone(self, error: CanBusGoneError) -> None:
        """The bus is gone: tell everyone, once."""
        if self.gone is not None:
            return
        self.gone = error
        for handler in tuple(self._gone_handlers):
            handler(error)

    def require_bus(self) -> None:
        """Raises CanBusGoneError if there is no bus any more."""
        if self.gone is not None:
            raise CanBusGoneError(str(self.gone))


def _without(handler: FrameHandler, handlers: tuple[FrameHandler, ...]) -> tuple[FrameHandler, ...]:
    """Once less; a handler that is not there any more is nobody's mistake."""
    if handler not in handlers:
        return handlers
    at = handlers.index(handler)
    return handlers[:at] + handlers[at + 1 :]
