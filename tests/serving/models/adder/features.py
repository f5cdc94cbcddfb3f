"""What another model in the same server calls by the same name."""


class InvalidInput(Exception):
    status_code = 422

    def __init__(self, reason):
        super().__init__(reason)
        self.detail = reason
