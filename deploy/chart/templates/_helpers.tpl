{{- define "archtrace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "archtrace" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-archtrace" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "archtrace.agent" -}}
{{ include "archtrace.fullname" . }}-agent
{{- end }}

{{- define "archtrace.collector" -}}
{{ include "archtrace.fullname" . }}-collector
{{- end }}

{{- define "archtrace.reader" -}}
{{ include "archtrace.fullname" . }}-reader
{{- end }}

{{- /* What pods are selected by. Takes a component: agent, collector. */ -}}
{{- define "archtrace.selector" -}}
app.kubernetes.io/name: archtrace-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "archtrace.labels" -}}
{{ include "archtrace.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: archtrace
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Takes an image, and the root. */ -}}
{{- define "archtrace.image" -}}
{{- $registry := .root.Values.imageRegistry | trimSuffix "/" -}}
{{- $name := ternary (printf "%s/%s" $registry .image.name) .image.name (ne $registry "") -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "archtrace.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "archtrace.isEncrypted" -}}
{{- if ne .Values.tls.mode "none" }}true{{ end -}}
{{- end }}

{{- define "archtrace.hasTokens" -}}
{{- if and (ne .Values.tls.mode "none") .Values.auth.tokens.enabled }}true{{ end -}}
{{- end }}

{{- /* The Secret with the collector's certificate. */ -}}
{{- define "archtrace.tlsSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{ .Values.tls.existingSecret }}
{{- else -}}
{{ include "archtrace.collector" . }}-tls
{{- end -}}
{{- end }}

{{- /* The volume with ca.crt, by which agents and readers know the collector. */ -}}
{{- define "archtrace.caVolume" -}}
- name: collector-ca
  {{- if not .Values.collector.enabled }}
  configMap:
    name: {{ .Values.agent.collectorCaConfigMap | quote }}
    items: [{ key: ca.crt, path: ca.crt }]
  {{- else if eq .Values.tls.mode "helm" }}
  configMap:
    name: {{ include "archtrace.collector" . }}-ca
  {{- else }}
  secret:
    secretName: {{ include "archtrace.tlsSecret" . | quote }}
    # Never the key.
    items: [{ key: ca.crt, path: ca.crt }]
  {{- end }}
{{- end }}

{{- /* Where this release's collector is, for agents and readers in the cluster. */ -}}
{{- define "archtrace.url" -}}
{{ ternary "https" "http" (ne .Values.tls.mode "none") }}://{{ include "archtrace.collector" . }}.{{ .Release.Namespace }}.svc:{{ .Values.collector.service.port }}
{{- end }}

{{- /* A token for the collector. */ -}}
{{- define "archtrace.tokenVolume" -}}
- name: collector-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.auth.tokens.audience | quote }}
          expirationSeconds: 3600
{{- end }}

{{- /* Names that collectors are reached by. */ -}}
{{- define "archtrace.dnsNames" -}}
{{- $name := include "archtrace.collector" . -}}
{{- $of := .Release.Namespace -}}
{{- concat (list $name (printf "%s.%s" $name $of) (printf "%s.%s.svc" $name $of) (printf "%s.%s.svc.cluster.local" $name $of) "localhost") .Values.tls.dnsNames | toJson -}}
{{- end }}

{{- define "archtrace.hasExports" -}}
{{- if or .Values.collector.exports.otlp .Values.collector.exports.ocsf }}true{{ end -}}
{{- end }}

{{- /* Whether the collector keeps something on a disk of its own. */ -}}
{{- define "archtrace.isStateful" -}}
{{- if or (eq .Values.collector.store.kind "sqlite") (include "archtrace.hasExports" .) }}true{{ end -}}
{{- end }}

{{- /* Whether the collector needs rights in the cluster. */ -}}
{{- define "archtrace.hasRole" -}}
{{- if or (eq .Values.collector.nodes.from "kubernetes") .Values.collector.kubernetes.pods .Values.collector.kubernetes.events }}true{{ end -}}
{{- end }}

{{- /* Whether the collector asks the API server anything. */ -}}
{{- define "archtrace.asksKubernetes" -}}
{{- if or (include "archtrace.hasRole" .) (and (include "archtrace.hasTokens" .) (hasPrefix "https://kubernetes.default" .Values.auth.tokens.jwks)) }}true{{ end -}}
{{- end }}

{{- /* What no schema says, because it is about several values. */ -}}
{{- define "archtrace.check" -}}
{{- $v := .Values -}}
{{- $root := . -}}
{{- range $component := list "agent" "collector" -}}
{{- $values := index $v $component -}}
{{- $own := include "archtrace.labels" (dict "root" $root "component" $component) | fromYaml -}}
{{- range $label, $_ := $values.podLabels -}}
{{- if hasKey $own $label -}}
{{- fail (printf "%s.podLabels has %s, which the chart sets itself, and may find pods by: leave it out, or take another name" $component $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not $v.agent.enabled) (not $v.collector.enabled) -}}
{{- fail "agent.enabled and collector.enabled are both false: nothing would be installed" -}}
{{- end -}}
{{- if and $v.agent.enabled (not $v.collector.enabled) -}}
{{- if not $v.agent.collectorUrl -}}
{{- fail "agent.collectorUrl is empty, and this release has no collector: say where it is, as https://HOST:PORT" -}}
{{- end -}}
{{- if and (hasPrefix "https:" $v.agent.collectorUrl) (not $v.agent.collectorCaConfigMap) -}}
{{- fail "agent.collectorCaConfigMap is empty: name the ConfigMap whose ca.crt knows the collector at agent.collectorUrl" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.tls.mode "none") $v.agent.hostCertificates -}}
{{- fail "agent.hostCertificates needs TLS: tls.mode is none" -}}
{{- end -}}
{{- if and $v.agent.enabled (ne $v.tls.mode "none") (not $v.auth.tokens.enabled) (not $v.agent.hostCertificates) -}}
{{- fail "agents could not show who they are: set auth.tokens.enabled, or agent.hostCertificates with auth.certificates" -}}
{{- end -}}
{{- if $v.collector.enabled -}}
{{- if and (ne $v.tls.mode "none") (not $v.auth.tokens.enabled) (not $v.auth.certificates.enabled) -}}
{{- fail "nobody could report or read: set auth.tokens.enabled, auth.certificates.enabled or both" -}}
{{- end -}}
{{- if and $v.agent.enabled $v.agent.hostCertificates (not $v.auth.certificates.enabled) -}}
{{- fail "agent.hostCertificates needs auth.certificates: the collector would not know the CA" -}}
{{- end -}}
{{- if and (gt (int $v.collector.replicas) 1) (eq $v.collector.store.kind "sqlite") -}}
{{- fail "collector.replicas is more than 1, and SQLite is for one: set collector.store.kind to postgresql" -}}
{{- end -}}
{{- if and (gt (int $v.collector.replicas) 1) (include "archtrace.hasExports" .) -}}
{{- fail "collector.exports with more than one replica would pass everything on as often: set collector.replicas to 1, or let a release of its own over the same database export" -}}
{{- end -}}
{{- $metrics := int $v.collector.metrics.port -}}
{{- if has $metrics (list 50061 50080) -}}
{{- fail (printf "collector.metrics.port is %d, on which the collector listens for something else: leave it at 9465, or take one that is neither 50061 nor 50080" $metrics) -}}
{{- end -}}
{{- if and $v.collector.web.enabled (eq (int $v.collector.web.port) (int $v.collector.service.port)) -}}
{{- fail (printf "collector.web.port and collector.service.port are both %d, and are of one Service: change one" (int $v.collector.web.port)) -}}
{{- end -}}
{{- if and $v.collector.policy $v.collector.policyConfigMap -}}
{{- fail "collector.policy and collector.policyConfigMap are both given: choose one" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The port of a URL, which may leave it out. */ -}}
{{- define "archtrace.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}
