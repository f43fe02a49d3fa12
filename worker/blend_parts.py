"""The models of the parts of a claimed blend, read from where their trials left them."""

from shared.artifacts import read_artifact
from shared.domain.families.blend import Blend
from shared.errors import TrialError
from shared.store import Claim
from worker.families.contract import FittedPart
from worker.families.registry import family_of, read_model


def read_parts(claim: Claim) -> tuple[FittedPart, ...]:
    """Of a blend, its parts in the order of its configuration; none for any other trial.

    Raises TrialError "artifact", which names the part, where one has not succeeded or its model cannot be
    read.
    """
    architecture = claim.config.architecture
    if not isinstance(architecture, Blend):
        return ()
    if len(claim.parts) != len(architecture.parts):
        named = ", ".join(part.label for part in architecture.parts)
        raise TrialError(
            "artifact",
            f"the parts of a blend are trials of its sweep, {named}; {len(claim.parts)} of them are there",
        )
    models = []
    for config, part in zip(architecture.configs, claim.parts, strict=True):
        if part.status != "succeeded" or part.model_url is None:
            raise TrialError(
                "artifact",
                f"a blend needs parts that have succeeded; {part.label} is {part.status}",
            )
        family = family_of(config.architecture)
        try:
            weights = read_model(family, read_artifact(part.model_url))
        except FileNotFoundError as error:
            raise TrialError(
                "artifact",
                f"the saved model {part.model_url} of the blend's part {part.label} is gone: "
                "`make sweep FRESH=1` makes another",
            ) from error
        except TrialError as error:
            raise TrialError(error.reason, f"part {part.label} of the blend: {error}") from error
        models.append(FittedPart(weights, part.n_parameters or 0, part.weight))
    return tuple(models)
