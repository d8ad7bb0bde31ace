"""What goes wrong between a script and a server."""


class ClientError(Exception):
    """One sentence for the person who runs the graph."""
