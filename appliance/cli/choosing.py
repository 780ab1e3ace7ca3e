"""Which job is meant: by a unique beginning of its id, or the newest that fits."""

from __future__ import annotations

from collections.abc import Callable

from appliance.cli.client import EngineClient
from appliance.cli.problems import JobChoiceError
from appliance.cli.screen import Screen
from appliance.cli.words import RESTING
from appliance.contract.jobs import ECU_IN_DANGER, JobState, may_move
from appliance.contract.told import JobTold

Job = JobTold
_LISTED = 8


def choose(
    client: EngineClient, screen: Screen, asked: str | None, fits: Callable[[Job], bool], missing: str
) -> Job:
    """The job asked for, or the newest that fits, which is then told. Raises JobChoiceError."""
    jobs = client.get("/v1/jobs", list[JobTold])
    if asked is not None:
        return _by_prefix(jobs, asked)
    for job in jobs:
        if fits(job):
            screen.note(f"Job {described(job)}")
            return job
    danger = next((job for job in jobs if in_danger(job)), None)
    if danger is not None:
        missing = _way_on(danger)
    raise JobChoiceError("NO_FITTING_JOB", "no job fits this command", missing)


def _way_on(job: Job) -> str:
    """Out of a write that is not over, for who asked for something else."""
    if job["state"] not in RESTING:
        return f"Job {job['id']} is being written now: `pitbox jobs --watch` shows it."
    recover = f"pitbox recover --job {job['id']}"
    return f"A write is not finished: `{recover}` finishes it, `{recover} --original` puts its original back."


def described(job: Job) -> str:
    """A job in a line."""
    car = ", ".join(one for one in (job["definition"], job["vin"]) if one)
    return f"{job['id']} ({car or 'no ECU yet'}, {job['state'].replace('_', ' ')})"


def readable(job: Job) -> bool:
    """Whether its ECU may be read now."""
    return may_move(JobState(job["state"]), JobState.READING)


def writable(job: Job) -> bool:
    """Whether it holds an original and a write may begin."""
    state = JobState(job["state"])
    return bool(job["original"]) and (state is JobState.PREFLIGHT or may_move(state, JobState.PREFLIGHT))


def has_original(job: Job) -> bool:
    """Whether its ECU was read in full."""
    return bool(job["original"])


def identified(job: Job) -> bool:
    """Whether its ECU is known."""
    return bool(job["definition"])


def in_danger(job: Job) -> bool:
    """Whether its ECU may be half written."""
    return JobState(job["state"]) in ECU_IN_DANGER


def any_job(_job: Job) -> bool:
    """The newest, whatever it is."""
    return True


def _by_prefix(jobs: list[Job], asked: str) -> Job:
    exact = [job for job in jobs if job["id"] == asked]
    found = exact or [job for job in jobs if job["id"].startswith(asked)]
    if not found:
        raise JobChoiceError("JOB_UNKNOWN", f"there is no job {asked}", "List the jobs with `pitbox jobs`.")
    if len(found) > 1:
        details = [described(job) for job in found[:_LISTED]]
        do_now = "Give more of its id."
        raise JobChoiceError("JOB_AMBIGUOUS", f"{len(found)} jobs begin with {asked}", do_now, details)
    return found[0]
