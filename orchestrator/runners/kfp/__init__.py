"""IR to events through the REST API of Kubeflow Pipelines. The only importer of its client."""

from orchestrator.runners.kfp.about import log as log
from orchestrator.runners.kfp.about import version as version
from orchestrator.runners.kfp.connection import Connection as Connection
from orchestrator.runners.kfp.recurring import Plan as Plan
from orchestrator.runners.kfp.recurring import Scheduled as Scheduled
from orchestrator.runners.kfp.recurring import enable as enable
from orchestrator.runners.kfp.recurring import schedule as schedule
from orchestrator.runners.kfp.recurring import schedules as schedules
from orchestrator.runners.kfp.recurring import unschedule as unschedule
from orchestrator.runners.kfp.runner import Pods as Pods
from orchestrator.runners.kfp.runner import Request as Request
from orchestrator.runners.kfp.runner import TaskPods as TaskPods
from orchestrator.runners.kfp.runner import cancel as cancel
from orchestrator.runners.kfp.runner import find as find
from orchestrator.runners.kfp.runner import page as page
from orchestrator.runners.kfp.runner import pods as pods
from orchestrator.runners.kfp.runner import retry as retry
from orchestrator.runners.kfp.runner import run as run
from orchestrator.runners.kfp.runner import status as status
