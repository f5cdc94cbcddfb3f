{{/* The beginning of a NetworkPolicy: {root, name}. */}}
{{- define "orchestrator.policy" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: orchestrator-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "orchestrator.labels" .root | nindent 4 }}
spec:
{{- end }}

{{/* All pods of a namespace. */}}
{{- define "orchestrator.peer" -}}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ . }}}}
{{- end }}

{{/* Egress to {namespace, cidrs, ports}; to anywhere on these ports where neither of the first two is given. */}}
{{- define "orchestrator.to" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- if or .namespace .cidrs }}
  to:
    {{- with .namespace }}
    {{- include "orchestrator.peer" . | nindent 4 }}
    {{- end }}
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "orchestrator.toNames" -}}
- ports:
    {{- range .dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- include "orchestrator.peer" .dns.namespace | nindent 4 }}
{{- end }}

{{- define "orchestrator.toApiServer" -}}
{{ include "orchestrator.to" (dict "namespace" "" "cidrs" .apiServer.cidrs "ports" .apiServer.ports) }}
{{- end }}

{{/* KFP's API (8887 gRPC, 8888 HTTP) and its record of artifacts (8080, up to KFP 2.17). */}}
{{- define "orchestrator.toKfp" -}}
{{ include "orchestrator.to" (dict "namespace" .Values.kfp.namespace "cidrs" list "ports" (list 8080 8887 8888)) }}
{{- end }}

{{- define "orchestrator.toMlflow" -}}
{{- if .Values.mlflow.enabled -}}
- ports:
    - {port: 5000, protocol: TCP}
  to:
    - podSelector:
        matchLabels:
          {{- include "orchestrator.selector" (dict "root" . "component" "mlflow") | nindent 10 }}
{{- else -}}
{{- $port := urlParse .Values.mlflow.externalUri | dig "host" "" | regexFind ":[0-9]+$" | trimPrefix ":" -}}
# Policies do not know host names: any address, on the registry's port.
- ports:
    - {port: {{ $port | default (ternary "443" "80" (hasPrefix "https:" .Values.mlflow.externalUri)) }}, protocol: TCP}
{{- end }}
{{- end }}

{{- define "orchestrator.toPredictors" -}}
- ports:
    - {port: 8080, protocol: TCP}
  to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/managed-by: orchestrator
        matchExpressions:
          - {key: serving.kserve.io/inferenceservice, operator: Exists}
{{- end }}
