"""The names that a person may choose among: MLflow's registry as an entry point of `llama_core.offers`."""

from tasks.registry.names import VERSION_TAG, quoted, registry

MOST = 20  # models, and versions of each
FIRST = ("candidate", "champion")  # the aliases that a run gives


def offered() -> list[str]:
    """Return the aliases and versions that this project has registered, the newest model first.

    Raises ServiceError where there is no registry, or none that can be asked.
    """
    with registry() as api:
        found: list[tuple[int, list[str]]] = []
        for model in api.search_registered_models(max_results=MOST):
            if "/" in model.name or ("'" in model.name and '"' in model.name):
                continue  # no name of a model of ours
            newest = api.search_model_versions(
                f"name = {quoted(model.name)}", max_results=MOST, order_by=["version_number DESC"]
            )
            ours = [version for version in newest if VERSION_TAG in version.tags]
            numbers = {str(version.version) for version in ours}
            aliases = [alias for alias, number in model.aliases.items() if str(number) in numbers]
            aliases.sort(key=lambda alias: (FIRST.index(alias) if alias in FIRST else len(FIRST), alias))
            names = [f"models:/{model.name}@{alias}" for alias in aliases]
            names += [f"models:/{model.name}/{version.version}" for version in ours]
            if ours:
                found.append((ours[0].creation_timestamp, names))
    return [name for _, names in sorted(found, reverse=True) for name in names]
