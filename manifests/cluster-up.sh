#!/usr/bin/env bash
# From an empty cluster to one that runs pipelines and serves models: cert-manager, Kubeflow Pipelines, KServe, our images and chart.
# Each part waits for what it needs, and may be run again at any time: `make cluster-up`, or `manifests/cluster-up.sh kserve chart`.
set -euo pipefail
cd "$(dirname "$0")/.."

CLUSTER=${CLUSTER:-orchestrator}        # kind's name for it
CONTEXT=${CONTEXT:-kind-$CLUSTER}       # never another cluster than this one
NAMESPACE=${NAMESPACE:-kubeflow}        # where pipelines run
REGISTRY=${REGISTRY:-localhost:5001}
REGISTRY_IMAGE=${REGISTRY_IMAGE:-registry:3}
PIPELINE=${PIPELINE:-pipelines/penguins/pipeline.yaml}
WAIT=${WAIT:-900s}
ORC=${ORC:-$([ -x .venv/bin/orc ] && echo .venv/bin/orc || echo orc)}

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf '  hint: %s\n' "$2" >&2; exit 1; }
k() { kubectl --context "$CONTEXT" "$@"; }
apply() { k apply --server-side --force-conflicts --field-manager orchestrator-up "$@"; }
ready() { k --namespace "$1" rollout status --timeout "$WAIT" deployment; }

needed() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed" "docs/kubernetes.md says where it comes from"
  done
}

cluster() {
  needed kubectl
  k get --raw /readyz >/dev/null 2>&1 || fail "no cluster answers as the context $CONTEXT" "kind create cluster --config kind-config.yaml"
}

# A registry on this machine that every machine of the cluster pulls from under the same name.
registry() {
  needed docker kind
  say "registry on $REGISTRY"
  local port=${REGISTRY##*:} machine
  docker inspect orchestrator-registry >/dev/null 2>&1 ||
    docker run --detach --restart=always --publish "127.0.0.1:$port:5000" --name orchestrator-registry "$REGISTRY_IMAGE"
  docker network connect kind orchestrator-registry 2>/dev/null || true
  for machine in $(kind get nodes --name "$CLUSTER"); do
    docker exec "$machine" mkdir -p "/etc/containerd/certs.d/localhost:$port"
    docker exec --interactive "$machine" cp /dev/stdin "/etc/containerd/certs.d/localhost:$port/hosts.toml" \
      <<<'[host."http://orchestrator-registry:5000"]'
  done
  apply -f manifests/kind/registry.yaml
}

# A pretended GPU on each machine labelled for one that has none, so that GPU tasks find their place.
gpu() {
  local machine
  for machine in $(k get nodes --selector nvidia.com/gpu.present=true --output name); do
    [ -z "$(k get "$machine" --output 'jsonpath={.status.capacity.nvidia\.com/gpu}')" ] || continue
    say "a pretended GPU on ${machine#node/}"
    k patch "$machine" --subresource status --type merge --patch '{"status": {"capacity": {"nvidia.com/gpu": "1"}}}'
  done
}

certificates() {
  say "cert-manager"
  apply --kustomize manifests/upstream/cert-manager
  ready cert-manager
}

pipelines() {
  say "Kubeflow Pipelines (some minutes the first time: it pulls 14 images)"
  apply --kustomize manifests/upstream/kfp-cluster
  k wait --for condition=established --timeout "$WAIT" crd/applications.app.k8s.io crd/workflows.argoproj.io
  if [ "$CONTEXT" = "kind-$CLUSTER" ]; then apply --kustomize manifests/kind; else apply --kustomize manifests/upstream/kfp; fi
  ready kubeflow
}

kserve() {
  say "KServe"
  # Its own resources need its webhook, which needs its certificate: a first attempt may come too early.
  local attempt
  for attempt in 1 2 3 4 5; do
    if apply --kustomize manifests/upstream/kserve && ready kserve; then return; fi
    [ "$attempt" = 5 ] || sleep 10
  done
  fail "KServe does not come up" "kubectl --context $CONTEXT --namespace kserve get pods,events"
}

images() {
  say "images of $PIPELINE, the model server and MLflow, pushed to $REGISTRY"
  local version
  version=$(sed -n 's/^appVersion: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' helm/orchestrator/Chart.yaml) # the tag the chart asks for
  "$ORC" build "$PIPELINE" server mlflow --push --registry "$REGISTRY" --tag "$version"
}

chart() {
  needed helm
  say "our chart in $NAMESPACE"
  helm upgrade orchestrator helm/orchestrator --install --kube-context "$CONTEXT" --namespace "$NAMESPACE" --create-namespace \
    --values helm/orchestrator/ci/kind-values.yaml --set "image.registry=$REGISTRY" --wait --timeout "$WAIT"
}

# Where `orc` finds all this, for a clone that says nothing of a cluster yet. What you wrote stays as it is. Not MLflow: `make demo` goes on
# with a registry of its own.
settings() {
  [ "$CONTEXT" = "kind-$CLUSTER" ] || fail "these settings are those of kind" "docs/existing-cluster.md says what to write for another cluster"
  kubectl config set-context "$CONTEXT" --namespace "$NAMESPACE" >/dev/null # so that kubectl finds what was deployed
  if [ -e orc.toml ]; then
    say "orc.toml is there and stays as it is"
    return
  fi
  say "where all this is: orc.toml"
  cat >orc.toml <<END
kfp_url = "http://localhost:8080"
kfp_files = "s3://mlpipeline/orc"
kfp_files_in_cluster = "minio://mlpipeline/orc"
images_registry = "$REGISTRY"
cluster_context = "$CONTEXT"
cluster_namespace = "$NAMESPACE"
END
  cat orc.toml
}

main() {
  cluster
  if [ $# = 0 ]; then
    set -- certificates pipelines kserve images chart
    # What only kind needs; other clusters have a registry and, where they have GPUs, real ones.
    [ "$CONTEXT" != "kind-$CLUSTER" ] || set -- registry gpu "$@" settings
  fi
  local part
  for part in "$@"; do
    declare -F "$part" >/dev/null || fail "there is no part $part" "registry, gpu, certificates, pipelines, kserve, images, chart, settings"
    "$part"
  done
  [ "$CONTEXT" = "kind-$CLUSTER" ] || return 0
  # Keys that Kubeflow Pipelines is installed with everywhere; still, no file of ours holds them.
  cat <<END

Kubeflow Pipelines   http://localhost:8080
MLflow               http://localhost:5000

Run a pipeline:
  source .venv/bin/activate
  export AWS_ENDPOINT_URL=http://localhost:9000 AWS_ACCESS_KEY_ID=minio AWS_SECRET_ACCESS_KEY=minio123
  orc run $PIPELINE --on kfp
END
}

main "$@"
