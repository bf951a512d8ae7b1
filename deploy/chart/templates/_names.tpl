{{- define "pinjra.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "pinjra.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pinjra.settings" -}}
{{- $name := include "pinjra.name" . -}}
{{- $known := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) "localhost" -}}
host = "0.0.0.0"
port = 8700
hosts = {{ concat $known .Values.settings.hosts | toJson }}
sessions = {{ .Values.settings.sessions }}
idle_seconds = {{ .Values.settings.idleSeconds }}
drain_seconds = {{ .Values.settings.drainSeconds }}
isolation = {{ .Values.settings.isolation | quote }}
warm_imports = {{ .Values.settings.warmImports | toJson }}
{{- end }}
