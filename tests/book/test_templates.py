"""What rows of the reproduction templates run, beside what their papers ran."""

import re
from pathlib import Path

import nbformat
import pytest

from trackerlib.trackers import Spec, parse

TEMPLATES = Path(__file__).resolve().parents[2] / "book" / "reproduction"


def rows(name: str, prefix: str = "") -> dict[str, Spec]:
    """Return the specifications of all rows that a template knows, without its page's settings.

    prefix  of the heads of single rows, where the template has such a parameter
    """
    notebook = nbformat.read(TEMPLATES / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (given,) = (c for c in code if "parameters" in c.metadata.get("tags", []))
    (variants,) = (c for c in code if "texts = {" in c.source)
    namespace: dict = {}
    exec(given.source, namespace)
    namespace |= {"settings": "", "variants": "all", "mode": "float32"}
    namespace |= dict.fromkeys(re.findall(r"(\w+) = .*# prefix of heads", given.source), prefix)
    exec(variants.source, namespace)
    return {name: parse(text) for name, text in namespace["texts"].items()}


def test_a_head_of_two_layers_takes_none_of_one_with_three():
    known = rows("fdn")
    assert known["2 fully connected"].config.fc_layers == 2
    assert known["2 fully connected"].config.head == "random"
    assert known["no training on videos"].config.head == "random"


@pytest.mark.parametrize("prefix", ["", "my-"])
def test_table_2_has_the_embedding_and_table_3s_first_row_has_not(prefix):
    known = rows("rtmdnet", prefix)
    pooled = [n for n in known if "RoI" in n]
    assert len(pooled) == 5
    for name in pooled:
        config = known[name].config
        assert not config.regression
        expected = config.head.startswith(prefix) if prefix else config.head == "vggm-rtmdnet"
        assert expected, config.head
    assert known["neither"].config.head == "vggm-rtmdnet-binary"
    assert not known["neither"].config.regression
    assert known["no regression"].config.head == known["RT-MDNet"].config.head == "vggm-rtmdnet"
