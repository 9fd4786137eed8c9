{{/* A pod template of one process. Takes root, name and process. */}}
{{- define "waybill.podTemplate" -}}
{{- $root := .root -}}
{{- $process := .process -}}
{{- $isJob := has $process.kind (list "migrate" "backup") -}}
{{- $isFirst := eq $process.kind "migrate" -}}
{{- $hasFiles := and (include "waybill.hasFiles" $root) (not $isFirst) -}}
{{- $hasBlobs := and $root.Values.blob.claim (has $process.kind (list "api" "dispatcher" "worker" "backup")) -}}
metadata:
  labels:
    {{- include "waybill.podLabels" . | nindent 4 }}
    {{- if $process.clientId }}
    azure.workload.identity/use: "true"
    {{- end }}
    {{- if $root.Values.mesh.enabled }}
    {{- if or $isJob (ne $root.Values.mesh.mode "ambient") }}
    # A Job whose sidecar stays would never end, and Postgres is outside the mesh.
    sidecar.istio.io/inject: {{ not $isJob | quote }}
    {{- end }}
    istio.io/dataplane-mode: {{ ternary "ambient" "none" (and (eq $root.Values.mesh.mode "ambient") (not $isJob)) }}
    {{- end }}
  annotations:
    # Settings are read at the start, so a change of them starts new pods.
    checksum/configuration: {{ include "waybill.configuration" $root | sha256sum }}
    kubectl.kubernetes.io/default-container: {{ $process.kind }}
spec:
  serviceAccountName: {{ include "waybill.fullname" $root }}-{{ $process.account }}
  automountServiceAccountToken: false
  # Service links would set WAYBILL_API_PORT to the address of the Service `waybill-api`, and no process would start.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $process.graceSeconds }}
  {{- if $isJob }}
  restartPolicy: Never
  {{- end }}
  {{- with $process.priority }}
  {{- if $root.Values.priorityClasses.create }}
  priorityClassName: {{ include "waybill.fullname" $root }}-{{ . }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.images.pullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  {{- with $process.options.nodeSelector }}
  nodeSelector: {{ toJson . }}
  {{- end }}
  {{- with $process.options.tolerations }}
  tolerations: {{ toJson . }}
  {{- end }}
  {{- if not $isJob }}
  topologySpreadConstraints:
    {{- range list $root.Values.zones.topologyKey "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: {{ ternary "ScheduleAnyway" $root.Values.zones.whenUnsatisfiable (eq . "kubernetes.io/hostname") }}
      labelSelector:
        matchLabels:
          {{- include "waybill.selector" (dict "root" $root "name" $.name) | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: {{ $process.kind }}
      image: {{ include "waybill.image" . }}
      imagePullPolicy: {{ $root.Values.images.pullPolicy }}
      args: {{ toJson $process.args }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      {{- if not $isFirst }}
      envFrom:
        - configMapRef: {name: {{ include "waybill.fullname" $root }}-settings}
      {{- end }}
      env:
        # Not /run/secrets itself: the identity's token is mounted below it, which a read-only volume has no room for.
        - {name: WAYBILL_SECRETS_DIR, value: /run/secrets/waybill}
        {{- range $variable, $value := $process.env }}
        - {name: {{ $variable }}, value: {{ $value | quote }}}
        {{- end }}
      {{- with $process.port }}
      ports:
        - {name: {{ .name }}, containerPort: {{ .number }}}
      # A start waits for Postgres and for its migrations by itself, up to WAYBILL_START_TIMEOUT_SECONDS.
      startupProbe:
        httpGet: {path: {{ $process.live }}, port: {{ .name }}}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 75
      readinessProbe:
        httpGet: {path: {{ $process.ready }}, port: {{ .name }}}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- /* A worker ends by itself when it stops consuming, and its supervisor replaces it; what is left for this probe
      is a process that hangs as a whole. It waits long, as a restart hands back every job of the pod. */}}
      livenessProbe:
        httpGet: {path: {{ $process.live }}, port: {{ .name }}}
        periodSeconds: {{ ternary 30 10 (eq $process.kind "worker") }}
        timeoutSeconds: 5
        failureThreshold: {{ ternary 10 6 (eq $process.kind "worker") }}
      {{- end }}
      {{- with $process.lingerSeconds }}
      lifecycle:
        preStop: {exec: {command: [sleep, {{ . | quote }}]}}
      {{- end }}
      resources: {{ toJson $process.options.resources }}
      volumeMounts:
        - {name: home, mountPath: /var/lib/waybill}
        - {name: tmp, mountPath: /tmp}
        {{- if $process.secrets }}
        - {name: secrets, mountPath: /run/secrets/waybill, readOnly: true}
        {{- end }}
        {{- if $hasFiles }}
        - {name: files, mountPath: /etc/waybill, readOnly: true}
        {{- end }}
        {{- if $hasBlobs }}
        - {name: blobs, mountPath: /var/lib/waybill-blobs, readOnly: {{ eq $process.kind "backup" }}}
        {{- end }}
        {{- if eq $process.kind "backup" }}
        - {name: backups, mountPath: /backups}
        {{- end }}
  volumes:
    - {name: home, emptyDir: {sizeLimit: 2Gi}}
    - {name: tmp, emptyDir: {sizeLimit: 4Gi}}
    {{- if $process.secrets }}
    {{- include "waybill.secretsVolume" . | nindent 4 }}
    {{- end }}
    {{- if $hasFiles }}
    - {name: files, configMap: {name: {{ include "waybill.fullname" $root }}-files}}
    {{- end }}
    {{- if $hasBlobs }}
    - {name: blobs, persistentVolumeClaim: {claimName: {{ $root.Values.blob.claim }}}}
    {{- end }}
    {{- if eq $process.kind "backup" }}
    - name: backups
      persistentVolumeClaim: {claimName: {{ $root.Values.backup.claim | default (printf "%s-backups" (include "waybill.fullname" $root)) }}}
    {{- end }}
{{- end }}

{{- define "waybill.secretsVolume" -}}
- name: secrets
  {{- if eq .root.Values.secrets.provider "keyVault" }}
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ include "waybill.fullname" .root }}-{{ .process.account }}}
  {{- else }}
  projected:
    defaultMode: 0440
    sources:
      {{- range $setting, $name := .process.secrets }}
      - secret: {name: {{ $name }}, items: [{key: {{ $setting }}, path: {{ $setting }}}]}
      {{- end }}
  {{- end }}
{{- end }}
