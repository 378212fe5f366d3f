{{/* What all pods of our images have in common. */}}
{{- define "order-food.anyPodSpec" -}}
serviceAccountName: {{ include "order-food.serviceAccountName" . | quote }}
automountServiceAccountToken: false
# A Service named like a setting would set it.
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the pods have in common that work with the database. Takes a list of the root context and how much the load may
     put into /tmp. The volume is larger by a tenth, in whole units: the program's own limit comes first and says what to
     do. Kubernetes would not even notice, as it sees no files without a name. */}}
{{- define "order-food.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
{{- include "order-food.anyPodSpec" $root }}
volumes:
  - name: tmp
    emptyDir:
      {{- $number := regexFind "^[0-9.]+" (index . 1) }}
      sizeLimit: {{ printf "%.0f%s" (mulf $number 1.1 | ceil) (trimPrefix $number (index . 1)) | quote }}
  - name: database
    secret:
      secretName: {{ include "order-food.databaseSecret" $root | quote }}
      defaultMode: 288 # 0440
      items:
        - key: {{ ternary "DATABASE_URL" $values.database.existingSecretKey $values.postgresql.enabled | quote }}
          path: url
  - name: pepper
    secret:
      secretName: {{ include "order-food.pepperSecret" $root | quote }}
      defaultMode: 288 # 0440
      items:
        - key: {{ ternary "API_KEY_PEPPER" $values.apiKeyPepper.existingSecretKey (and $values.postgresql.enabled (not $values.apiKeyPepper.existingSecret)) | quote }}
          path: pepper
  {{- with include "order-food.dataVolume" $root }}
  - {{ . | nindent 4 | trim }}
  {{- end }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* What the containers of the three programs have in common. Takes a list of the root context, the container's name,
     its image, which of "pepper" and "data" it gets, and for a load how much it may put into /tmp. Secrets come as files:
     an environment is shown by too many. */}}
{{- define "order-food.container" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $image := index . 2 -}}
{{- $mounts := index . 3 -}}
{{- $values := $root.Values -}}
{{- $withData := and (has "data" $mounts) (include "order-food.dataVolume" $root) -}}
name: {{ $name }}
image: {{ include "order-food.image" (list $root $image) }}
imagePullPolicy: {{ default $values.image.pullPolicy $image.pullPolicy }}
securityContext:
  {{- toYaml $values.containerSecurityContext | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "order-food.fullname" $root | quote }}
env:
  - name: DATABASE_URL_FILE
    value: /secrets/database/url
  {{- if has "pepper" $mounts }}
  - name: API_KEY_PEPPER_FILE
    value: /secrets/pepper/pepper
  {{- end }}
  {{- if $withData }}
  - name: DATA_DIR
    value: /data
  {{- end }}
  {{- if gt (len .) 4 }}
  - name: SPILL_SIZE_LIMIT
    value: {{ index . 4 | quote }}
  {{- end }}
  {{- if $values.telemetry.otlpEndpoint }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_UID
    valueFrom:
      fieldRef:
        fieldPath: metadata.uid
  - name: NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  # Names that come before it in this list.
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: k8s.namespace.name={{ $root.Release.Namespace }},k8s.node.name=$(NODE_NAME),k8s.pod.name=$(POD_NAME),k8s.pod.uid=$(POD_UID),k8s.container.name={{ $name }}
  {{- end }}
  {{- with $values.extraEnvVars }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: database
    mountPath: /secrets/database
    readOnly: true
  {{- if has "pepper" $mounts }}
  - name: pepper
    mountPath: /secrets/pepper
    readOnly: true
  {{- end }}
  {{- if $withData }}
  - name: data
    mountPath: /data
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "order-food.migrationContainer" -}}
{{- $migration := .Values.initContainers.databaseMigration -}}
{{- include "order-food.container" (list . "database-migration" $migration.image list) }}
resources:
  {{- toYaml $migration.resources | nindent 2 }}
{{- end }}

{{/* A Job's spec: that of the CronJob, and of the Job at install and upgrade. Takes a list of the root context and
     whether the Job migrates first. */}}
{{- define "order-food.loadJobSpec" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
{{- $cronjob := $values.cronjob -}}
backoffLimit: {{ $cronjob.backoffLimit }}
activeDeadlineSeconds: {{ $cronjob.activeDeadlineSeconds | int }}
ttlSecondsAfterFinished: {{ $cronjob.ttlSecondsAfterFinished | int }}
{{- if eq $cronjob.restartPolicy "Never" }}
podFailurePolicy:
  rules:
    # A drained node says nothing about the load.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    # A wrong setting or file is still wrong at the next try, and what had too little room still has.
    - action: FailJob
      onExitCodes:
        containerName: database-load
        operator: In
        values: [2, 4, 7]
{{- end }}
template:
  metadata:
    {{- include "order-food.metadata" (dict "root" $root "app" "database-load" "component" "load") | nindent 4 }}
  spec:
    restartPolicy: {{ $cronjob.restartPolicy }}
    {{- include "order-food.podSpec" (list $root $cronjob.spillSizeLimit) | nindent 4 }}
    {{- if index . 1 }}
    initContainers:
      - {{ include "order-food.migrationContainer" $root | nindent 8 | trim }}
    {{- end }}
    containers:
      # Without arguments: every data set.
      - {{ include "order-food.container" (list $root "database-load" (include "order-food.cronjobImage" $root | fromYaml) (list "pepper" "data") $cronjob.spillSizeLimit) | nindent 8 | trim }}
        resources:
          {{- toYaml $cronjob.resources | nindent 10 }}
{{- end }}

{{/* What the server of the PostgreSQL for trying out and what runs before it have in common. */}}
{{- define "order-food.postgresqlContainer" -}}
{{- $postgresql := .Values.postgresql -}}
image: {{ include "order-food.image" (list . $postgresql.image) }}
imagePullPolicy: {{ default .Values.image.pullPolicy $postgresql.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
env:
  - name: POSTGRES_USER
    value: {{ $postgresql.auth.username | quote }}
  - name: POSTGRES_DB
    value: {{ $postgresql.auth.database | quote }}
  - name: POSTGRES_PASSWORD_FILE
    value: /secrets/postgresql/password
  # Below the volume: its root may hold lost+found, and belongs to somebody else.
  - name: PGDATA
    value: /var/lib/postgresql/data/pgdata
resources:
  {{- toYaml $postgresql.resources | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /var/lib/postgresql/data
  - name: run
    mountPath: /var/run/postgresql
  - name: tmp
    mountPath: /tmp
  # Only the file: a mounted folder follows its Secret, and a password that was changed in the values would make a server
  # unready that still serves those who are connected.
  - name: password
    mountPath: /secrets/postgresql/password
    subPath: password
    readOnly: true
{{- end }}
