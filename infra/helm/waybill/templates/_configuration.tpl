{{/* The settings of every process and the files they name: the data of two ConfigMaps. */}}
{{- define "waybill.configuration" -}}
settings:
  WAYBILL_BLOB_URL: {{ .Values.blob.url | quote }}
  {{- with .Values.blob.accountUrl }}
  WAYBILL_AZURE_STORAGE_ACCOUNT_URL: {{ . | quote }}
  {{- end }}
  {{- if .Values.remoteCapabilities }}
  WAYBILL_REMOTE_CAPABILITIES_FILE: /etc/waybill/remote.toml
  {{- end }}
  {{- if and .Values.guard.enabled (not .Values.settings.WAYBILL_GUARD_URL) }}
  WAYBILL_GUARD_URL: http://{{ include "waybill.fullname" . }}-guard:8095
  {{- end }}
  {{- range $name, $value := .Values.settings }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
files:
  {{- range $name, $content := .Values.files }}
  {{ $name }}: {{ $content | quote }}
  {{- end }}
  {{- if .Values.remoteCapabilities }}
  {{- $entries := list }}
  {{- range .Values.remoteCapabilities }}
  {{- $url := printf "http://%s.%s.svc.cluster.local:%v%s" .service.name .service.namespace .service.port .service.path }}
  {{- $input := printf "%s.input.json" .capability.id }}
  {{- $output := printf "%s.output.json" .capability.id }}
  {{/* Inside the cluster the way is private: a NetworkPolicy bounds it, and a mesh encrypts it. */}}
  {{- $place := dict "url" $url "allow_http" true "input_schema" $input "output_schema" $output }}
  {{- $entries = append $entries (merge $place .capability) }}
  {{ $input }}: {{ .inputSchema | toJson | quote }}
  {{ $output }}: {{ .outputSchema | toJson | quote }}
  {{- end }}
  remote.toml: {{ dict "capability" $entries | toToml | quote }}
  {{- end }}
{{- end }}
