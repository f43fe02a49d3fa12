"""Removes the lists of trials that are not among the best of their sweep, as `[lists] keep` wants it."""

import logging

from sqlalchemy import Engine

from shared import store

logger = logging.getLogger(__name__)


def remove_surplus_lists(engine: Engine) -> None:
    """Remove what is not kept any more, and say of whom.

    Not the worker that finishes a trial: it may be lost right after, and somebody else's trial may lose its
    lists.
    """
    for one in store.remove_surplus_lists(engine):
        logger.info(
            "sweep %d trial %d %s: lists removed, better ones are kept",
            *(one.sweep_id, one.trial_id, one.label),
        )
