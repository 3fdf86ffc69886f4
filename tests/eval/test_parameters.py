import math

import pytest

from trackerlib.eval.parameters import check_parameters

TYPES = {"data": str, "workers": int, "seeds": list[int]}
GOOD = {"data": "embedded", "workers": 1, "seeds": [0, 1]}


def test_known_parameters_pass_beside_what_a_notebook_holds():
    notebook = {"In": [], "Out": {}, "_i1": "", "math": math, "check": check_parameters}
    check_parameters(GOOD | notebook, **TYPES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"traker": "kcf"}, "unknown parameter 'traker'"),
        ({"data": 3}, r"'data': expected str, got 3 \(int\)"),
        ({"workers": True}, "'workers': expected int, got True"),
        ({"workers": "2"}, "'workers': expected int, got '2'"),
        ({"seeds": [0, "1"]}, r"'seeds': expected list\[int\]"),
        ({"seeds": 0}, r"'seeds': expected list\[int\]"),
    ],
)
def test_others_stop_with_the_list_of_known_ones(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_parameters(GOOD | change, **TYPES)
    assert "data (str), workers (int), seeds (list[int])" in str(caught.value)
