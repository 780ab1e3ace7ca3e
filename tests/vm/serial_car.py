"""A simulated ECU on the test host behind a serial CAN adapter, so that it outlives the guest it talks to.

    python -m tests.vm.serial_car --line LINE --definition FILE --data-dir DIR

LINE is a UNIX socket that QEMU gives the guest as a UART; `slcand` makes a CAN interface of it there. On the
line a frame is text, `tIIILDD..` or `TIIIIIIIILDD..` and a carriage return (the LAWICEL protocol).
"""

import argparse
import asyncio
import signal
from pathlib import Path

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_definition
from drivers.can.interface import BusHealth, CanFrame, SentHandler
from drivers.can.listeners import PortListeners
from simulator.car import Car, CarSettings
from simulator.wires import Wires


class SerialLine:
    """The wire: whichever guest is connected now."""

    def __init__(self, bitrate_bps: int) -> None:
        self.bitrate_bps = bitrate_bps
        self._ports: list[SerialPort] = []
        self._writer: asyncio.StreamWriter | None = None

    def attach(self, name: str) -> "SerialPort":
        """A node on the wire."""
        port = SerialPort(self)
        self._ports.append(port)
        return port

    def detach(self, port: "SerialPort") -> None:
        """The node leaves."""
        if port in self._ports:
            self._ports.remove(port)

    def put(self, frame: CanFrame) -> None:
        """To the guest; a guest that is not there hears nothing."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(frame))

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one guest until its power is cut."""
        self._writer = writer
        try:
            while line := await reader.readuntil(b"\r"):
                if (frame := decode(line)) is not None:
                    for port in tuple(self._ports):
                        port.deliver(frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class SerialPort(PortListeners):
    """One node's CanPort."""

    data_bitrate_bps = None

    def __init__(self, line: SerialLine) -> None:
        super().__init__()
        self.bitrate_bps = line.bitrate_bps
        self._line = line

    def send(self, frame: CanFrame, on_sent: SentHandler | None = None) -> None:
        """Sent is what the line took."""
        self._line.put(frame)
        if on_sent is not None:
            asyncio.get_running_loop().call_soon(on_sent)

    def health(self) -> BusHealth:
        """A clean link."""
        return BusHealth()

    def close(self) -> None:
        """Leave the wire."""
        self._line.detach(self)


def encode(frame: CanFrame) -> bytes:
    """A classic data frame as text."""
    identifier = f"T{frame.can_id:08X}" if frame.extended else f"t{frame.can_id:03X}"
    return f"{identifier}{len(frame.data)}{frame.data.hex().upper()}\r".encode()


def decode(line: bytes) -> CanFrame | None:
    """None for the adapter commands that the guest's kernel sends besides frames (open, bit rate)."""
    digits = {b"t": 3, b"T": 8}.get(line[:1])
    if digits is None:
        return None
    data = bytes.fromhex(line[digits + 2 : -1].decode())
    return CanFrame(int(line[1 : digits + 1], 16), data, extended=digits == 8)


async def _run(line_path: Path, definition_path: Path, data_dir: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    definition = load_definition(definition_path)
    line = SerialLine(uds_access(definition).bus.bitrate_bps)
    car = Car([definition], Wires(can=line), CarSettings(seed=7, data_dir=data_dir))
    try:
        async with await asyncio.start_unix_server(line.connected, line_path):
            car.power_up()
            print("ready", flush=True)
            await stop.wait()
    finally:
        car.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line", type=Path, required=True)
    parser.add_argument("--definition", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(_run(options.line, options.definition, options.data_dir))
