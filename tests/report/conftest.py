from __future__ import annotations

import fake_direction
import fake_evaluated
import pytest
from fake_experiment import VANILLA, Arm, write_experiment

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


@pytest.fixture(scope="session")
def directed_dir(tmp_path_factory):
    """Vanilla and projected with two placebos, one seed: the random direction does nothing."""
    rises = VANILLA.hack
    arms = fake_direction.arms(
        Arm, vanilla=rises, projected=lambda s: 0.06, random=rises, shuffled=rises
    )
    root = tmp_path_factory.mktemp("directed")
    return write_experiment(root, arms=arms, direction=fake_direction.SECTION)


@pytest.fixture(scope="session")
def directed(directed_dir):
    return build_report(directed_dir)


@pytest.fixture(scope="session")
def directed_html(directed):
    return write_report(directed)


@pytest.fixture(scope="session")
def evaluated_dir(tmp_path_factory):
    """Three arms of two seeds; two checkpoints of each but one run were evaluated."""
    home = write_experiment(tmp_path_factory.mktemp("evaluated"), seeds=(0, 1))
    fake_evaluated.write_evaluations(home)
    return home


@pytest.fixture(scope="session")
def evaluated(evaluated_dir):
    return build_report(evaluated_dir)


@pytest.fixture(scope="session")
def evaluated_html(evaluated):
    return write_report(evaluated)
