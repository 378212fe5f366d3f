{{/* Short enough for what Kubernetes appends to the name of a StatefulSet. */}}
{{- define "order-food.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Takes a list of the root context, the name and the component. What selects never changes, or upgrades fail. */}}
{{- define "order-food.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 2 }}
{{- end }}

{{/* Labels, and annotations if there are any, of an object or a pod. Takes a dict of the root context, app and component
     as in selectorLabels, and more labels and annotations. The chart's own win, or selectors would miss. With isStable
     there are no labels that another version of the chart changes. */}}
{{- define "order-food.metadata" -}}
{{- $root := .root -}}
{{- $own := include "order-food.selectorLabels" (list $root .app .component) | fromYaml -}}
{{- $chart := dict -}}
{{- if not .isStable -}}
{{- $chart = dict
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" "order-food"
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) -}}
{{- end -}}
labels:
  {{- toYaml (merge dict $own $chart (default dict .labels) $root.Values.commonLabels) | nindent 2 }}
{{- with merge dict (default dict .annotations) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes a list of the root context and an image. */}}
{{- define "order-food.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := list $image.registry $image.repository | compact | join "/" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest | quote }}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) | quote }}
{{- end }}
{{- end }}

{{/* The periodic load's image: that of the init container, with what cronjob.image sets. A tag set there replaces a digest set here. */}}
{{- define "order-food.cronjobImage" -}}
{{- $image := deepCopy .Values.initContainers.databaseLoad.image -}}
{{- $own := .Values.cronjob.image -}}
{{- if $own.tag }}{{ $_ := set $image "digest" "" }}{{ end -}}
{{- range $field, $value := $own }}{{ if $value }}{{ $_ := set $image $field $value }}{{ end }}{{ end -}}
{{- toYaml $image }}
{{- end }}

{{- define "order-food.serviceAccountName" -}}
{{- default (ternary (include "order-food.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "order-food.databaseSecret" -}}
{{- ternary (include "order-food.fullname" .) .Values.database.existingSecret .Values.postgresql.enabled }}
{{- end }}

{{- define "order-food.pepperSecret" -}}
{{- default (include "order-food.databaseSecret" .) .Values.apiKeyPepper.existingSecret }}
{{- end }}

{{/* ConfigMap or claim with the data files, as a volume; nothing if the compiled-in ones are loaded. */}}
{{- define "order-food.dataVolume" -}}
{{- if .Values.data.existingClaim -}}
name: data
persistentVolumeClaim:
  claimName: {{ .Values.data.existingClaim | quote }}
  readOnly: true
{{- else if or .Values.data.files .Values.data.existingConfigMap -}}
name: data
configMap:
  name: {{ default (printf "%s-data" (include "order-food.fullname" .)) .Values.data.existingConfigMap | quote }}
{{- end }}
{{- end }}

{{/* What a change of must restart the pods for. */}}
{{- define "order-food.checksums" -}}
checksum/config: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum | quote }}
{{- if .Values.postgresql.enabled }}
checksum/secret: {{ include (print .Template.BasePath "/secret.yaml") . | sha256sum | quote }}
{{- end }}
{{- if .Values.data.files }}
checksum/data: {{ include (print .Template.BasePath "/configmap-data.yaml") . | sha256sum | quote }}
{{- end }}
{{- end }}

{{/* What is for everybody. /metrics, /panic and the probes are not. */}}
{{- define "order-food.publicPaths" -}}
/: Exact
/api: Prefix
/docs: Prefix
# Versions of ingress-nginx refuse other types for a path with a dot.
/openapi.json: ImplementationSpecific
/openapi.yaml: ImplementationSpecific
{{- end }}
