{{- define "ipseity.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of the StatefulSet. With "-peers" behind it and an ordinal, it is still a label of DNS. */}}
{{- define "ipseity.fullname" -}}
{{- $name := include "ipseity.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ipseity.selector" -}}
app.kubernetes.io/name: {{ include "ipseity.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ipseity.labels" -}}
{{ include "ipseity.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* The value of --join. */}}
{{- define "ipseity.join" -}}
{{- if ne .Values.join "auto" -}}
{{ .Values.join }}
{{- else -}}
{{ ternary "majority" "require" (ge (int .Values.replicas) 4) }}
{{- end -}}
{{- end -}}

{{/* The names under which clients call the HTTP port, separated by commas. */}}
{{- define "ipseity.httpNames" -}}
{{- $names := .Values.http.names -}}
{{- if .Values.http.service -}}
{{- $name := include "ipseity.fullname" . -}}
{{- $inside := printf "%s.$(NAMESPACE)" $name -}}
{{- $names = concat (list $name $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside)) $names -}}
{{- end -}}
{{ join "," $names }}
{{- end -}}

{{- define "ipseity.scheme" -}}
{{ ternary "HTTPS" "HTTP" (not (empty .Values.tls.secret)) }}
{{- end -}}
