"""A simulated person answers by script: at once, late, wrong, or never."""

from __future__ import annotations

import pytest

from drivers.person.interface import LONGEST_ANSWER, Question, UnansweredError
from drivers.person.simulated import Reply, SimulatedPerson
from simulator.virtualtime import run_virtual

ASKED = Question("strap", "Is the strap connected?", 60.0, ("done", "stop"))


def test_in_time() -> None:
    person = SimulatedPerson({"strap": [Reply("done", 5.0)]}, "Kim")
    answer = run_virtual(person.ask(ASKED))
    assert (answer.value, answer.by, answer.at) == ("done", "Kim", 5.0)
    assert person.asked == [ASKED]


@pytest.mark.parametrize("script", [{}, {"other": [Reply("done")]}, {"strap": [Reply("done", 61.0)]}])
def test_late_or_never(script: dict[str, list[Reply]]) -> None:
    person = SimulatedPerson(script)
    with pytest.raises(UnansweredError, match="within 60 s"):
        run_virtual(person.ask(ASKED))


def test_a_wrong_answer_is_refused_and_the_next_one_is_waited_for() -> None:
    person = SimulatedPerson({"strap": [Reply("maybe"), Reply("stop")]})
    assert run_virtual(person.ask(ASKED)).value == "stop"
    assert person.refused == ["maybe"]


def test_a_free_text_is_taken_unless_it_is_blank_or_endless() -> None:
    free = Question("label", "Which number is on the label?", 60.0)
    assert free.takes("0261S12345")
    assert not free.takes("  ") and not free.takes("x" * (LONGEST_ANSWER + 1))
