"""What a search has taken counts the stages whose results it reads, and no others."""

from __future__ import annotations

from nasrec_opt.pipeline._search_cost import _seconds


def test_a_search_counts_the_probes_that_it_reads():
    record = {
        "probe": {"seconds": 300.0, "settings": {"probes": 4}},
        "probe other": {"seconds": 50.0, "settings": {"probes": 1}},
        "probe third": {"seconds": 2.0, "settings": {"probes": 4}},  # read what is there
        "probes": {"seconds": 999.0, "settings": {"probes": 4}},  # another stage
    }
    assert _seconds(record, "probe") == 300.0
    assert _seconds(record, "probe other") == 50.0
    assert _seconds(record, "probe third") == 300.0
