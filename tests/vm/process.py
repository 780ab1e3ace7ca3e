"""The host's end of the guest's agent: commands that run in the guest, and the line that carries them."""

import base64
import json
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class GuestError(Exception):
    """The guest did not do what a test needs; the message ends with what its console said last."""


class GuestLostError(GuestError):
    """The guest ended (power cut, crash, panic) while something of it was awaited."""


class GuestTimeoutError(GuestError):
    """The guest runs on, but what was awaited did not happen in time."""


@dataclass(frozen=True)
class Completed:
    """A command that ended: its exit status (-n when signal n ended it) and all it wrote."""

    command: str
    rc: int
    out: str
    err: str


class Process:
    """A command in the guest, made by `Guest.spawn`; each wait has a limit in seconds of the host's clock."""

    def __init__(self, link: "Link", command_id: int, command: str) -> None:
        self._link = link
        self._command_id = command_id
        self.command = command
        self._rc: int | None = None
        self._streams = {"out": bytearray(), "err": bytearray()}

    def poll(self) -> int | None:
        """The exit status, or None while the command runs."""
        return self._rc

    def output(self) -> str:
        """What the command wrote to stdout so far."""
        return self._text("out")

    def errors(self) -> str:
        """What the command wrote to stderr so far."""
        return self._text("err")

    def wait(self, timeout_s: float = 60) -> Completed:
        """The finished command. Raises GuestTimeoutError (the command runs on) or GuestLostError."""
        self._link.wait_until(lambda: self._rc is not None, timeout_s, self._describe("did not end"))
        assert self._rc is not None
        return Completed(self.command, self._rc, self.output(), self.errors())

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Return once stdout or stderr has `text`; raises GuestError when the command ends without it."""

        def said() -> bool:
            return text in self.output() or text in self.errors()

        self._link.wait_until(
            lambda: said() or self._rc is not None, timeout_s, self._describe(f"did not say {text!r}")
        )
        if not said():
            raise GuestError(self._describe(f"ended with {self._rc} and never said {text!r}")())

    def signal(self, number: int) -> None:
        """Send a signal to the command and all its children; a finished command is left alone."""
        self._link.send({"id": self._command_id, "do": "signal", "signal": int(number)})

    def kill(self) -> None:
        """SIGKILL to the command and its children; the guest runs on (`Guest.kill` is the power cut)."""
        self.signal(signal.SIGKILL)

    def take(self, message: dict[str, Any]) -> None:
        """Note what the agent said of this command (called by the link's reader)."""
        for name in self._streams.keys() & message.keys():
            self._streams[name] += base64.b64decode(message[name])
        self._rc = message.get("rc", self._rc)

    def _text(self, name: str) -> str:
        return bytes(self._streams[name]).decode(errors="replace")

    def _describe(self, what: str) -> Callable[[], str]:
        return lambda: (
            f"in the guest, {self.command!r} {what}\n--- out\n{self.output()}--- err\n{self.errors()}"
        )


class Link:
    """The line to the agent: sends requests, and files each answer with its command in a reader thread."""

    def __init__(self, listener: socket.socket, epilogue: Callable[[], str]) -> None:
        """QEMU connects to `listener`; `epilogue` (the console's tail) ends the message of every error."""
        self._listener = listener
        self._epilogue = epilogue
        self._changed = threading.Condition()
        self._processes: dict[int, Process] = {}
        self._socket: socket.socket | None = None
        self._lost = False
        self.python = ""

    def open(self, timeout_s: float) -> None:
        """Wait for the guest's agent to report; `python` is its interpreter's version from then on."""
        self._listener.settimeout(timeout_s)
        try:
            self._socket, _ = self._listener.accept()
        except TimeoutError:
            raise GuestTimeoutError(f"QEMU did not start in {timeout_s} s\n{self._epilogue()}") from None
        threading.Thread(target=self._read, args=(self._socket,), daemon=True).start()
        self.wait_until(lambda: self.python != "", timeout_s, lambda: "the guest's agent did not report")

    def start(self, command: str, cwd: str, env: dict[str, str]) -> Process:
        command_id = len(self._processes)
        process = self._processes[command_id] = Process(self, command_id, command)
        self.send({"id": command_id, "do": "start", "command": command, "cwd": cwd, "env": env})
        return process

    def send(self, request: dict[str, Any]) -> None:
        try:
            if self._socket is None:
                raise BrokenPipeError
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise GuestLostError(f"the guest is gone\n{self._epilogue()}") from error

    def wait_until(self, happened: Callable[[], bool], timeout_s: float, describe: Callable[[], str]) -> None:
        """Raises GuestTimeoutError or GuestLostError, with `describe` and the console, when it does not."""
        with self._changed:
            self._changed.wait_for(lambda: happened() or self._lost, timeout_s)
            if happened():
                return
            lost = self._lost
        if lost:
            raise GuestLostError(f"the guest ended: {describe()}\n{self._epilogue()}")
        raise GuestTimeoutError(f"after {timeout_s} s: {describe()}\n{self._epilogue()}")

    def close(self) -> None:
        self._listener.close()
        if self._socket is not None:
            self._socket.close()

    def _read(self, line: socket.socket) -> None:
        try:
            with line.makefile("rb") as answers:
                for answer in answers:
                    self._take(json.loads(answer))
        except (OSError, json.JSONDecodeError):
            pass  # QEMU was killed; a power cut may cut an answer in two
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        with self._changed:
            if "ready" in message:
                self.python = message["ready"]
            else:
                self._processes[message["id"]].take(message)
            self._changed.notify_all()
