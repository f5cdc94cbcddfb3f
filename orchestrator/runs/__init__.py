"""Use cases of runs: start, resume and cancel one, and ask what it deployed."""

from orchestrator.runs.again import Wish as Wish
from orchestrator.runs.deployed import Answer as Answer
from orchestrator.runs.deployed import Served as Served
from orchestrator.runs.deployed import answers as answers
from orchestrator.runs.deployed import endpoints as endpoints
from orchestrator.runs.deployed import served as served
from orchestrator.runs.loaded import Loaded as Loaded
from orchestrator.runs.loaded import load as load
from orchestrator.runs.started import Options as Options
from orchestrator.runs.started import cancel as cancel
from orchestrator.runs.started import goes_on as goes_on
from orchestrator.runs.started import is_alive as is_alive
from orchestrator.runs.started import resume as resume
from orchestrator.runs.started import start as start
