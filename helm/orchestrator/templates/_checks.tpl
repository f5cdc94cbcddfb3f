{{/* What a schema cannot say: values that do not go together. All of them at once, in words. */}}
{{- define "orchestrator.checks" -}}
{{- $wrong := list -}}
{{- $mlflow := .Values.mlflow -}}
{{- if $mlflow.enabled -}}
  {{- if and (not $mlflow.database.secret) (gt (int $mlflow.workers) 1) -}}
    {{- $wrong = append $wrong "mlflow.workers: SQLite has one writer; name the Secret of a database in mlflow.database.secret, or set 1" -}}
  {{- end -}}
  {{- if and (include "orchestrator.volume" .) (gt (int $mlflow.replicas) 1) -}}
    {{- $wrong = append $wrong "mlflow.replicas: replicas share no volume; set mlflow.database.secret and mlflow.artifacts.destination, or 1" -}}
  {{- end -}}
  {{- if and $mlflow.ingress.enabled (not $mlflow.ingress.host) -}}
    {{- $wrong = append $wrong "mlflow.ingress.host: an ingress needs a host name" -}}
  {{- end -}}
  {{- if and $mlflow.ingress.enabled (not $mlflow.auth.secret) (not $mlflow.ingress.anonymous) -}}
    {{- $wrong = append $wrong "mlflow.ingress: everyone who reaches the host could change models; set mlflow.auth.secret, or mlflow.ingress.anonymous=true where something else asks who they are" -}}
  {{- end -}}
  {{- if and $mlflow.artifacts.credentials.secret (not $mlflow.artifacts.destination) -}}
    {{- $wrong = append $wrong "mlflow.artifacts.credentials: there is no mlflow.artifacts.destination to use them for" -}}
  {{- end -}}
  {{- range $name, $_ := $mlflow.env -}}
    {{- if regexMatch "(?i)(PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL)" $name -}}
      {{- $wrong = append $wrong (printf "mlflow.env.%s: a secret is never written into values; put it into the Secret of mlflow.artifacts.credentials, mlflow.database or mlflow.auth" $name) -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- if not $mlflow.externalUri -}}
    {{- $wrong = append $wrong "mlflow.externalUri: with mlflow.enabled=false, say where your server is" -}}
  {{- end -}}
  {{- if regexMatch "://[^/]*@" $mlflow.externalUri -}}
    {{- $wrong = append $wrong "mlflow.externalUri: it holds a password; put MLFLOW_TRACKING_TOKEN into the Secret named orchestrator" -}}
  {{- end -}}
{{- end -}}
{{- if or (eq $mlflow.image.tag "latest") (eq .Values.servingRuntime.image.tag "latest") -}}
  {{- $wrong = append $wrong "image.tag: latest may be another image tomorrow; name a version, or a digest" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.monitors -}}
  {{- if hasKey $seen .name -}}
    {{- $wrong = append $wrong (printf "monitors: two are named %q" .name) -}}
  {{- end -}}
  {{- $_ := set $seen .name true -}}
  {{- if or (hasSuffix ":latest" .image) (not (regexMatch "(:[^/]+|@sha256:[0-9a-f]{64})$" .image)) -}}
    {{- $wrong = append $wrong (printf "monitors.%s.image: %q may be another image tomorrow; name a digest, or a tag that is not latest" .name .image) -}}
  {{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\nThese values do not go together:\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end }}
