"""CITATION.cff is complete, and says what the project says elsewhere."""

from pathlib import Path

import yaml

import trackerlib

ROOT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())


def test_the_citation_has_what_its_format_requires():
    assert CITATION["cff-version"] == "1.2.0"
    assert all(CITATION[key] for key in ("message", "title", "authors"))
    assert CITATION["type"] == "software"


def test_the_version_is_the_librarys():
    assert CITATION["version"] == trackerlib.__version__


def test_title_and_authors_are_the_books():
    assert CITATION["title"] == CONFIG["title"]
    assert [author["name"] for author in CITATION["authors"]] == [CONFIG["author"]]


def test_the_licence_is_the_one_that_ships():
    licence = (ROOT / "LICENSE").read_text()
    assert licence.startswith(f"{CITATION['license']} License")
    assert CITATION["authors"][0]["name"].lower() in licence.lower()
