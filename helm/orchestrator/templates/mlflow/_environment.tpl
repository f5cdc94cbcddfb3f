{{/* Host names that MLflow answers to; every other is refused, lest a web page elsewhere talks to it through a browser. */}}
{{- define "orchestrator.allowedHosts" -}}
{{- $name := "orchestrator-mlflow" -}}
{{- $hosts := list -}}
{{- range list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.*" $name .Release.Namespace) "localhost" "127.0.0.1" -}}
  {{- $hosts = concat $hosts (list . (printf "%s:*" .)) -}}
{{- end -}}
{{- with .Values.mlflow.ingress }}{{ if .enabled }}{{ $hosts = append $hosts .host }}{{ end }}{{ end -}}
{{- if .Values.mlflow.metrics }}{{ $hosts = append $hosts "$(POD_IP):5000" }}{{ end -}}
{{ join "," (concat $hosts .Values.mlflow.allowedHosts | uniq) }}
{{- end }}

{{- define "orchestrator.mlflowEnv" -}}
{{- $mlflow := .Values.mlflow -}}
{{ include "orchestrator.temporary" . }}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
# Runners of jobs inside the server (evaluation of language models) take 800 MB and are not used here.
- {name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}
{{- if $mlflow.metrics }}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}
- name: ALLOWED_HOSTS
  value: {{ include "orchestrator.allowedHosts" . | quote }}
- name: MLFLOW_BACKEND_STORE_URI
{{- if $mlflow.database.secret }}
  valueFrom: {secretKeyRef: {name: {{ $mlflow.database.secret }}, key: {{ $mlflow.database.key }}}}
{{- else }}
  value: sqlite:////data/mlflow.db
{{- end }}
{{- if $mlflow.auth.secret }}
- {name: MLFLOW_AUTH_CONFIG_PATH, value: /etc/mlflow/basic_auth.ini}
- {name: PYTHONPATH, value: /etc/mlflow}
- name: MLFLOW_FLASK_SERVER_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ $mlflow.auth.secret }}, key: secret-key}}
{{- end }}
{{- with $mlflow.artifacts.endpoint }}
- {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with $mlflow.artifacts.region }}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
{{- with $mlflow.artifacts.credentials }}
{{- if .secret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .accessKey }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .secretKey }}}}
{{- end }}
{{- end }}
{{- range $name, $value := $mlflow.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
