"""The list of somebody who is in no training data, by the rules of all lists."""

import numpy as np
import numpy.typing as npt

from shared.errors import TrialError
from worker.ranking.scorers import Float32s, HistoryScorer, Indices


def recommend_for_history(
    scorer: HistoryScorer,
    item_index: Indices,
    ratings: Float32s,
    is_supported: npt.NDArray[np.bool_],
    k: int,
) -> tuple[npt.NDArray[np.intp], Float32s]:
    """The k best items, by score descending, then item_index, and their scores, rounded to float32.

    Candidates are the supported items that are not in the history; where there are fewer, so is the list.
    Every item is scored in float64. Raises TrialError when scores overflow.
    """
    scores = scorer.score_history(item_index, ratings)
    if not np.isfinite(scores).all():
        raise TrialError("not_finite_loss", "scores must be finite to rank items; these overflow")
    is_candidate = is_supported.copy()
    is_candidate[item_index] = False
    candidates = np.flatnonzero(is_candidate)
    rounded = scores[candidates].astype(np.float32)
    order = np.lexsort((candidates, -rounded))[:k]
    return candidates[order], rounded[order]
