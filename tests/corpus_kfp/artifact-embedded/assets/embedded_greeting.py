"""A module that travels in a component."""


def greet(name: str) -> str:
    return f"Hello {name}! "
