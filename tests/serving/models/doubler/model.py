"""A model as it is written for KServe's own server, with its types for V2; started by hand it serves itself."""

import kserve
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput


class Doubler(Model):
    def __init__(self, name: str):
        super().__init__(name)
        self.seen = []

    def load(self) -> bool:
        self.ready = True
        return self.ready

    async def predict(self, payload, headers=None, response_headers=None):
        self.seen.append(type(payload).__name__)
        if isinstance(payload, InferRequest):
            values = payload.get_input_by_name("a").as_numpy()
            twice = InferOutput("twice", [len(values)], "FP64", data=(values * 2).tolist())
            return InferResponse("1", self.name, [twice])
        if any(row["a"] is None for row in payload["instances"]):
            raise InvalidInput("a is missing")
        return {"predictions": [row["a"] * 2 for row in payload["instances"]], "last": self.seen[-1]}


if __name__ == "__main__":
    kserve.ModelServer().start([Doubler("doubler")])
