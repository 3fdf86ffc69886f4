"""One thread for small work, and as many as before behind it."""

import pytest
import torch

from trackerlib.ops.threads import one_thread


@pytest.fixture(params=[1, 3])
def threads(request):
    """A number of threads that is restored behind the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_the_number_of_threads_is_restored(threads):
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_it_is_restored_behind_an_exception(threads):
    with pytest.raises(ValueError, match="broken"), one_thread():
        raise ValueError("broken")
    assert torch.get_num_threads() == threads


def test_it_is_a_decorator(threads):
    @one_thread()
    def number():
        return torch.get_num_threads()

    assert [number(), number()] == [1, 1]
    assert torch.get_num_threads() == threads
