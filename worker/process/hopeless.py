"""Shows epochs, and ends a training whose trial cannot win."""

import logging

from sqlalchemy import Engine

from shared import store
from shared.domain.stopping import Stop
from shared.errors import StoreUnavailable
from shared.store import Claim, EpochRecord

logger = logging.getLogger(__name__)


class Hopeless(Exception):  # noqa: N818  It is no error: the trial was stopped as its sweep asks.
    """The trial is stopped in the database already: training ends, its checkpoint stays."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(str(stop))


def record_epoch(engine: Engine, claim: Claim, epoch: EpochRecord) -> None:
    """Show an epoch, and raise Hopeless where the trial is stopped after it.

    While the database is away nobody is stopped: the training goes on, and the result has all epochs.
    """
    try:
        store.record_epoch(engine, claim.trial_id, claim.attempt, epoch)
    except StoreUnavailable as error:
        logger.warning("epoch %d is not shown: %s", epoch.epoch, error)
        return
    try:
        stop = store.stop_hopeless(engine, claim, epoch.epoch)
    except StoreUnavailable as error:
        logger.warning("nobody says whether to stop after epoch %d: %s", epoch.epoch, error)
        return
    if stop is not None:
        raise Hopeless(stop)
