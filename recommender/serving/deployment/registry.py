"""Check of the registry of models that serving follows."""

from recommender.artifact import ArtifactError, current_version
from recommender.registry import registry_version
from recommender.serving.deployment.check import Check, error, ok, warning
from recommender.settings import Settings


def registry_check(settings: Settings) -> Check | None:
    """Return whether the registry responds and its current version is here; None if there is no registry."""
    if settings.models_url is None:
        return None
    try:
        version = registry_version(settings.models_url)
    except ArtifactError as fault:
        return error("registry", str(fault), "correct RECOMMENDER_MODELS_URL, its credentials or the network")
    try:
        here = current_version(settings.models_dir)
    except ArtifactError:
        here = "none"
    if here == version:
        return ok("registry", f"responds; its current version is {version}")
    finding = f"its current version is {version}, here it is {here}"
    return warning(
        "registry", finding, "start the service, or run `recommender models pull` to see the reason"
    )
