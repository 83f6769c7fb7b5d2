"""What the bundles of a model are called beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploypipe.profile.receipt import BundleFacts, Report

_WAYS: tuple[Callable[[BundleFacts], str], ...] = (
    lambda bundle: f"{bundle.runtime} {bundle.precision}",
    lambda bundle: " ".join(filter(None, (bundle.runtime, bundle.precision, bundle.form))),
    lambda bundle: " ".join(filter(None, (bundle.runtime, bundle.precision, bundle.form, bundle.target))),
    lambda bundle: bundle.name,
)


def labels(report: Report) -> dict[str, str]:
    """Returns for the name of each bundle the shortest words that no other bundle of its model has."""
    found: dict[str, str] = {}
    for bundles in by_model(report).values():
        found |= _distinct(bundles)
    return found


def by_model(report: Report) -> dict[str, list[BundleFacts]]:
    """Returns the bundles of each model, each once, in the order of the report."""
    bundles = {receipt.bundle.name: receipt.bundle for device in report.devices for receipt in device.receipts}
    models = dict.fromkeys(bundle.model for bundle in bundles.values())
    return {model: [bundle for bundle in bundles.values() if bundle.model == model] for model in models}


def _distinct(bundles: Sequence[BundleFacts]) -> dict[str, str]:
    tried = [{bundle.name: way(bundle) for bundle in bundles} for way in _WAYS]
    return next(found for found in tried if len(set(found.values())) == len(bundles))


def detail(bundle: BundleFacts, label: str) -> str:
    """Returns what the label of a bundle does not say of it: its target and form."""
    said = label.split()
    return ", ".join(
        word for word in (bundle.target, bundle.form) if word and word not in said and label != bundle.name
    )
