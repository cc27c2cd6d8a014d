"""Hand over what a sample's run has made: download its results, share its history."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.batch.facts import note_results
from galaxy_api_scripts.batch.ledger import Sample, describe_error
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.datasets.download import DownloadFolder
from galaxy_api_scripts.invocations.invocation import invocation_outputs, output_datasets
from galaxy_api_scripts.sharing import HistorySharing, parse_audience


def deliver(galaxy: Galaxy, sample: Sample, to: Path, invocation: dict[str, Any], labels: Iterable[str], transfers: int
            ) -> str:
    """Download the results, `transfers` at once; the absolute path of their folder."""
    datasets = output_datasets(galaxy, outputs := invocation_outputs(invocation, labels))
    items = [item for members in datasets.values() for item in members]
    folder = DownloadFolder(galaxy, to, renewed=True)
    problems = [describe_error(result) if isinstance(result, GalaxyError) else f"{item.label}: {describe_error(result)}"
                for item, result in folder.download(items, transfers) if isinstance(result, Exception)]
    if problems:
        raise GalaxyError(f"the run is ok, but {len(problems)} of {len(items)} results could not be fetched, which the "
                          f"next visit tries again: {problems[0]}")
    note_results(sample, outputs, datasets)
    return str(folder.folder.resolve())


def share_history(galaxy: Galaxy, sample: Sample, share_with: Sequence[str]) -> None:
    """Share the sample's history with these, as `sharing.parse_audience` takes them."""
    if not share_with:
        return
    with sample.step(Stage.SHARE):
        try:
            HistorySharing(galaxy, str(sample.history)).share(parse_audience(share_with))
        except GalaxyError as error:
            raise GalaxyError("the run is ok, but its history could not be shared, which the next visit tries again: "
                              f"{error}", error.exit_code, status=error.status) from None
    sample.save(shared_with=list(share_with))
