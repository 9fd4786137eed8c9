{{/*
What runs, as data: every process with its image, its arguments, its port, its probes and its secrets. The templates
of Deployments, accounts, budgets, policies and secrets go through this table; none of them names a process.
*/}}
{{- define "waybill.processes" }}
{{- $ids := ternary .Values.workloadIdentity.clientIds dict .Values.workloadIdentity.enabled }}
{{- $secrets := .Values.secrets.processes }}
{{- $metrics := dict "name" "metrics" "number" 9100 }}
{{- $metricsEnv := dict "WAYBILL_METRICS_PORT" "9100" }}
api: &api
  kind: api
  image: waybill-api
  args: [api]
  port: {name: http, number: 8080}
  service: true
  live: /healthz
  ready: /readyz
  # Endpoints are withdrawn while a pod already stops: it serves on for these seconds, then open requests have 15.
  lingerSeconds: 5
  graceSeconds: 30
  priority: serving
  autoscaled: {{ .Values.api.autoscaling.enabled }}
  options: {{ omit .Values.api "autoscaling" "canary" | toJson }}
  account: api
  clientId: {{ $ids.api | quote }}
  secrets: {{ $secrets.api | toJson }}
{{- with .Values.api.canary }}
{{- if .replicas }}
api-canary:
  <<: *api
  tag: {{ .tag | quote }}
  autoscaled: false
  options: {{ merge (dict "replicas" .replicas) (omit $.Values.api "autoscaling" "canary") | toJson }}
{{- end }}
{{- end }}
dispatcher:
  kind: dispatcher
  image: waybill-worker-dispatcher
  args: [dispatcher]
  port: {{ $metrics | toJson }}
  live: /metrics
  ready: /metrics
  graceSeconds: 30
  priority: serving
  env: {{ $metricsEnv | toJson }}
  options: {{ .Values.dispatcher | toJson }}
  account: dispatcher
  clientId: {{ $ids.dispatcher | quote }}
  secrets: {{ $secrets.dispatcher | toJson }}
deliverer:
  kind: deliverer
  image: waybill-api
  args: [deliverer]
  port: {{ $metrics | toJson }}
  live: /metrics
  ready: /metrics
  # Attempts under way are finished: WAYBILL_WEBHOOK_TIMEOUT_SECONDS is at most 60.
  graceSeconds: 75
  priority: serving
  env: {{ $metricsEnv | toJson }}
  options: {{ .Values.deliverer | toJson }}
  account: deliverer
  clientId: {{ $ids.deliverer | quote }}
  secrets: {{ $secrets.deliverer | toJson }}
{{- if .Values.flower.enabled }}
flower:
  kind: flower
  image: waybill-worker-dispatcher
  args: [flower]
  port: {name: flower, number: 5555}
  service: true
  live: /healthcheck
  ready: /healthcheck
  graceSeconds: 30
  priority: work
  env: {WAYBILL_FLOWER_HOST: 0.0.0.0}
  options: {{ omit .Values.flower "enabled" | toJson }}
  account: flower
  clientId: {{ $ids.flower | quote }}
  secrets: {{ $secrets.flower | toJson }}
{{- end }}
{{- if .Values.guard.enabled }}
guard:
  kind: guard
  image: waybill-worker-guard
  args: [guard, serve, --listen, "http://0.0.0.0:8095"]
  port: {name: http, number: 8095}
  service: true
  live: /healthz
  ready: /readyz
  # As the API's pods: a Service's endpoints are withdrawn while the pod already stops.
  lingerSeconds: 5
  graceSeconds: 30
  priority: serving
  options: {{ omit .Values.guard "enabled" | toJson }}
  account: guard
  clientId: ""
  secrets: {}
{{- end }}
{{- range $name, $row := .Values.pools }}
{{- $pool := mergeOverwrite (deepCopy $.Values.poolDefaults) $row }}
{{- $queue := $pool.pool | default $name }}
worker-{{ $name | replace "_" "-" }}: &worker_{{ $name }}
  kind: worker
  pool: {{ $queue }}
  slots: {{ $pool.slots }}
  image: {{ $pool.image | default (printf "waybill-worker-%s" $name) }}
  tag: {{ $pool.tag | quote }}
  args: [worker, --capability, {{ $queue }}, --concurrency, {{ $pool.slots | quote }}]
  port: {{ $metrics | toJson }}
  live: /metrics
  ready: /metrics
  # After the drain running jobs are handed back to the queue, which is done in a few seconds.
  graceSeconds: {{ add $pool.drainSeconds 30 }}
  priority: work
  autoscaled: {{ and $.Values.keda.enabled $pool.autoscaling }}
  env:
    WAYBILL_METRICS_PORT: "9100"
    WAYBILL_DRAIN_SECONDS: {{ $pool.drainSeconds | quote }}
    WAYBILL_WORKER_MEMORY_MB: {{ dict $queue $pool.memoryMb | toJson | quote }}
  options: {{ pick $pool "replicas" "minReplicas" "maxReplicas" "resources" "nodeSelector" "tolerations" | toJson }}
  account: worker-{{ $name | replace "_" "-" }}
  clientId: {{ $pool.clientId | default $ids.worker | quote }}
  secrets: {{ merge (deepCopy $pool.secrets) $secrets.worker | toJson }}
{{- with $pool.canary }}
{{- if .replicas }}
worker-{{ $name | replace "_" "-" }}-canary:
  <<: *worker_{{ $name }}
  tag: {{ .tag | quote }}
  autoscaled: false
  options: {{ merge (dict "replicas" .replicas) (pick $pool "resources" "nodeSelector" "tolerations") | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The migrations: a Job that runs before the rest, so it is not in the table of what is there all the time. */}}
{{- define "waybill.migration" }}
kind: migrate
image: waybill-api
tag: {{ .Values.migrate.tag | quote }}
args: [migrate, --passwords, /run/secrets/waybill]
graceSeconds: 30
priority: ""
options: {{ omit .Values.migrate "tag" "timeoutSeconds" | toJson }}
account: migrate
clientId: {{ (ternary .Values.workloadIdentity.clientIds dict .Values.workloadIdentity.enabled).migrate | quote }}
{{- $secrets := .Values.secrets.processes.migrate }}
secrets: {{ ternary $secrets (omit $secrets "waybill_backup.password") .Values.backup.enabled | toJson }}
{{- end }}

{{/* The backup: a Job now and then. */}}
{{- define "waybill.backup" }}
kind: backup
image: waybill-backup
args: {{ concat (list "backup" "--into" "/backups") (ternary (list "--keep" (toString .Values.backup.keep)) list (gt (int .Values.backup.keep) 0)) | toJson }}
graceSeconds: 30
priority: ""
options: {{ pick .Values.backup "resources" "nodeSelector" "tolerations" | toJson }}
account: backup
clientId: {{ (ternary .Values.workloadIdentity.clientIds dict .Values.workloadIdentity.enabled).backup | quote }}
secrets: {{ .Values.secrets.processes.backup | toJson }}
{{- end }}
