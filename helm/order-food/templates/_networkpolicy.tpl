{{/* Names, wherever they are answered: some clusters do it on the node, outside of all pods, and OpenShift's pods on
     a port of their own. */}}
{{- define "order-food.egressToNames" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
    - port: 5353
      protocol: UDP
    - port: 5353
      protocol: TCP
{{- end }}

{{/* Where all three programs may connect to: names, the database, the collector of traces. */}}
{{- define "order-food.egress" -}}
{{- $policy := .Values.networkPolicy -}}
{{- include "order-food.egressToNames" . }}
{{- if .Values.postgresql.enabled }}
- to:
    - podSelector:
        matchLabels:
          {{- include "order-food.selectorLabels" (list . "postgresql" "postgresql") | nindent 10 }}
  ports:
    - port: 5432
      protocol: TCP
{{- else }}
- ports:
    - port: {{ $policy.databasePort }}
      protocol: TCP
  {{- with $policy.databaseCidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- end }}
{{- if .Values.telemetry.otlpEndpoint }}
- to:
    - namespaceSelector:
        matchLabels:
          {{- toYaml $policy.otlpNamespaceLabels | nindent 10 }}
  ports:
    - port: {{ $policy.otlpPort }}
      protocol: TCP
{{- end }}
{{- end }}
