{{- define "waybill.fullname" -}}
{{- if contains "waybill" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-waybill" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "waybill.chartLabels" -}}
app.kubernetes.io/name: waybill
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The pods of this release, whatever they run. */}}
{{- define "waybill.releaseSelector" -}}
app.kubernetes.io/name: waybill
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The pods of one process. Takes root and name. */}}
{{- define "waybill.selector" -}}
{{ include "waybill.releaseSelector" .root }}
waybill.io/process: {{ .name }}
{{- end }}

{{/* Of the pods of one process: without the chart's version, which would start new pods for nothing. Takes root, name and
process. */}}
{{- define "waybill.podLabels" -}}
{{ include "waybill.selector" . }}
app.kubernetes.io/component: {{ .process.kind }}
{{- with .process.pool }}
waybill.io/pool: {{ . }}
{{- end }}
{{- end }}

{{/* Of the objects that belong to one process. Takes root, name and process. */}}
{{- define "waybill.labels" -}}
{{ include "waybill.chartLabels" .root }}
app.kubernetes.io/component: {{ .process.kind }}
waybill.io/process: {{ .name }}
{{- end }}

{{/* Takes root and process. */}}
{{- define "waybill.image" -}}
{{- $images := .root.Values.images -}}
{{- $digest := get $images.digests .process.image -}}
{{- if and $digest (not .process.tag) -}}
{{ $images.registry }}/{{ .process.image }}@{{ $digest }}
{{- else -}}
{{ $images.registry }}/{{ .process.image }}:{{ .process.tag | default $images.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "waybill.hasFiles" -}}
{{- if or .Values.files .Values.remoteCapabilities }}true{{ end -}}
{{- end }}
