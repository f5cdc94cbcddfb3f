"""Asks the cluster what this pod's account may do: everything its role needs, and nothing that it must not."""

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
context = ssl.create_default_context(cafile=str(MOUNTED / "ca.crt"))
wrong = []
for line in os.environ["EXPECTED"].split():
    answer, verb, group, resource = line.split(",")
    asked = {"namespace": (MOUNTED / "namespace").read_text(), "verb": verb, "group": group, "resource": resource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    request = urllib.request.Request(
        f"{server}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        data=json.dumps(review).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {(MOUNTED / 'token').read_text()}"},
    )
    with urllib.request.urlopen(request, context=context, timeout=20) as response:
        allowed = json.load(response)["status"]["allowed"]
    print(f"{'may' if allowed else 'may not'} {verb} {resource} {group}".rstrip())
    if allowed != (answer == "yes"):
        wrong.append(f"{verb} {resource}: expected {answer}")
if wrong:
    sys.exit("\n".join(wrong))
