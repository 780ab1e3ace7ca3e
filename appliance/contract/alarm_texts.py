"""What alarms may say, in English: the one place where their words are made, by key and fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.contract.catalogue import Field, Phrase, spelled

ALARMS: dict[str, str] = {
    # --- the supply
    "supply_outside": "Supply {volts:.1f} V ({source}, {age_s:.1f} s ago), wanted {min_v:.1f} to {max_v:.1f} "
    "V: waiting between blocks. Do not switch the ignition off; connect a programming supply.",
    "supply_lost": "Supply no reading for {age_s:.1f} s, {volts:.1f} V ({source}) before that; wanted "
    "{min_v:.1f} to {max_v:.1f} V: waiting between blocks. Do not switch the ignition off; connect a "
    "programming supply.",
    "supply_unread": "Supply no reading, wanted {min_v:.1f} to {max_v:.1f} V: waiting between blocks. "
    "Do not switch the ignition off; connect a programming supply.",
    "supply_good": "Supply is good again ({volts:.1f} V, {source}, {age_s:.1f} s ago): going on.",
    "supply_silent": "The voltmeter is silent: going on, for the ECU is half written. Check the supply "
    "yourself.",
    # --- the bench
    "lines_not_safe": "Take the controller off the bench by hand: {problems}",
    # --- stored files
    "stored_file_rots": "stored file {file}: {problem}",
    "stored_file_whole": "stored file {file}: what had rotted there is whole again",
    "second_store_missing": "the second place for sealed files is not there",
    "second_store_back": "the second place for sealed files is there again",
    # --- the owner's secrets
    "secrets_unseen": "the owner's secrets cannot be looked at: {problem}",
    "secret_in_the_clear": "the owner's '{name}' for {definition} lies in the clear, and could not be "
    "sealed: {problem}",
    "secret_not_wiped": "the owner's '{name}' for {definition} is sealed, and {path} could not be wiped: do "
    "it by hand",
    # --- the journal against the record of its writes
    "record_missing": "{file} is missing",
    "record_damaged": "{file} is damaged: {problem}",
    "commits_lost": "the journal had lost its last commits; the record of its writes is whole",
    "rows_put_back": "rows of the journal are not those that it was left with: some were put back to what "
    "they were before, or taken out. What was proposed is not started; look through `pitbox jobs`",
    "forgot_end": "the write of job {job} was over; the journal had forgotten that",
    "forgot_outcome": "the write of job {job} ended '{outcome}'; the journal had forgotten that",
    "forgot_open": "the write of job {job} is open; the journal had forgotten that",
    "forgot_erased": "the write of job {job} is open and has begun to erase; the journal had forgotten that",
    "forgot_bench": "the write of job {job} needs the bench; the journal had forgotten that",
    "forgot_bench_erased": "the write of job {job} needs the bench and has begun to erase; the journal had "
    "forgotten that",
    "forgot_aside": "the write of job {job} is set aside; the journal had forgotten that",
    "forgot_aside_erased": "the write of job {job} is set aside and has begun to erase; the journal had "
    "forgotten that",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a person must act on; screens translate by the key, everybody else reads the text."""

    key: str
    fields: dict[str, Field] = field(default_factory=dict)
    text: str = field(init=False)
    """In English."""

    def __post_init__(self) -> None:
        """Raises ValueError for what the catalogue has no words for."""
        object.__setattr__(self, "text", spelled(ALARMS, self.key, self.fields))

    @property
    def said(self) -> Phrase:
        """The same, to be said within something else."""
        return Phrase(self.key, self.fields, self.text)


def trouble(key: str, **fields: Field) -> Trouble:
    """Something that is wrong. Raises ValueError for what the catalogue has no words for."""
    return Trouble(key, fields)
