"""ECU access over UDS, entirely from a definition."""

from __future__ import annotations

from appliance.definitions.access.uds import UdsAccessDefinition
from appliance.definitions.schema import Definition
from appliance.protocols.transforms import SecretNamed, none_supplied
from appliance.protocols.uds.addressing import wire_of
from appliance.protocols.uds.checking import MemoryProof
from appliance.protocols.uds.client import UdsClient
from appliance.protocols.uds.faults import FaultMemory
from appliance.protocols.uds.identity import Identification
from appliance.protocols.uds.lifecycle import UdsLifecycle
from appliance.protocols.uds.link_health import CanLink
from appliance.protocols.uds.memory import UdsMemory
from appliance.protocols.uds.metering import TransferMeter
from appliance.protocols.uds.opening import Opener
from appliance.protocols.uds.reading import MemoryReader
from appliance.protocols.uds.wire import Wire
from appliance.protocols.uds.writing import MemoryWriter
from drivers.can.interface import CanPort


class UdsAccess:
    """Implements EcuAccess. The links belong to whoever made the client."""

    def __init__(
        self,
        definition: UdsAccessDefinition,
        client: UdsClient,
        ecu: Definition,
        secret: SecretNamed = none_supplied,
        port: CanPort | None = None,
        wire: Wire | None = None,
    ) -> None:
        """One of the ECU's accesses; `secret` gives what its owner supplied.

        `port` is the bus, where that may be listened to; `wire` the links and the person, for steps that
        leave the one or ask the other.

        Raises PitboxError if an unlock algorithm is missing.
        """
        meter = TransferMeter(wire_of(definition))
        if wire is not None:
            wire.on_rate = meter.at_rate
        opener = Opener(client, definition, ecu.id, secret, wire)
        proof = MemoryProof(client, definition)
        self.identity = Identification(client, definition)
        self.lifecycle = UdsLifecycle(definition, client, opener, self.identity, proof)
        transfers = self.lifecycle.transfers
        steps = definition.steps.read or ()
        reader = MemoryReader(client, definition.reading, transfers, meter, steps)
        writer = MemoryWriter(client, definition, transfers, meter, secret)
        reaches = definition.reaches(ecu.memories)
        self.memory = UdsMemory(client, opener, reader, writer, proof, meter, definition.wire_start, reaches)
        self.diagnostics = FaultMemory(client, self.identity)
        self.link = None if port is None else CanLink(port)
