"""What one try can come to when it does not succeed."""


class NotDelivered(Exception):
    """It did not arrive: `again` says whether another try can help, `least` after how long."""

    def __init__(self, reason: str, *, again: bool, least: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.least = least


def in_words(error: Exception) -> str:
    """What an error says to people, without its number."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


class Doubtful(Exception):
    """It may have arrived; whoever sends it again may send it twice."""
