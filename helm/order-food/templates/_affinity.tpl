{{- define "order-food.affinity" -}}
{{- $node := .Values.nodeAffinityPreset -}}
{{- if $node.type -}}
nodeAffinity:
  {{- if eq $node.type "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - key: {{ $node.key | quote }}
            operator: In
            values: {{ $node.values | toJson }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 50
      preference:
        matchExpressions:
          - key: {{ $node.key | quote }}
            operator: In
            values: {{ $node.values | toJson }}
  {{- end }}
{{- end }}
{{- if eq .Values.podAntiAffinityPreset "hard" }}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - {{ include "order-food.otherApiPods" . | nindent 6 | trim }}
{{- else if .Values.podAntiAffinityPreset }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        {{- include "order-food.otherApiPods" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* The pods that an API pod avoids: on its node, and of the same rollout. If those of the rollout before counted, too,
     pods on every node would leave no place for a new one, and none of them goes before there is a new one. */}}
{{- define "order-food.otherApiPods" -}}
topologyKey: kubernetes.io/hostname
labelSelector:
  matchLabels:
    {{- include "order-food.selectorLabels" (list . "order-food" "api") | nindent 4 }}
{{- if include "order-food.antiAffinityKnowsRollouts" . }}
matchLabelKeys:
  - pod-template-hash
{{- end }}
{{- end }}

{{/* Before, clusters drop the field. */}}
{{- define "order-food.antiAffinityKnowsRollouts" -}}
{{- if semverCompare ">=1.31-0" .Capabilities.KubeVersion.Version }}yes{{ end }}
{{- end }}
