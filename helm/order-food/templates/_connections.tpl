{{/* How many connections to the database there may be at a time, as JSON. README.md says the same in words.

     A pod that a rollout has replaced keeps its connections until it ends, up to the grace period later. In minReadySeconds
     a rollout replaces at most maxSurge + maxUnavailable pods: it waits for as many new ones. Where the connections do not
     suffice for replacing all pods at once, minReadySeconds grows until they do. */}}
{{- define "order-food.connections" -}}
{{- $values := .Values -}}
{{- $update := $values.updateStrategy -}}
{{- $grace := $values.shutdown.gracePeriodSeconds | int64 -}}
{{- $loads := include "order-food.loads" . | int64 -}}
{{- /* Its pool, and two for writing. Before it serves, its init containers have one each. */}}
{{- $each := add $values.database.poolSize 2 -}}
{{- $allowed := sub $values.database.maxConnections $values.database.reservedConnections -}}

{{- $replicas := ternary $values.autoscaling.maxReplicas $values.replicaCount $values.autoscaling.enabled | int64 -}}
{{- /* New pods are never more than replicas, and nor are old ones. */}}
{{- $surge := min $update.maxSurge $replicas -}}
{{- $others := sub $replicas $surge -}}
{{- $step := add $update.maxSurge $update.maxUnavailable -}}
{{- /* Pods that may end at the same time, if the connections are to suffice. */}}
{{- $room := sub (div (max 0 (sub $allowed $loads)) $each) (add $replicas $surge) -}}
{{- $wait := $update.minReadySeconds | int64 -}}
{{- $ending := include "order-food.endingPods" (list $others $step $grace $wait) | int64 -}}
{{- if lt $room $ending -}}
{{- $steps := max 1 (div $room $step) -}}
{{- $wait = max $wait (div (sub (add $grace $steps) 1) $steps) -}}
{{- $ending = include "order-food.endingPods" (list $others $step $grace $wait) | int64 -}}
{{- end -}}
{{- $pods := add $replicas $surge $ending -}}
{{- dict "replicas" $replicas "surge" $surge "ending" $ending "pods" $pods "each" $each "loads" $loads "needed" (add (mul $pods $each) $loads) "allowed" $allowed "minReadySeconds" $wait | toJson -}}
{{- end }}

{{/* Takes a list of the most there can be, how many are replaced at a time, how long they need, and how long the next ones
     wait. */}}
{{- define "order-food.endingPods" -}}
{{- $wait := index . 3 -}}
{{- if $wait -}}
{{- min (index . 0) (mul (index . 1) (div (sub (add (index . 2) $wait) 1) $wait)) -}}
{{- else -}}
{{- index . 0 -}}
{{- end -}}
{{- end }}

{{/* Loads at a time, with a connection each. */}}
{{- define "order-food.loads" -}}
{{- $cronjob := .Values.cronjob -}}
{{- $loads := 0 -}}
{{- if $cronjob.enabled -}}
{{- /* One by hand. */}}
{{- $loads = add $loads 1 -}}
{{- if eq $cronjob.concurrencyPolicy "Allow" -}}
{{- /* As many as begin until the first is stopped, in its grace period of 30 s. */}}
{{- $period := 60 -}}
{{- $minutes := regexFind "^[*]/[0-9]+ " $cronjob.schedule | trimPrefix "*/" | trim | int -}}
{{- if regexMatch "^(@|[0-9]+ )" $cronjob.schedule -}}
{{- $period = 3600 -}}
{{- else if and $minutes (eq (mod 60 (max 1 $minutes)) 0) -}}
{{- $period = mul 60 $minutes -}}
{{- end -}}
{{- $loads = add $loads 1 (div (add $cronjob.activeDeadlineSeconds 30) $period) -}}
{{- else -}}
{{- /* And one that ends, as another has replaced it. */}}
{{- $loads = add $loads (ternary 2 1 (eq $cronjob.concurrencyPolicy "Replace")) -}}
{{- end -}}
{{- end -}}
{{- if .Values.job.enabled -}}
{{- /* That of this upgrade, and that of the one before, which ends. */}}
{{- $loads = add $loads 2 -}}
{{- end -}}
{{- $loads -}}
{{- end }}
