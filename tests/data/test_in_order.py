import threading
import time

import pytest

from nasrec_opt.data._in_order import WORKERS, in_order


def test_results_come_in_the_order_of_the_items():
    def slowest_first(item):
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    assert list(in_order(slowest_first, range(20))) == [item * item for item in range(20)]


def test_two_items_are_worked_on_at_a_time():
    both = threading.Barrier(WORKERS, timeout=10)  # broken where only one thread comes
    list(in_order(lambda _: both.wait(), range(2 * WORKERS)))


def test_no_more_items_are_taken_than_a_few_ahead():
    taken = []
    results = in_order(lambda item: item, (taken.append(i) or i for i in range(100)))
    for item in results:
        assert len(taken) <= item + 1 + WORKERS
        if item == 10:
            break
    results.close()
    assert len(taken) < 20


@pytest.mark.parametrize("fails", ["function", "items"])
def test_an_error_comes_after_the_results_before_it_and_ends_them(fails):
    def items():
        yield from range(5)
        if fails == "items":
            raise OSError("5")
        yield from range(5, 100)

    def function(item):
        if fails == "function" and item == 5:
            raise OSError("5")
        return item

    found = []
    with pytest.raises(OSError, match="5"):
        found.extend(iter_into(found, in_order(function, items())))
    assert found == [0, 1, 2, 3, 4]


def test_the_error_of_an_earlier_item_is_the_one_that_is_raised():
    def items():
        yield 0
        yield 1
        raise OSError("the items")

    def function(item):
        time.sleep(0.02)
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(in_order(function, items()))


def iter_into(found, results):
    for result in results:
        found.append(result)
    return []
