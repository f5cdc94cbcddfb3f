"""Brings the tables of MLflow's database to the version of this image; an empty database is left to the server."""

import os
import sys

from sqlalchemy import create_engine, inspect

uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
if not inspect(create_engine(uri)).has_table("experiments"):
    print("The database is empty: the server makes its tables.")
    sys.exit(0)

from mlflow.cli import cli  # noqa: E402  It takes seconds.

# Called here and not as a program, whose arguments everyone in the pod could read.
cli(["db", "upgrade", uri])
