"""The pretend device for tests, see tests/helpers/pretend_device.py."""

import pytest
from pretend_device import PretendDevice


@pytest.fixture
def device():
    with PretendDevice() as active:
        yield active


@pytest.fixture
def coarse():
    """A device without double precision, as MPS is."""
    with PretendDevice(float64=False) as active:
        yield active
