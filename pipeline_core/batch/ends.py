"""Ways in which work on a clip ends without a result that are no affair of the clip."""


class Stop(Exception):
    """The run is to end: raised between two windows."""


class Lost(Exception):
    """Whoever worked on the clip is gone; the message is a sentence that says how."""
