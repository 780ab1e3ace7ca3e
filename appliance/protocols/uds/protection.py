"""Tells whether a gateway or certificates stand before an ECU. It asks; it defeats nothing.

Sources: certificates, gateways.

All probes are harmless: a session that is left again, and requests too short to be carried out. An ECU
answers those with "wrong length" (0x13); a gateway that filters by service refuses or drops them unread.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.protocols.access import EcuRefusedError, EcuSilentError, Refusal
from appliance.protocols.nrc import SECURITY_ACCESS_DENIED
from appliance.protocols.protection import Protection, ProtectionKind
from appliance.protocols.request import Request, positive
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.services.control import DEFAULT_SESSION, change_session, tester_present
from appliance.protocols.uds.services.unlock import authentication_configuration

EXTENDED_SESSION = 0x03
_PROBE_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class _Probe:
    name: str
    payload: bytes
    never_secured: bool
    """No ECU by itself asks for an unlock before this service."""

    def request(self) -> Request[bytes]:
        return Request(self.payload, positive(self.payload, 0), bytes, idempotent=True)


_PROBES = (
    _Probe("extended session", bytes((0x10, EXTENDED_SESSION)), never_secured=True),
    _Probe("clear fault codes", b"\x14", never_secured=True),
    _Probe("write data", b"\x2e\xf1\x90", never_secured=False),
    _Probe("start routine", b"\x31\x01", never_secured=False),
)


async def assess_protection(client: UdsClient) -> Protection:
    """Probe an ECU that answers reads. Raises EcuSilentError if it answers nothing, LinkLostError."""
    await _require_answering(client)
    certificates = await _certificate_evidence(client)
    if certificates:
        return Protection(ProtectionKind.CERTIFICATE, certificates)
    blocked: list[tuple[_Probe, str]] = []
    try:
        for probe in _PROBES:
            outcome = await _outcome(client, probe)
            if outcome is Refusal.AUTHENTICATION:
                kind = ProtectionKind.CERTIFICATE
                return Protection(kind, (f"{probe.name} is refused for want of a certificate",))
            if isinstance(outcome, str):
                blocked.append((probe, outcome))
    finally:
        await client.attempt(change_session(DEFAULT_SESSION))
    evidence = tuple(f"{probe.name} {how}, while reads are answered" for probe, how in blocked)
    suspicious = any(probe.never_secured for probe, _ in blocked) or len(blocked) > 1
    return Protection(ProtectionKind.GATEWAY if suspicious else ProtectionKind.NONE, evidence)


async def _require_answering(client: UdsClient) -> None:
    try:
        await client.ask(tester_present())
    except EcuRefusedError:
        return


async def _certificate_evidence(client: UdsClient) -> tuple[str, ...]:
    try:
        method = await client.ask(authentication_configuration(), attempts=_PROBE_ATTEMPTS)
    except EcuSilentError:
        return ()
    except EcuRefusedError as error:
        return (str(error),) if error.refusal is Refusal.AUTHENTICATION else ()
    return (f"service 0x29 answers with authentication method 0x{method:02X}",)


async def _outcome(client: UdsClient, probe: _Probe) -> str | Refusal | None:
    """How a probe was blocked, AUTHENTICATION, or None if the ECU itself took notice of it."""
    try:
        await client.ask(probe.request(), attempts=_PROBE_ATTEMPTS)
    except EcuSilentError:
        return "is dropped"
    except EcuRefusedError as error:
        if error.refusal is Refusal.AUTHENTICATION:
            return Refusal.AUTHENTICATION
        return "is refused (0x33)" if error.code == SECURITY_ACCESS_DENIED else None
    return None
