"""Time limits: all of Slurm's forms are taken when a recipe is read, and nothing else is."""

import pytest

from llama_core.errors import RecipeError
from llama_core.recipes.load import load_recipe
from llama_core.recipes.time_limit import seconds

MINUTE, HOUR, DAY = 60, 3600, 86400
FORMS = {
    "90": 90 * MINUTE,
    "4:20": 4 * MINUTE + 20,
    "24:00:00": DAY,
    "100:00:01": 100 * HOUR + 1,
    "2-0": 2 * DAY,
    "1-6": DAY + 6 * HOUR,
    "1-06:30": DAY + 6 * HOUR + 30 * MINUTE,
    "1-00:00:10": DAY + 10,
    "0-0:1": MINUTE,
    "UNLIMITED": None,
    "unlimited": None,
    "Infinite": None,
    "0": None,
    "00:00:00": None,
}


@pytest.mark.parametrize("limit", FORMS)
def test_a_recipe_takes_every_form_of_slurm(limit: str) -> None:
    assert load_recipe("tiny", {"launch.time_limit": f'"{limit}"'}).launch.time_limit == limit
    assert seconds(limit) == FORMS[limit]


@pytest.mark.parametrize(
    "limit", ["a day", "", "-1", "1-", "-", ":", "1:", ":1", "1:2:3:4", "1-2-3", "1.5", "1h", "٣", "9" * 12]
)
def test_a_recipe_with_another_time_limit_is_refused_with_the_forms(limit: str) -> None:
    with pytest.raises(RecipeError, match="launch.time_limit: .*write .*UNLIMITED"):
        load_recipe("tiny", {"launch.time_limit": f'"{limit}"'})


@pytest.mark.parametrize("partition", ["-gpu", "--wrap=id", "gpu\\n#SBATCH --wrap=id", ""])
def test_a_partition_is_no_option_of_sbatch(partition: str) -> None:
    with pytest.raises(RecipeError, match="launch.partition"):
        load_recipe("tiny", {"launch.partition": f'"{partition}"'})
