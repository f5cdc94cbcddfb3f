{{/* Labels of every object. Names are fixed: component files and endpoints name them, so there is one release per namespace. */}}
{{- define "orchestrator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: orchestrator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: orchestrator
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The pods of one role of this release: {root, component}. */}}
{{- define "orchestrator.selector" -}}
app.kubernetes.io/name: orchestrator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "orchestrator.podLabels" -}}
{{ include "orchestrator.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: orchestrator
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* REGISTRY/REPOSITORY, then a digest, or a tag: {root, image}. */}}
{{- define "orchestrator.image" -}}
{{- $registry := trimSuffix "/" .root.Values.image.registry -}}
{{- $name := .image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" $registry $name }}{{ end -}}
{{- if .image.digest -}}
{{ printf "%s@%s" $name .image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{- define "orchestrator.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where clients of this namespace find MLflow. */}}
{{- define "orchestrator.trackingUri" -}}
{{- if .Values.mlflow.enabled -}}
http://orchestrator-mlflow.{{ .Release.Namespace }}.svc:{{ .Values.mlflow.service.port }}
{{- else -}}
{{ .Values.mlflow.externalUri }}
{{- end -}}
{{- end }}

{{/* "true" where MLflow keeps something on a volume: its database, its artifacts, or both. */}}
{{- define "orchestrator.volume" -}}
{{- if and .Values.mlflow.enabled (or (not .Values.mlflow.database.secret) (not .Values.mlflow.artifacts.destination)) }}true{{ end -}}
{{- end }}

{{- define "orchestrator.claim" -}}
{{ .Values.mlflow.volume.existingClaim | default "orchestrator-mlflow" }}
{{- end }}

{{- define "orchestrator.kfpUrl" -}}
{{ .Values.kfp.url | default (printf "http://ml-pipeline.%s.svc:8888" .Values.kfp.namespace) }}
{{- end }}
