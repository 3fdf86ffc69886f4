"""Deep visual tracking, rebuilt step by step: the library behind the book."""

__version__ = "0.1.0"
