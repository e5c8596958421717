"""The hours and the energy that a training took from its devices."""

import pytest
from evaluated import SECONDS, step_record

from llama_core.train.metrics.energy import STOPPED, megawatt_hours, tonnes, use


def test_hours_are_those_of_all_devices_with_the_pauses() -> None:
    records = [step_record(1, devices=4), step_record(2, devices=4), step_record(3, devices=2)]
    for late in records[1:]:
        late["time"] += 100  # a save, say
    found = use(records)
    assert found.device_hours == pytest.approx((4 * SECONDS + 4 * (SECONDS + 100) + 2 * SECONDS) / 3600)
    assert found.in_steps == pytest.approx((4 + 4 + 2) * SECONDS / 3600)


def test_a_step_that_made_no_update_takes_hours_and_does_not_count() -> None:
    found = use([step_record(1, devices=4), step_record(2, devices=4) | {"skipped": 1}])
    assert found.in_steps == pytest.approx(4 * SECONDS / 3600)
    assert found.device_hours == pytest.approx(2 * 4 * SECONDS / 3600)


def test_nobody_holds_devices_over_a_weekend() -> None:
    records = [step_record(1), step_record(2)]
    records[1]["time"] += STOPPED + 1
    assert use(records).device_hours == pytest.approx(2 * 2 * SECONDS / 3600)


def test_power_is_known_where_all_devices_tell_their_energy() -> None:
    found = use([step_record(1, joules=1000.0), step_record(2, joules=1400.0)])
    assert (found.joules, found.watts) == (2400, 300)
    assert use([step_record(1, joules=1000.0), step_record(2)]).watts is None
    assert use([]).watts is None and use([]).device_hours == 0


@pytest.mark.parametrize("devices", [1, 2, 8, 2048])
def test_the_number_of_devices_follows_from_their_speeds_as_they_are_recorded(devices: int) -> None:
    one = 380.04
    record = step_record(1) | {"tokens_per_s": round(one * devices, 1), "tokens_per_s_per_device": 380.0}
    assert use([record]).device_hours == pytest.approx(devices * SECONDS / 3600)


def test_a_training_that_is_slower_than_the_records_digits_has_one_device() -> None:
    record = step_record(1) | {"tokens_per_s": 0.04, "tokens_per_s_per_device": 0.0}
    assert use([record]).device_hours == pytest.approx(SECONDS / 3600)


def test_a_megawatt_hour_of_devices_is_more_of_a_data_centre() -> None:
    assert megawatt_hours(82_432, 400) == pytest.approx(36.27008)
    assert tonnes(36.27008) == pytest.approx(13.96398)
