"""The pick over time, against its definition; and the clock that ends a contender."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from studies._anytime import Event, OutOfTime, Race, cpu_seconds, steps, value_at

LOSSES = st.one_of(st.sampled_from([0.3, 0.4, 0.5, math.inf, math.nan]), st.floats(0.1, 1.0))
EVENTS = st.lists(
    st.builds(
        Event,
        seconds=st.floats(0.0, 10.0),
        validation=LOSSES,
        test=st.floats(0.1, 1.0),
        name=st.text("ab", max_size=2),
        is_final=st.just(False),
    ),
    max_size=8,
    unique_by=lambda event: event.seconds,
)


@settings(deadline=None)
@given(EVENTS, st.floats(0.0, 11.0))
def test_the_pick_is_the_best_on_validation_of_what_is_finished(events, seconds):
    there = [e for e in events if e.seconds <= seconds and math.isfinite(e.validation)]
    found = value_at(steps(events), seconds)
    if not there:
        assert found is None
    else:
        lowest = min(event.validation for event in there)
        tied = [event for event in there if event.validation == lowest]
        assert found == min(tied, key=lambda event: event.seconds).test


@settings(deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_events_does_not_matter(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    assert steps(shuffled) == steps(events)


@settings(deadline=None)
@given(EVENTS)
def test_test_rows_have_no_say(events):
    worsened = [event._replace(test=event.test + 1.0) for event in events]
    shifted = [step._replace(test=step.test + 1.0) for step in steps(events)]
    assert steps(worsened) == shifted


@settings(deadline=None)
@given(EVENTS, st.data())
def test_a_final_answer_stands_whatever_comes(events, data):
    assume(events)
    place = data.draw(st.integers(0, len(events) - 1))
    events[place] = final = events[place]._replace(is_final=True)
    before = [event for event in events if event.seconds < final.seconds]
    curve = steps(events)
    assert curve[-1] == (final.seconds, final.test)
    assert curve[:-1] == steps(before)


def test_a_race_ends_when_its_time_is_over():
    race = Race(budget_s=1e9, clock="wall")
    race.check(1, 2)
    race.finished(0.5, 0.6, "first")
    assert [(e.validation, e.test, e.name) for e in race.events] == [(0.5, 0.6, "first")]
    late = Race(budget_s=1e-9, clock="wall")
    with pytest.raises(OutOfTime):
        late.check()
    with pytest.raises(OutOfTime):
        late.finished(0.5, 0.6)
    assert late.events[0].seconds > 1e-9  # taken down, and after the end


def test_out_of_time_is_no_failure_of_a_trial():
    assert not issubclass(OutOfTime, Exception)


def test_cpu_seconds_count_children_that_have_ended():
    before = cpu_seconds()
    work = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert cpu_seconds() - before > 0.15  # the kernel's clocks of a process agree to its ticks
