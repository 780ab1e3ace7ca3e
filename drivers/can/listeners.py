"""Who listens on a CAN port: frame handlers by identifier, and those who must know that the bus is gone."""

from __future__ import annotations

from collections.abc import Callable

from drivers.can.interface import CanBusGoneError, CanFrame, FrameHandler

GoneHandler = Callable[[CanBusGoneError], None]


class PortListeners:
    """The listening half of every CanPort."""

    def __init__(self) -> None:
        self.gone: CanBusGoneError | None = None
        self._by_id: dict[int, list[FrameHandler]] = {}
        self._every: list[FrameHandler] = []
        self._gone_handlers: list[GoneHandler] = []

    def subscribe(self, handler: FrameHandler, can_ids: frozenset[int] | None = None) -> Callable[[], None]:
        """Call handler for each frame of other nodes (all, or only these ids); returns the unsubscriber."""
        lists = [self._every] if can_ids is None else [self._by_id.setdefault(i, []) for i in can_ids]
        for handlers in lists:
            handlers.append(handler)

        def unsubscribe() -> None:
            for handlers in lists:
                if handler in handlers:
                    handlers.remove(handler)

        return unsubscribe

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
        for handler in tuple(self._by_id.get(frame.can_id, ())):
            handler(frame)
        for handler in tuple(self._every):
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
