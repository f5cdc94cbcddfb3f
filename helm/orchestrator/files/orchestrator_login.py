"""Lets clients of MLflow log in by a token, `user:password` in base64: tasks and model servers send no other."""

from flask import request


def authenticate():
    """As MLflow does, after a bearer token is taken for what it holds."""
    # MLflow loads this module while it loads that one.
    from mlflow.server.auth import authenticate_request_basic_auth

    kind, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() == "bearer":
        request.environ["HTTP_AUTHORIZATION"] = f"Basic {token}"
    return authenticate_request_basic_auth()
