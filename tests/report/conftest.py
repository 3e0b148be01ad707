from __future__ import annotations

import pytest
from fake_experiment import write_experiment

from awry.report import build_report, write_report


@pytest.fixture(scope="session")
def experiment_dir(tmp_path_factory):
    """Three arms, one seed, 20 finished steps."""
    return write_experiment(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="session")
def report(experiment_dir):
    return build_report(experiment_dir)


@pytest.fixture(scope="session")
def html(report):
    return write_report(report)
