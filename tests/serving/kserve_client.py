"""KServe's clients, in a process of their own: `python kserve_client.py HTTP_URL GRPC_ADDRESS` prints what they got."""

import asyncio
import json
import sys

import numpy as np

# On import kserve reads the command line of whoever imports it.
http, address = sys.argv[1:]
sys.argv = sys.argv[:1]

from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig  # noqa: E402


async def main():
    found = {}
    rows = np.array([[39.1, 18.7, 181.0, 3750.0], [50.0, 15.2, 218.0, 5700.0]])
    tensor = InferInput("rows", list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows, binary_data=False)
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    found["v1"] = await v1.infer(http, {"instances": rows.tolist()}, model_name="measured")
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    found["live"] = await v2.is_server_live(http)
    found["ready"] = await v2.is_server_ready(http)
    found["model"] = await v2.is_model_ready(http, "measured")
    request = InferRequest("measured", [tensor], request_id="7")
    answer = await v2.infer(http, request, model_name="measured")
    found["v2"] = [output.as_numpy().tolist() for output in answer.outputs]
    raw = InferInput("rows", list(rows.shape), "FP64")
    raw.set_data_from_numpy(rows, binary_data=True)
    answer = await v2.infer(http, InferRequest("measured", [raw]), model_name="measured")
    found["binary"] = [output.as_numpy().tolist() for output in answer.outputs]
    client = InferenceGRPCClient(address)
    found["grpc_live"] = await client.is_server_live()
    found["grpc_ready"] = await client.is_server_ready()
    found["grpc_model"] = await client.is_model_ready("measured")
    answer = await client.infer(request)
    found["grpc"] = [output.as_numpy().tolist() for output in answer.outputs]
    await client.close()
    print(json.dumps(found, default=lambda value: value.decode()))


asyncio.run(main())
