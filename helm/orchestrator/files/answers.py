"""MLflow answers under the name that tasks and predictors use, and its registry can be read."""

import json
import os
import sys
import urllib.error
import urllib.request

ALLOWED = (200, 401)  # 401: it asks who we are, as it was told to.
uri = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
for path in ("/health", "/api/2.0/mlflow/registered-models/search?max_results=1"):
    request = urllib.request.Request(uri + path)
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except urllib.error.URLError as error:
        sys.exit(f"{uri}{path}: {error.reason}")
    if status not in ALLOWED:
        sys.exit(f"{uri}{path} answered {status}: {text[:500]}")
    if status == 200 and path != "/health":
        json.loads(text)
    print(f"{uri}{path}: {status}")
