"""An honest training passes, the same way each time; a certificate that does not hold stops what comes after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest

from core.errors import InputError, QualityError
from core.features.live import cut_bars
from core.models.leakage.certificate import (
    TRAINING_CHECKS,
    Check,
    certificate_schema,
    certify,
    conclude,
    join,
    read_certificate,
    require_passed,
)
from core.models.leakage.noise import noise_after
from tests.unit.models.leakage.training import SEED, market, train

SCHEMA = Path(__file__).parents[4] / "docs" / "schemas" / "leak_certificate.schema.json"


def _check(name: str, *, passed: bool = True) -> Check:
    return Check(name=name, compared="this with that", count=3, passed=passed, found="" if passed else "row 7 differs")


def test_an_honest_training_passes_every_check_and_gives_the_same_bytes() -> None:
    trained = train()
    checks = trained.checks()
    assert tuple(checks) == TRAINING_CHECKS
    assert {name: check.found for name, check in checks.items() if not check.passed} == {}
    assert all(check.count > 0 for check in checks.values())
    one, two = (certify("V", SEED, each.values()).to_json() for each in (checks, train().checks()))
    assert one == two
    jsonschema.validate(orjson.loads(one), orjson.loads(SCHEMA.read_bytes()))


def test_pairs_that_begin_late_end_early_or_stand_still_are_compared_as_far_as_they_go() -> None:
    still = market(3)
    flat: dict[str, Any] = {name: np.full(len(still), 1.25) for name in vars(still) if name.endswith(("_a", "_b"))}
    others = {
        "late": replace(cut_bars(market(4), 3_300, 3_600), pair_id="late"),
        "early": replace(cut_bars(market(5), 0, 1_500), pair_id="early"),
        "still": replace(still, pair_id="still", **flat),
    }
    checks = train(others=others).checks()
    assert {name: check.found for name, check in checks.items() if not check.passed} == {}


def test_what_is_written_is_read_and_anything_else_is_refused() -> None:
    certificate = certify("V", 1, [_check("scalers")])
    assert read_certificate(certificate.to_json(), "here") == certificate
    for content in (b"", b"{}", b'{"passed": true}', certificate.to_json().replace(b"true", b'"yes"')):
        with pytest.raises(InputError, match="LEAK_CERTIFICATE_UNREADABLE"):
            read_certificate(content, "here")


def test_a_failed_or_absent_check_is_named() -> None:
    certificate = certify("V", 1, [_check("scalers"), _check("windows_final", passed=False)])
    assert not certificate.passed
    with pytest.raises(QualityError, match=r"windows_final: row 7 differs.*calibrations: was not made") as raised:
        require_passed(certificate, ("scalers", "windows_final", "calibrations"), "here")
    assert raised.value.exit_code == 10
    with pytest.raises(QualityError):
        require_passed(join(certify("V", 1, [_check("scalers")]), certificate), ("scalers",), "here")
    require_passed(certify("V", 1, [_check("scalers")]), ("scalers",), "here")


def test_a_check_that_compared_nothing_does_not_pass() -> None:
    assert not conclude("scalers", "this with that", 0, []).passed
    assert conclude("scalers", "this with that", 1, []).passed
    many = conclude("scalers", "this with that", 9, [str(number) for number in range(9)])
    assert many.found == "0; 1; 2; and 6 more"


@pytest.mark.parametrize("cut", [-1, 0, 57, 99])
def test_noise_replaces_what_comes_after_the_cut_and_nothing_else(cut: int) -> None:
    bars = market(5, 100)
    noisy = noise_after(bars, cut, 100, scale=1.0, window=20, random=np.random.default_rng(1))
    for name in ("open_a", "high_a", "low_a", "close_a", "open_b", "high_b", "low_b", "close_b"):
        before, after = getattr(bars, name), getattr(noisy, name)
        np.testing.assert_array_equal(before[: cut + 1], after[: cut + 1])
        assert (before[cut + 1 :] != after[cut + 1 :]).all()
    for leg in "ab":
        highest = np.maximum(getattr(noisy, f"open_{leg}"), getattr(noisy, f"close_{leg}"))
        assert (getattr(noisy, f"high_{leg}") >= highest).all()
        assert (getattr(noisy, f"low_{leg}") > 0.0).all()
    np.testing.assert_array_equal(noisy.ts, bars.ts)
    np.testing.assert_array_equal(noisy.segment, bars.segment)


def test_the_published_schema_is_the_generated_one() -> None:
    assert SCHEMA.read_bytes() == certificate_schema(), "write certificate_schema() to docs/schemas/"
