"""The story: identify, read twice, seal, tune, write, lose power, recover, verify, compare fault codes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from appliance.cli.answer import Answer
from appliance.cli.demo.scenarios import SCENARIOS, Scenario
from appliance.cli.demo.supervisor import Supervisor
from appliance.cli.demo.tuner import Edits, calibration_of, edit, slice_of_srec
from appliance.cli.exits import exit_of
from appliance.cli.operation_client import perform
from appliance.cli.problems import EngineLostError, FileProblemError
from appliance.cli.reporting import report_lines
from appliance.cli.screen import Screen
from appliance.cli.verbs.checking import dtc_lines
from appliance.cli.verbs.reading import identify_lines, read_lines
from appliance.cli.verbs.writing import result_lines
from appliance.cli.words import error_lines, proof_line, size
from appliance.contract.errors import PitboxError
from appliance.contract.report import Report
from appliance.contract.results import FaultCodes, Identified, ReadDone, Verified, Written
from appliance.contract.told import DefinitionTold, Snapshot

Given = TypeVar("Given")
REPORT_KEYS = (
    "result",
    "definition",
    "evidence",
    "identity",
    "method",
    "reads",
    "sealed",
    "gates",
    "blocks",
    "verify",
    "dtcs",
    "voltage",
    "wire",
    "interruptions",
    "seconds",
)


def play(options: argparse.Namespace, screen: Screen, kind: type[Story]) -> Answer:
    """The whole job; its report, and the exit status of the step it ended with. Raises PitboxError."""
    began = time.perf_counter()
    scenario = SCENARIOS[options.scenario]
    definition = options.definition or scenario.definition
    with Supervisor(definition, options.seed, options.keep, scenario.engine) as box:
        story = kind(box, screen, scenario, seed=options.seed, cut=options.cut)
        failure = story.play()
        report = story.report()
    if options.report_file is not None:
        _save(options.report_file, story_of(report))
    ending = f"{time.perf_counter() - began:.1f} s here, {report['seconds']:.0f} s on the car's clock."
    shown: Report = {**report, "gates": []}
    told = report_lines(shown)  # the gates were shown when they mattered
    lines = ["", "The report:", *told, ending]
    return (
        Answer(story_of(report), lines)
        if failure is None
        else Answer(story_of(report), lines, exit_of(failure))
    )


def _does_it(prompt: str) -> str:
    """The technician of the story does what is asked for: the first of the choices."""
    return prompt.partition(":")[0].partition("/")[0]


def _save(path: Path, report: Mapping[str, object]) -> None:
    try:
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        what = f"{path}: {error.strerror}"
        raise FileProblemError("FILE_NOT_MADE", what, "Choose another file for --json.") from error


def story_of(report: Report) -> dict[str, object]:
    """What a report tells of the demo."""
    whole: Mapping[str, object] = {**report}
    return {key: whole[key] for key in REPORT_KEYS}


class Story:
    """One job on one simulated car."""

    def __init__(self, box: Supervisor, screen: Screen, scenario: Scenario, *, seed: int, cut: bool) -> None:
        self._box = box
        self._screen = screen
        self._scenario = scenario
        self._seed = seed
        self._cut = cut
        self._chapter = 0
        self._job = ""
        self._definition = ""

    def play(self) -> PitboxError | None:
        """Play to the end; the error it ended with, once there is a job. Raises PitboxError before."""
        self._tell("Pitbox demo: the whole job on a simulated car. Nothing of this touches a real ECU.")
        self._screen.hands = _does_it
        self._box.start()
        self._identify()
        try:
            self._read()
            self._write(self._tune())
            self._verify()
            self._compare_dtcs()
        except PitboxError as error:
            self._box.keep_folder()
            self._screen.tell(error_lines(error))
            return error
        return None

    def report(self) -> Report:
        """The engine's report of the job. Raises PitboxError."""
        return self._box.client.get(f"/v1/jobs/{self._job}/report", Report)

    def _identify(self) -> None:
        self._begin(self._scenario.begins)
        result = perform(self._box.client, self._screen, "identify", Identified, pause=None, retry=None)
        self._job, self._definition = result["job"], result["definition"]
        self._screen.tell(identify_lines(result))

    def _read(self) -> None:
        self._begin("Read twice, compare, seal")
        self._screen.tell(read_lines(self._perform("read", ReadDone)))

    def _tune(self) -> Edits:
        self._begin("The tuner changes the calibration, in memory: no file lies on this disk in the clear")
        known = self._box.client.get("/v1/definitions", list[DefinitionTold])
        region = calibration_of(next(one for one in known if one["id"] == self._definition))
        exported = self._box.client.download(f"/v1/jobs/{self._job}/export?format=srec").decode("ascii")
        content = slice_of_srec(exported, region["place"]["start"], region["place"]["length"])
        edits = edit(content, [sector["length"] for sector in region["sectors"]], self._seed)
        where = f"region {region['name']} ({size(len(content))}), in {edits.sectors} of its sectors"
        self._tell(f"  {edits.changed_bytes} bytes of {where}. The checksums are left to the box.")
        return edits

    def _write(self, edits: Edits) -> None:
        if not self._cut:
            self._begin("Write only what differs")
            self._screen.tell(result_lines(self._write_file(edits)))
            return
        self._begin("Write only what differs, and lose power in the middle")
        self._arm(edits.cut_at_byte)
        try:
            result = self._write_file(edits)
        except EngineLostError:
            self._come_back()
        else:
            self._tell("  The write was over before the power cut could strike.")
            self._screen.tell(result_lines(result))

    def _write_file(self, edits: Edits) -> Written:
        given: dict[str, object] = {"correct_checksums": True}
        if self._scenario.engine_off:
            self._tell("  This ECU tells no engine speed: the technician has seen that the engine is off.")
            given["engine_off"] = True
        return self._perform("write", Written, upload=self._box.client.upload(edits.content), **given)

    def _arm(self, at_byte: int) -> None:
        """Restart the box with the fault in its simulated car; the job is in the journal, not in memory."""
        fault = {"kind": "box_dies", "on": "programmed", "at": at_byte}
        self._box.stop()
        self._box.start(json.dumps({"faults": [fault]}))
        self._tell(f"  (Armed: car and box lose their supply after {at_byte:,} programmed bytes.)")

    def _come_back(self) -> None:
        if not self._box.notice_death():
            raise EngineLostError("write", in_danger=True)
        self._tell("✘ Dark. Car and box have lost their supply while the ECU was being programmed.")
        self._begin("Power is back: the supervisor starts the box again, and the box looks into its journal")
        self._box.start()
        for job in self._box.client.get("/v1/snapshot", Snapshot)["recoverable"]:
            self._tell("⚠ ECU is half written. Do not start the engine. Nothing is lost.")
            self._tell(
                f"  VIN {job['vin'] or 'not told'}, job {job['id']}: fix the power, ignition on, resume."
            )
        self._finish()

    def _finish(self) -> None:
        self._begin("Recover: finish the write")
        self._screen.tell(result_lines(self._perform("recover", Written)))

    def _verify(self) -> None:
        self._begin("Verify once more, on its own")
        self._tell(f"✔ The ECU holds what it should: {proof_line(self._perform('verify', Verified))}")

    def _compare_dtcs(self) -> None:
        self._begin("Fault codes after, against those before")
        result = self._perform("dtc", FaultCodes)
        before = self.report()["dtcs"]["before"] or []
        new = [one["code"] for one in result["dtcs"] if one["code"] not in before]
        compared: FaultCodes = {**result, "before": before, "new": new}
        self._screen.tell(dtc_lines(compared))

    def _perform(self, verb: str, gives: type[Given], **parameters: object) -> Given:
        """An operation on the job, with what it cost on either clock."""
        before, began = self.report()["seconds"], time.perf_counter()
        result = perform(
            self._box.client,
            self._screen,
            verb,
            gives,
            {"job": self._job, **parameters},
            pause=None,
            retry=None,
        )
        simulated, real = self.report()["seconds"] - before, time.perf_counter() - began
        self._tell(f"  [{simulated:.1f} s on the car's clock, {real:.1f} s here]")
        return result

    def _begin(self, title: str) -> None:
        self._chapter += 1
        self._screen.tell(["", f"{self._chapter}. {title}"])

    def _tell(self, line: str) -> None:
        self._screen.tell([line])
