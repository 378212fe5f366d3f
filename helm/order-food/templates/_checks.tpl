{{/* What would only fail on the cluster, or much later. Each message says what to set. */}}
{{- define "order-food.checks" -}}
{{- $values := .Values -}}
{{- if not (or $values.postgresql.enabled $values.database.existingSecret) }}
{{- fail "order-food: no database. Set database.existingSecret to a Secret with the keys DATABASE_URL and API_KEY_PEPPER, or postgresql.enabled=true for trying out" }}
{{- end }}
{{- if and $values.postgresql.enabled $values.database.existingSecret }}
{{- fail (printf "order-food: database.existingSecret is %s, and the PostgreSQL for trying out is on. Set postgresql.enabled=false to use your database, or leave database.existingSecret empty" $values.database.existingSecret) }}
{{- end }}

{{- if $values.autoscaling.enabled }}
{{- $replicas := $values.autoscaling.maxReplicas | int }}
{{- if lt $replicas ($values.autoscaling.minReplicas | int) }}
{{- fail (printf "order-food: autoscaling.maxReplicas is %d, below autoscaling.minReplicas. Raise it to at least %d" $replicas ($values.autoscaling.minReplicas | int)) }}
{{- end }}
{{- if not (or $values.autoscaling.targetCPUUtilizationPercentage $values.autoscaling.targetRequestsPerSecond) }}
{{- fail "order-food: autoscaling has nothing to aim at. Set autoscaling.targetCPUUtilizationPercentage or autoscaling.targetRequestsPerSecond" }}
{{- end }}
{{- end }}

{{- $connections := include "order-food.connections" . | fromJson }}
{{- if gt $connections.needed $connections.allowed }}
{{- fail (printf "order-food: %v pods (%v, %v more in a rollout, %v ending) and the loads may open %v connections (%v * %v + %v), %v are allowed (database.maxConnections %d - database.reservedConnections %d). Lower database.poolSize or the number of pods, or raise database.maxConnections together with the database's max_connections" $connections.pods $connections.replicas $connections.surge $connections.ending $connections.needed $connections.pods $connections.each $connections.loads $connections.allowed ($values.database.maxConnections | int64) ($values.database.reservedConnections | int64)) }}
{{- end }}
{{- if ge ($connections.minReadySeconds | int64) ($values.updateStrategy.progressDeadlineSeconds | int64) }}
{{- fail (printf "order-food: a rollout waits %v s for each new pod, updateStrategy.progressDeadlineSeconds is %d. Raise it, or database.maxConnections, or lower shutdown.gracePeriodSeconds or updateStrategy.minReadySeconds" $connections.minReadySeconds ($values.updateStrategy.progressDeadlineSeconds | int64)) }}
{{- end }}

{{- $shutdown := $values.shutdown }}
{{- $stopping := add $shutdown.preStopSleepSeconds $shutdown.delaySeconds $shutdown.timeoutSeconds 5 }}
{{- if lt ($shutdown.gracePeriodSeconds | int64) $stopping }}
{{- fail (printf "order-food: a pod may need %d s to stop, shutdown.gracePeriodSeconds is %d. Raise it, or lower shutdown.preStopSleepSeconds, delaySeconds or timeoutSeconds" $stopping ($shutdown.gracePeriodSeconds | int64)) }}
{{- end }}

{{- if gt (len (list $values.data.files $values.data.existingConfigMap $values.data.existingClaim | compact)) 1 }}
{{- fail "order-food: data comes from one place. Set one of data.files, data.existingConfigMap and data.existingClaim" }}
{{- end }}

{{- $fromSecrets := dict "DATABASE_URL" "database.existingSecret, with postgresql.enabled=false" "API_KEY_PEPPER" "apiKeyPepper.existingSecret" }}
{{- range $values.extraEnvVars }}
{{- if hasKey $fromSecrets .name }}
{{- fail (printf "order-food: extraEnvVars sets %s, which the programs read from a Secret. Remove it there and set %s" .name (get $fromSecrets .name)) }}
{{- end }}
{{- end }}

{{- /* The API server refuses a name that occurs twice in one list. */}}
{{- $names := list "DATABASE_URL_FILE" "API_KEY_PEPPER_FILE" "DATA_DIR" "SPILL_SIZE_LIMIT" "POD_NAME" "POD_UID" "NODE_NAME" "OTEL_RESOURCE_ATTRIBUTES" }}
{{- range $values.extraEnvVars }}
{{- if has .name $names }}
{{- fail (printf "order-food: extraEnvVars sets %s, which is set already. Remove it there and use the chart's own value for it" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $volumes := list "tmp" "database" "pepper" "data" }}
{{- range $values.extraVolumes }}
{{- if has .name $volumes }}
{{- fail (printf "order-food: extraVolumes has %s, which there is already. Give it another name" .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $paths := list "/tmp" "/data" "/secrets/database" "/secrets/pepper" }}
{{- range $values.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "order-food: extraVolumeMounts mounts %s, which is no volume. Add it to extraVolumes" .name) }}
{{- end }}
{{- if has .mountPath $paths }}
{{- fail (printf "order-food: extraVolumeMounts uses %s, where something is mounted already. Choose another path" .mountPath) }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}

{{- $spread := list }}
{{- range $values.topologySpreadConstraints }}
{{- $pair := printf "%s, %s" .topologyKey .whenUnsatisfiable }}
{{- if has $pair $spread }}
{{- fail (printf "order-food: topologySpreadConstraints has %s twice. Remove one" $pair) }}
{{- end }}
{{- $spread = append $spread $pair }}
{{- end }}

{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) }}
{{- fail "order-food: an HTTPRoute needs a Gateway. Set httpRoute.parentRefs, e.g. [{name: public, namespace: gateways}]" }}
{{- end }}
{{- if and $values.nodeAffinityPreset.type (not (and $values.nodeAffinityPreset.key $values.nodeAffinityPreset.values)) }}
{{- fail "order-food: nodeAffinityPreset.type needs a label. Set nodeAffinityPreset.key and nodeAffinityPreset.values" }}
{{- end }}
{{- if and $values.metrics.serviceMonitor.enabled (not $values.metrics.enabled) }}
{{- fail "order-food: a ServiceMonitor collects /metrics, which is off. Set metrics.enabled=true" }}
{{- end }}
{{- if and $values.metrics.prometheusRule.enabled (not $values.metrics.enabled) }}
{{- fail "order-food: the alerts ask for /metrics, which is off. Set metrics.enabled=true" }}
{{- end }}
{{- if and $values.metrics.prometheusRule.enabled (not $values.metrics.serviceMonitor.enabled) }}
{{- fail "order-food: the alerts are about what a ServiceMonitor collects; without it ApiDown would page for ever. Set metrics.serviceMonitor.enabled=true" }}
{{- end }}
{{- end }}
