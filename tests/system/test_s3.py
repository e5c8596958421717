"""The same pipeline on a real S3 server, which is killed while it runs, and is reached by a bad network."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline import Pipeline, how_made
from system import ceph
from system.canary import assert_clean, assert_store_clean
from system.fault_proxy import FAULTS, FaultProxy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ceph.missing_programs()), reason=f"not installed: {ceph.missing_programs()}"),
    pytest.mark.skipif(not ceph.is_root(), reason="Ceph is started as root"),
]

AWAY = 6.0  # seconds that the server is gone


@pytest.mark.timeout(1200)
def test_a_run_makes_the_same_model_though_requests_fail_and_the_server_is_killed_three_times(
    micro: Pipeline,
    s3: ceph.Ceph,
    through: Callable[..., FaultProxy],
    tmp_path: Path,
    prefect_url: str,
    shared: Path,
    request: pytest.FixtureRequest,
) -> None:
    s3.make_bucket("llama")
    proxy = through(seed=2)
    env = s3.environment | {"PREFECT_API_URL": prefect_url, "AWS_ENDPOINT_URL": proxy.url}
    pipeline = Pipeline(tmp_path / "home", "s3://llama/killed", env)
    request.addfinalizer(pipeline.kill)
    process = pipeline.start()
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or []))
    reader.start()
    begun = time.monotonic() + 120
    while not any("ingest" in line for line in lines) and time.monotonic() < begun:
        time.sleep(0.2)  # before the first stage a store that is away is an error, and rightly
    proxy.rates = FAULTS
    for _ in range(3):
        time.sleep(4)
        s3.kill_gateway()
        time.sleep(AWAY)
        s3.start_gateway()
    reader.join(600)
    assert process.wait(10) == 0, "".join(lines)
    assert {f"{fault} {method}" for fault in FAULTS for method in ("GET", "PUT")} <= proxy.done.keys()
    proxy.rates = {}
    assert_clean("".join(lines), pipeline.home, shared / "home")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in env.items():
            patch.setenv(key, value)
        assert pipeline.digests() == micro.digests()
        assert_store_clean(pipeline.store)
        second = pipeline.ok()
        assert set(how_made(second).values()) == {"reused"}
    load = (
        "import mlflow; model = mlflow.pyfunc.load_model('models:/llama-micro@candidate'); "
        "print(len(model.predict(['import'])[0]))"
    )
    tracked = {"MLFLOW_TRACKING_URI": f"sqlite:///{pipeline.home}/mlflow/mlflow.db"}
    predicted = subprocess.run(
        [sys.executable, "-c", load], env=pipeline.environment(**tracked), capture_output=True, text=True
    )
    assert predicted.returncode == 0, predicted.stderr
    assert int(predicted.stdout.split()[-1]) > 0


def test_a_wrong_secret_is_one_clear_message(s3: ceph.Ceph, tmp_path: Path, prefect_url: str) -> None:
    env = s3.environment | {"PREFECT_API_URL": prefect_url, "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    code, output = Pipeline(tmp_path / "home", "s3://llama/wrong", env).run()
    assert code == 2
    assert "credentials" in output
    assert "Traceback" not in output and "not-the-secret" not in output


def test_a_missing_bucket_is_one_clear_message(s3: ceph.Ceph, tmp_path: Path, prefect_url: str) -> None:
    env = s3.environment | {"PREFECT_API_URL": prefect_url}
    code, output = Pipeline(tmp_path / "home", "s3://no-such-bucket/x", env).run()
    assert code == 2
    assert "create it first" in output and "Traceback" not in output
