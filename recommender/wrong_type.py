"""The error for an argument of the wrong type."""


def wrong_type(call: str, wanted: str, value: object, cure: str) -> TypeError:
    """Return an error that says what a call takes, what it got, and which call is right."""
    if type(value).__name__ == "LazyFrame":  # of polars
        cure = "call collect() on the LazyFrame first"
    return TypeError(f"{call} takes {wanted}, not {type(value).__name__}: {cure}")
