"""The pretend device for tests, see tests/pretend_device.py."""

import pytest

from tests.pretend_device import PretendDevice


@pytest.fixture
def device():
    with PretendDevice() as active:
        yield active


@pytest.fixture
def coarse():
    """A device without double precision, as MPS is."""
    with PretendDevice(float64=False) as active:
        yield active
