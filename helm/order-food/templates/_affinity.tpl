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
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "order-food.selectorLabels" (list . "order-food" "api") | nindent 10 }}
{{- else if .Values.podAntiAffinityPreset }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "order-food.selectorLabels" (list . "order-food" "api") | nindent 12 }}
{{- end }}
{{- end }}
