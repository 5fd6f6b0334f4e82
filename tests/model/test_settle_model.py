"""The rules of data-model.md 8.4 hold in the model, and each rule that is left out is noticed."""
import itertools

import pytest

from settle_model import World
from settle_rules import BREAKS

RUNS = 3000
SEEDS_TO_NOTICE = 4000


def test_no_wrong_document_and_no_wrong_queue_entry():
    for seed in range(1, RUNS + 1):
        assert World(seed).run() == [], f"settle_model.py --runs 1 --seed {seed}"


@pytest.mark.parametrize("rule", sorted(BREAKS))
def test_a_broken_rule_is_noticed(rule):
    assert any(World(seed, [rule]).run() for seed in range(1, SEEDS_TO_NOTICE + 1)), BREAKS[rule]


def test_a_seed_gives_the_same_world_again():
    wrong = next(seed for seed in itertools.count(1) if World(seed, ["no_unset"]).run())
    assert World(wrong, ["no_unset"]).run() == World(wrong, ["no_unset"]).run()
