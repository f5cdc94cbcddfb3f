{{/* What Pod Security "restricted" asks of a pod, and more: the user of our images, and a file group for volumes. */}}
{{- define "orchestrator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "orchestrator.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The only writable folder of a pod of ours, unless it has a volume. */}}
{{- define "orchestrator.temporary" -}}
- {name: HOME, value: /tmp}
- {name: DO_NOT_TRACK, value: "true"}
- {name: PYTHONDONTWRITEBYTECODE, value: "1"}
{{- end }}
