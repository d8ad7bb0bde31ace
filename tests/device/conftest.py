"""The second device of these tests, see tests/helpers/device_under_test.py."""

import pytest
import torch
from device_under_test import device_under_test


@pytest.fixture(scope="session", autouse=True)
def exact_convolutions():
    """cuDNN rounds the operands of float32 convolutions to 10 bits unless it is told not to."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.fixture
def device():
    with device_under_test() as active:
        yield active


@pytest.fixture
def coarse():
    """A device without double precision, as MPS is."""
    with device_under_test(float64=False) as active:
        yield active
