"""The peer: kserve's own Python server with a model as its scikit-learn server has it, in an environment of its own.

`python kserve_server.py MODEL.joblib --http_port PORT`; kserve reads its options itself.
"""

import sys

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class Sklearn(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.path = path
        self.model = None

    def load(self):
        self.model = joblib.load(self.path)
        self.ready = True
        return True

    def predict(self, payload, headers=None):  # noqa: ARG002  kserve's own way to call it.
        return get_predict_response(payload, self.model.predict(get_predict_input(payload)), self.name)


if __name__ == "__main__":
    # kserve has taken its own options from the command line when it was imported.
    model = Sklearn("bench", sys.argv[1])
    model.load()
    ModelServer(enable_grpc=False).start([model])
