"""What a pipeline asks for that the place it is to run does not have, or treats differently: told before it runs."""

from orchestrator.portability.report import Remark as Remark
from orchestrator.portability.report import remarks as remarks
from orchestrator.portability.rule import RULES as RULES
from orchestrator.portability.rule import Rule as Rule
from orchestrator.portability.rule import Severity as Severity
from orchestrator.portability.target import DEFAULT as DEFAULT
from orchestrator.portability.target import TARGETS as TARGETS
from orchestrator.portability.target import Target as Target
