"""Sweeps that grow, run as the other acceptance tests are: the same `make`, on a state folder of its own."""

from tests.acceptance.conftest import embedded_database, make, make_environment, select

__all__ = ["embedded_database", "make", "make_environment", "select"]
