"""The server's address."""

import pytest

from client.comfy_client import Client
from client.errors import ClientError


@pytest.mark.parametrize("server", ["ftp://host:1", "host:port", "://", ""])
def test_a_server_that_is_no_address_is_refused(server):
    with pytest.raises(ClientError, match="--server"):
        Client(server)
