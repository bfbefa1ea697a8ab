{{- define "rotator.name" -}}
{{ ternary .Release.Name (print .Release.Name "-" .Chart.Name) (contains .Chart.Name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "rotator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels of every object, what Helm adds included. */}}
{{- define "rotator.labels" -}}
{{ include "rotator.selector" . }}
app.kubernetes.io/part-of: rotator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rotator.settings" -}}
{{ .Values.settings | default (.Files.Get "files/rotator.toml") }}
{{- end }}

{{- define "rotator.settingsName" -}}
{{ include "rotator.name" . }}{{ if .Values.settingsHash }}-{{ include "rotator.settings" . | sha256sum | trunc 10 }}{{ end }}
{{- end }}

{{- define "rotator.authoritiesName" -}}
{{ include "rotator.name" . }}-ca{{ if .Values.authorities }}-{{ toJson .Values.authorities | sha256sum | trunc 10 }}{{ end }}
{{- end }}

{{- define "rotator.priorityClassName" -}}
{{ .Values.priorityClass.name | default (ternary (include "rotator.name" .) "" .Values.priorityClass.create) }}
{{- end }}

{{- define "rotator.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* Labels of a pod. Takes (context, component). */}}
{{- define "rotator.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "rotator.selector" $root }}
app.kubernetes.io/part-of: rotator
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* What all pods have in common, besides their containers. */}}
{{- define "rotator.pod" -}}
serviceAccountName: {{ include "rotator.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 60
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: settings
    configMap: {name: {{ include "rotator.settingsName" . }}, defaultMode: 0444}
  - name: authorities
    configMap: {name: {{ include "rotator.authoritiesName" . }}, optional: true, defaultMode: 0444}
  - name: vault-token
    projected:
      sources:
        - serviceAccountToken:
            path: token
            audience: vault
            expirationSeconds: 600
  - name: run
    emptyDir:
      medium: Memory
      sizeLimit: 16Mi
{{- end }}

{{- define "rotator.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What all containers have in common, besides their volumes. Takes (context, args). */}}
{{- define "rotator.container" -}}
{{- $root := index . 0 -}}
name: rotator
image: {{ include "rotator.image" $root }}
args: {{- toYaml (index . 1) | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources: {{- toYaml $root.Values.resources | nindent 2 }}
volumeMounts:
  - {name: settings, mountPath: /etc/rotator, readOnly: true}
  - {name: authorities, mountPath: /etc/rotator-ca, readOnly: true}
  - {name: vault-token, mountPath: /var/run/secrets/rotator, readOnly: true}
  - {name: run, mountPath: /run/rotator}
{{- end }}

{{- /* A suspended or scheduled Job's template. Takes (context, component, args, deadline in seconds). */}}
{{- define "rotator.job" -}}
{{- $root := index . 0 -}}
backoffLimit: 0
activeDeadlineSeconds: {{ index . 3 }}
{{- if eq (index . 1) "now" }}
ttlSecondsAfterFinished: 86400
{{- end }}
template:
  metadata:
    labels: {{- include "rotator.podLabels" (list $root (index . 1)) | nindent 6 }}
  spec: {{- include "rotator.pod" $root | nindent 4 }}
    restartPolicy: Never
    securityContext: {{- include "rotator.security" $root | nindent 6 }}
    containers:
      - {{- include "rotator.container" (list $root (index . 2)) | nindent 8 }}
{{- end }}
