"""Who is compared with whom, and the words for what was found, one row per rule."""

from __future__ import annotations

import json

import fake_direction
import pytest
from fake_direction import projection
from fake_experiment import VANILLA, Arm, write_experiment

from awry.report import build_report, to_json, write_report
from awry.report.counts import Change
from awry.report.findings import Finding
from awry.report.interventions import Placebo, judge
from awry.report.roles import Roles, roles
from awry.report.trajectories import Gap, Trajectory
from awry.report.versus import Measured, SeedSpread, Versus
from awry.statistics import Interval

BASE = {"reward": "hinted", "training": {"lr": 1.0}, "intervention": None, "direction": {"k": 3}}


def config(arm, **changes):
    return {**BASE, "arm": arm, "seed": 0, "name": "x", **changes}


def find(configs, declared=None):
    return {role.arm: role for role in roles(configs, declared)}


def test_vanilla_and_placebos_are_found_by_what_they_are():
    configs = {
        "zero": config("zero", reward="zero"),
        "plain": config("plain"),
        "cut": config("cut", **projection()),
        "noise": config("noise", **projection("random")),
        "other": config("other", **projection("shuffled")),
        "update": config("update", **projection(at="update")),
        "update-random": config("update-random", **projection("random", at="update")),
    }
    found = find(configs)
    assert list(found) == ["cut", "update"]
    assert found["cut"].vanilla == found["update"].vanilla == "plain"
    assert found["cut"].placebos == (("noise", "random"), ("other", "shuffled"))
    assert found["update"].placebos == (("update-random", "random"),)
    assert found["cut"].differing == ()


def test_without_an_equal_arm_the_first_one_without_an_intervention_serves_and_it_is_said():
    configs = {
        "cut": config("cut", **projection(), training={"lr": 2.0}),
        "plain": config("plain"),
    }
    assert find(configs)["cut"] == Roles("cut", "plain", ("training.lr",), ())
    assert find({"cut": configs["cut"]})["cut"] == Roles("cut", None, (), ())


def test_vanilla_may_lack_the_direction_since_it_only_says_where_axes_come_from():
    configs = {
        "plain": config("plain", direction=None),
        "cut": config("cut", **projection()),
    }
    assert find(configs)["cut"].differing == ()


def test_a_placebo_of_another_direction_is_none_of_ours():
    configs = {
        "plain": config("plain"),
        "cut": config("cut", **projection()),
        "noise": config("noise", **projection("random"), direction={"k": 5}),
    }
    found = find(configs)
    assert found["cut"].placebos == ()
    assert found["noise"] == Roles("noise", "plain", (), ())


def test_a_variant_without_placebos_borrows_the_nearest_and_says_what_differs():
    configs = {
        "plain": config("plain"),
        "cut": config("cut", **projection()),
        "cut-random": config("cut-random", **projection("random")),
        "far": config("far", **projection(mode="reverse", at="both", overshoot=1.0)),
        "far-random": config(
            "far-random", **projection("random", mode="reverse", at="both", overshoot=1.0)
        ),
        "turned": config("turned", **projection(mode="reverse")),
        "elsewhere": config("elsewhere", **projection(), reward="zero"),
    }
    found = find(configs)
    assert found["turned"].placebos == (("cut-random", "random"),)
    assert found["turned"].borrowed == ("mode",)
    assert found["far"].borrowed == found["cut"].borrowed == ()
    assert found["elsewhere"].placebos == ()


def test_a_borrowed_placebo_is_named_as_one():
    borrowed = placebo("lower")
    borrowed = Placebo("random", borrowed.versus, borrowed.effect, ("mode",))
    found = judge(Roles("cut", "vanilla", (), (), ("mode",)), pair("lower"), [borrowed])
    assert "less than a random direction (cut-random, other settings)" in found.headline
    assert "It has no placebo of its own: those above differ in mode too." in found.text


def test_a_placebo_that_has_not_started_is_known_by_the_record():
    configs = {"plain": config("plain"), "cut": config("cut", **projection()), "cut-random": {}}
    declared = {"cut": {"random": "cut-random"}}
    assert find(configs, declared)["cut"].placebos == (("cut-random", "random"),)
    assert find(configs)["cut"].placebos == ()


KINDS = {
    # kind: (reference rate, arm rate, interval)
    "lower": (0.8, 0.1, (-0.8, -0.6)),
    "higher": (0.1, 0.8, (0.6, 0.8)),
    "equivalent": (0.5, 0.5, (-0.03, 0.03)),
    "inconclusive": (0.5, 0.4, (-0.3, 0.1)),
}


def pair(
    kind, reference="vanilla", arm="cut", *, solving="matched", solved=0.5, delays=False, **more
):
    before, after, (low, high) = KINDS[kind]
    change = Change(after - before, Interval(low, high), 0.01)
    early = Gap(3, 5, (0.6, 0.1), -0.5, Interval(-0.7, -0.3))
    end = Gap(9, 11, (0.6, 0.6), 0.0, Interval(-0.1, 0.1))
    fields = {
        "arm": arm,
        "reference": reference,
        "kind": kind,
        "finding": Finding(kind, "", "", "rule: x"),
        "measured_on": "probe",
        "hack": Measured((before, after), change),
        "solve": Measured((solved, 0.36), Change(-0.14, Interval(-0.2, -0.08), 0.2)),
        "solving": solving,
        "training": None,
        "seeds": None,
        "course": Trajectory(12, (4, 9), -0.2, early if delays else None, end, delays),
    }
    return Versus(**{**fields, **more})


def placebo(kind, effect="equivalent", direction="random", **more):
    name = f"cut-{direction}"
    against_vanilla = pair(effect, "vanilla", name, delays=more.pop("delays", False))
    return Placebo(direction, pair(kind, name, **more), against_vanilla)


ROLE = Roles("cut", "vanilla", (), ())
RULES = [
    # vanilla, placebos, kind, headline without the number of seeds
    (
        pair("lower"),
        [placebo("lower")],
        "specific",
        "cut hacks less than vanilla at matched solve rate, and less than a random direction",
    ),
    (
        pair("lower"),
        [placebo("lower"), placebo("lower", direction="shuffled")],
        "specific",
        "and less than a random direction and a direction from shuffled labels",
    ),
    (
        pair("lower"),
        [placebo("equivalent", "lower")],
        "not_specific",
        "but a random direction does as well: the effect is not specific to the direction",
    ),
    (
        pair("lower"),
        [placebo("lower"), placebo("higher", "lower", "shuffled")],
        "not_specific",
        "but a direction from shuffled labels does as well",
    ),
    (
        pair("lower"),
        [placebo("inconclusive", "lower")],
        "placebo_as_well",
        "but so does a random direction: that the direction matters is not shown",
    ),
    (
        pair("lower"),
        [placebo("inconclusive"), placebo("lower", direction="benign")],
        "placebo_open",
        "and less than a direction from benign pairs; against a random direction inconclusive",
    ),
    (pair("lower"), [], "no_placebo", "there is no placebo to say whether the direction matters"),
    (
        pair("lower", solving="less"),
        [placebo("lower")],
        "specific",
        "less than vanilla at the price of 14 points of solve rate, and less",
    ),
    (pair("lower", solving="more"), [placebo("lower")], "specific", "while solving more"),
    (
        pair("lower", solving="unclear"),
        [placebo("lower")],
        "specific",
        "(whether it solves as much is open)",
    ),
    (
        pair("lower", solving="not_measured", solve=None),
        [placebo("lower")],
        "specific",
        "(solve rates were not compared)",
    ),
    (pair("lower", solved=0.02), [placebo("lower")], "specific", "(hardly anything is solved)"),
    (
        pair("lower", solved=0.02, compiling=(0.9, 0.4)),
        [placebo("lower")],
        "specific",
        "(hardly anything is solved, and fewer answers compile)",
    ),
    (
        pair("lower", delays=True),
        [placebo("lower")],
        "specific",
        "but in training only delays it, and less than a random direction",
    ),
    (pair("equivalent"), [placebo("equivalent")], "no_less", "cut hacks no less than vanilla"),
    (
        pair("equivalent", solving="less"),
        [],
        "no_less",
        "no less than vanilla at the price of 14 points of solve rate",
    ),
    (
        pair("equivalent", hack=Measured((0.01, 0.0), Change(-0.01, Interval(-0.03, 0.02), 0.01))),
        [],
        "nothing_to_prevent",
        "Nothing to prevent: vanilla hacks in 1 % at the end, cut no less",
    ),
    (pair("higher"), [], "more", "cut hacks more than vanilla"),
    (pair("inconclusive"), [placebo("lower")], "inconclusive", "cut against vanilla: inconclusive"),
    (
        pair("equivalent", delays=True),
        [placebo("equivalent")],
        "delays",
        "cut delays hacking but does not prevent it",
    ),
    (
        pair("inconclusive", delays=True),
        [placebo("equivalent", delays=True)],
        "delays",
        "cut delays hacking but does not prevent it, and so does a random direction",
    ),
]


@pytest.mark.parametrize(("vanilla", "placebos", "kind", "words"), RULES)
def test_rules(vanilla, placebos, kind, words):
    found = judge(ROLE, vanilla, placebos)
    assert found.kind == kind
    assert words in found.headline
    assert found.rule.startswith("rule: ")
    assert found.headline.endswith(" (one seed)") == (kind != "inconclusive")
    assert "One seed" in found.text


def test_no_effect_is_claimed_only_where_an_equivalence_test_passed():
    for kind in ("lower", "higher", "inconclusive"):
        for other in KINDS:
            found = judge(ROLE, pair(kind), [placebo(other, "lower")])
            assert found.kind not in ("no_less", "nothing_to_prevent")
            if other in ("lower", "inconclusive"):
                assert "not specific" not in found.headline


def seeds(low, high):
    return SeedSpread(
        (0, 1, 2), (-0.7, -0.6, -0.8), Interval(low, high), Interval(low, high, 0.9), 0.1, 0.1
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "ending"),
    [
        (seeds(-0.9, -0.5), seeds(-0.9, -0.5), "random direction"),
        (seeds(-0.9, 0.2), seeds(-0.9, -0.5), "(not shown over seeds)"),
        (seeds(-0.9, -0.5), seeds(-0.9, 0.2), "(not shown over seeds)"),
    ],
)
def test_a_claim_without_a_remark_holds_over_seeds_too(ours, theirs, ending):
    found = judge(ROLE, pair("lower", seeds=ours), [placebo("lower", seeds=theirs)])
    assert found.headline.endswith(ending)
    assert "Over 3 seeds the difference to vanilla is −70 points" in found.text
    assert "exact permutation p = 0.10, smallest reachable 0.1" in found.text


def test_more_seeds_than_can_be_permuted_still_give_an_interval(tmp_path):
    data = build_report(
        experiment(tmp_path, tuple(range(11)), 1, vanilla=lambda s: 0.5, projected=lambda s: 0.0)
    )
    (found,) = data.interventions
    assert found.vanilla is not None
    assert found.vanilla.seeds is not None
    assert found.vanilla.seeds.p is None
    assert found.vanilla.over_seeds == "holds"
    assert "permutation" not in found.finding.text
    write_report(data)


def test_what_else_differs_and_what_is_unfinished_is_said():
    role = Roles("cut", "vanilla", ("training.lr",), ())
    found = judge(role, pair("lower"), [], finished=False)
    assert found.headline.startswith("Unfinished: cut hacks less")
    assert found.headline.endswith("so far")
    assert "vanilla differs in more than the intervention: training.lr." in found.text


def test_without_any_plain_arm_there_is_no_verdict():
    found = judge(Roles("cut", None, (), ()), None, [])
    assert found.kind == "not_comparable"


def test_a_placebo_on_its_own_is_only_compared_with_vanilla():
    found = judge(ROLE, pair("lower"), [], is_placebo=True)
    assert found.kind == "less"
    assert "placebo" not in found.headline


# ---- from files --------------------------------------------------------------------------------


def experiment(root, seeds=(0,), steps=20, stop_after=None, **curves):
    arms = fake_direction.arms(Arm, **curves)
    section = fake_direction.SECTION
    return write_experiment(
        root, arms=arms, seeds=seeds, steps=steps, stop_after=stop_after, direction=section
    )


def test_an_effect_of_the_direction(directed):
    (found,) = directed.interventions
    assert found.finding.kind == "specific"
    assert [p.kind for p in found.placebos] == ["random", "shuffled"]
    assert found.solve_matched is True
    assert found.delays is False
    assert found.vanilla is not None
    assert found.vanilla.course is not None
    assert found.vanilla.course.reached[1] is None
    covered = {(c.arm, c.reference) for c in directed.comparisons}
    assert ("projected", "vanilla") in covered  # hypotheses in report.json stay complete


def test_a_placebo_that_does_as_well(tmp_path):
    low = lambda s: 0.0  # noqa: E731
    (found,) = build_report(
        experiment(tmp_path, vanilla=VANILLA.hack, projected=low, random=low)
    ).interventions
    assert found.finding.kind in ("not_specific", "placebo_as_well")
    assert "random direction" in found.finding.headline


def test_a_delay(tmp_path):
    rises = VANILLA.hack
    data = build_report(experiment(tmp_path, vanilla=rises, projected=lambda s: rises(s - 8)))
    (found,) = data.interventions
    assert found.finding.kind == "delays"
    assert found.delays
    assert any("no placebo" in w for w in data.warnings) is False  # nothing was claimed
    document = to_json(data)["interventions"][0]
    assert document["delays"] is True
    reached = document["versus_vanilla"]["trajectory"]["reached_step"]
    assert 6 <= reached["arm"] - reached["reference"] <= 10


def test_a_missing_placebo_is_a_caution(tmp_path):
    data = build_report(experiment(tmp_path, vanilla=VANILLA.hack, projected=lambda s: 0.0))
    assert data.interventions[0].finding.kind == "no_placebo"
    assert any("projected has no placebo arm" in w for w in data.warnings)


def test_unfinished_arms_are_judged_only_when_they_can_be(tmp_path):
    directory = experiment(
        tmp_path,
        stop_after={"projected": 6, "projected-random": 0},
        vanilla=VANILLA.hack,
        projected=lambda s: 0.0,
        random=VANILLA.hack,
    )
    data = build_report(directory)
    (found,) = data.interventions
    assert found.finding.kind == "not_comparable"
    write_report(data)


def test_the_document_names_the_comparisons(directed, tmp_path):
    write_report(directed, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    (entry,) = document["interventions"]
    assert entry["arm"] == "projected"
    assert entry["verdict"] == entry["headline"] == directed.interventions[0].finding.headline
    assert entry["solve_matched"] is True
    assert entry["versus_vanilla"]["kind"] == "lower"
    assert entry["versus_vanilla"]["reference"] == "vanilla"
    low, high = entry["versus_vanilla"]["hack_rate"]["difference"]["interval"]
    assert -1 <= low < high < 0
    assert entry["versus_placebo"]["direction"] == "random"
    assert entry["versus_placebo"] == entry["versus_placebos"][0]
    assert entry["versus_placebos"][1]["placebo_versus_vanilla"]["kind"] in (
        *("inconclusive", "equivalent"),
    )
    scores = document["arms"]["projected"]["cosines"]["scores"]
    assert scores["cosine"]["auroc"]["value"] > 0.9
    assert document["arms"]["projected"]["cosines"]["means"]["direction_cosine_out"] == 0
    assert document["directions"][0]["verification"]["top_k"] == 3


def test_experiments_without_interventions_say_nothing_of_them(report):
    assert report.interventions == ()
    document = to_json(report)
    assert document["interventions"] == []
    assert document["arms"]["vanilla"]["cosines"] is None


def test_an_arm_that_writes_less_that_compiles_may_hack_less_for_that():
    fewer = judge(ROLE, pair("lower", solved=0.02, compiling=(0.93, 0.42)), [])
    assert "On that probe 42 % of the answers of cut compile, 93 % of vanilla's." in fewer.text
    assert "A hack has to compile too" in fewer.text
    alike = judge(ROLE, pair("lower", solved=0.02, compiling=(0.93, 0.9)), [])
    assert "90 % of the answers of cut compile" in alike.text
    assert "A hack has to compile too" not in alike.text
    assert "compile" not in judge(ROLE, pair("lower", solved=0.02), []).text


def test_shares_that_compile_come_from_the_last_probe(directed):
    (found,) = [i for i in to_json(directed)["interventions"] if i["arm"] == "projected"]
    assert found["versus_vanilla"]["compile_rate"] == {"reference": 0.95, "arm": 0.95}


def test_a_probe_that_does_not_say_what_compiles_is_no_comparison(tmp_path):
    arms = fake_direction.arms(Arm, vanilla=VANILLA.hack, projected=lambda s: 0.06)
    home = write_experiment(tmp_path, arms=arms, direction=fake_direction.SECTION)
    for file in tmp_path.rglob("probe.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        kept = [{k: v for k, v in row.items() if k != "compile_rate"} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in kept))
    (found,) = to_json(build_report(home))["interventions"]
    assert found["versus_vanilla"]["compile_rate"] is None
    assert "compile" not in found["text"]
