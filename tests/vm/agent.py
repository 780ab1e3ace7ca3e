"""Runs in the guest: starts the commands that the test host sends, and streams back what they say.

The wire is a virtio port with one JSON object a line. From the host come
`{"id", "do": "start", "command", "cwd", "env"}` and `{"id", "do": "signal", "signal"}`. To the host goes
`{"ready": "3.13.5"}` once, then for each command `{"id", "out" | "err": base64}` and at last `{"id", "rc"}`.
Commands run side by side, each in a session of its own.
"""

import base64
import json
import os
import platform
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

CHUNK_BYTES = 16384
# A command's rc waits this long for its pipes to close; a daemon it left behind may hold them open for ever.
DRAIN_S = 1.0


class Agent:
    """Serves one virtio port until the guest ends."""

    def __init__(self, port: Path) -> None:
        self._fd = os.open(port, os.O_RDWR)
        self._sending = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        self._send({"ready": platform.python_version()})
        with os.fdopen(self._fd, "rb", closefd=False) as port:
            for line in port:
                self._obey(json.loads(line))

    def _obey(self, request: dict[str, Any]) -> None:
        if request["do"] == "start":
            self._start(request)
        elif request["do"] == "signal" and (process := self._running.get(request["id"])):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, request["signal"])

    def _start(self, request: dict[str, Any]) -> None:
        process = subprocess.Popen(
            ["/bin/bash", "-c", request["command"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request["cwd"],
            env=os.environ | request["env"],
            start_new_session=True,
        )
        self._running[request["id"]] = process
        threading.Thread(target=self._follow, args=(request["id"], process), daemon=True).start()

    def _follow(self, command_id: int, process: subprocess.Popen[bytes]) -> None:
        streams = {"out": process.stdout, "err": process.stderr}
        pumps = [
            threading.Thread(target=self._pump, args=(command_id, name, pipe), daemon=True)
            for name, pipe in streams.items()
        ]
        for pump in pumps:
            pump.start()
        rc = process.wait()
        for pump in pumps:
            pump.join(DRAIN_S)
        del self._running[command_id]
        self._send({"id": command_id, "rc": rc})

    def _pump(self, command_id: int, name: str, pipe: IO[bytes]) -> None:
        while chunk := os.read(pipe.fileno(), CHUNK_BYTES):
            self._send({"id": command_id, name: base64.b64encode(chunk).decode()})

    def _send(self, message: dict[str, Any]) -> None:
        line = memoryview(json.dumps(message).encode() + b"\n")
        with self._sending:
            while line:
                line = line[os.write(self._fd, line) :]


if __name__ == "__main__":
    Agent(Path(sys.argv[1])).serve()
