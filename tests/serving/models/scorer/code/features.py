"""What another model in the same server calls by the same name."""


def checked(row):
    if row[0] < 0:
        raise ValueError("mass must not be negative")
    return row


def score(row, model):
    return sum(value * weight for value, weight in zip(row, model["weights"], strict=True))
