"""`python -m simulator` in a process of its own, on a bus of python-can's."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.definitions.access.uds import uds_access
from appliance.definitions.loader import load_all
from appliance.protocols.isotp.interface import IsoTpAddress
from appliance.protocols.isotp.link import SoftIsoTpLink
from drivers.can.pythoncan import open_port
from simulator.__main__ import main
from tests.support.multicast import group, needs_multicast

ROOT = Path(__file__).parents[3]


@contextmanager
def simulator(*arguments: str) -> Iterator[dict[str, object]]:
    command = [sys.executable, "-m", "simulator", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


@needs_multicast
def test_another_process_reads_the_ecu_over_the_network(tmp_path: Path) -> None:
    definition, channel = load_all().get("pbx-x050"), group()

    async def read_vin() -> bytes:
        port = open_port("udp_multicast", channel, uds_access(definition).bus.bitrate_bps)
        own = uds_access(definition).addressing
        link = SoftIsoTpLink(port, IsoTpAddress(own.request_id, own.response_id))
        try:
            await link.send(b"\x22\xf1\x90")
            return await link.receive(60)
        finally:
            link.close()
            port.close()

    bus = f"udp_multicast:{channel}"
    with simulator("--definition", definition.id, "--bus", bus, "--data-dir", str(tmp_path)) as ready:
        assert ready["ready"] is True
        assert ready["bus"] == bus
        answer = asyncio.run(read_vin())
    assert answer == b"\x62\xf1\x90" + definition.simulation.vin.encode()
    assert (tmp_path / "pbx-x050.flash").stat().st_size == 256 * 1024


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--definition", "no-such-ecu", "--bus", "virtual:x"], "no-such-ecu"),
        (["--definition", "pbx-x050", "--bus", "nothing:x"], "nothing"),
        (["--definition", "pbx-x050", "--bus", "socketcan:nocan7"], "nocan7"),
        (["--definition", "/nowhere/at/all.toml", "--bus", "virtual:x"], "all.toml"),
        (["--definition", "pbx-x050", "--bus", "virtual:x", "--fault", "{"], "JSON"),
        (["--definition", "pbx-x050"], "--bus"),
        (["--definition", "pbx-k7", "--bus", "virtual:x"], "pbx-k7 has none"),
        (["--definition", "pbx-x050", "--bus", "virtual:x", "--image", __file__], "the image has"),
    ],
)
def test_what_cannot_be_started_says_why(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert word in capsys.readouterr().err


def test_a_bus_is_named_by_interface_and_channel(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--definition", "pbx-x050", "--bus", "vcan0"])
    assert stopped.value.code == 2
    assert "INTERFACE:CHANNEL" in capsys.readouterr().err


def test_an_ecu_on_a_k_line_tells_its_terminal() -> None:
    with simulator("--definition", "pbx-k15") as ready:
        assert ready["ready"] is True
        kind, _, device = str(ready["kline"]).partition(":")
        assert kind == "terminal" and Path(device).is_char_device()
        assert "bus" not in ready
        assert ready["ecus"] == [
            {"definition": "pbx-k15", "wake": "fast", "wake_address": None, "target": 1, "rate_bps": 10_400}
        ]
