"""The story of an ECU that its car cannot bring back: out of it, wire by wire, and finished there."""

from __future__ import annotations

from appliance.cli.demo.story import Story
from appliance.cli.verbs.writing import result_lines
from appliance.cli.words import error_lines
from appliance.contract.errors import PitboxError
from appliance.contract.results import Written

_ACCESS = "bench"


class BenchStory(Story):
    """A write over OBD that loses its supply, and is finished on the bench."""

    def _finish(self) -> None:
        self._begin("Recover, still in the car: the boot loader of this ECU does not talk over OBD")
        try:
            self._perform("recover", Written)
        except PitboxError as error:
            if error.code != "NEEDS_BENCH":
                raise
            self._screen.tell(error_lines(error))
        self._begin("To the bench: each wire by a question; ground, supply and current checked by the box")
        self._box.stop()
        self._box.start(further=("--bench",))
        result = self._perform("recover", Written, access=_ACCESS)
        self._tell_entry()
        self._screen.tell(result_lines(result))
        self._begin("Back into its car: wires off, plug in, ignition on")
        self._box.stop()
        self._box.start()
        self._tell("  The box and the car are as they were, and the ECU starts by itself.")

    def _tell_entry(self) -> None:
        """What the journal keeps of the way in."""
        for event in self._box.client.told_after(0):
            if event["kind"] != "entry" or event["access"] != _ACCESS or event["outcome"] == "begun":
                continue
            if "answered" not in event["what"]:
                self._tell(f"  {event['outcome']}: {event['what']}")
