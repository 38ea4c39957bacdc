{{- /* The collector's pod, whatever keeps it running. */ -}}
{{- define "archtrace.collectorPod" -}}
{{- $collector := .Values.collector -}}
{{- $labels := dict "root" . "component" "collector" -}}
{{- $isEncrypted := include "archtrace.isEncrypted" . -}}
{{- $hasTokens := include "archtrace.hasTokens" . -}}
{{- $store := $collector.store -}}
{{- $hasPolicy := or $collector.policy $collector.policyConfigMap -}}
metadata:
  labels:
    {{- include "archtrace.labels" $labels | nindent 4 }}
    {{- with $collector.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $collector.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "archtrace.collector" . }}
  # What it needs is projected below, and only if it does.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "archtrace.pullSecrets" . | nindent 2 }}
  {{- with $collector.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  # Agents are told to leave over collector.drain, and what was taken in is stored.
  terminationGracePeriodSeconds: 60
  nodeSelector:
    kubernetes.io/os: linux
    {{- with $collector.nodeSelector }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  affinity:
    {{- if $collector.affinity }}
    {{- toYaml $collector.affinity | nindent 4 }}
    {{- else }}
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "archtrace.selector" $labels | nindent 16 }}
        - weight: 50
          podAffinityTerm:
            topologyKey: topology.kubernetes.io/zone
            labelSelector:
              matchLabels:
                {{- include "archtrace.selector" $labels | nindent 16 }}
    {{- end }}
  {{- with $collector.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: collector
      image: {{ include "archtrace.image" (dict "root" . "image" $collector.image) | quote }}
      imagePullPolicy: {{ $collector.image.pullPolicy }}
      args:
        - --listen={{ .Values.listenAddress }}:50061
        {{- if eq $store.kind "sqlite" }}
        - --store=sqlite:/var/lib/archtrace/archtrace.db
        {{- else }}
        - --store={{ $store.postgresql.url }}
        - --store-password-file=/etc/archtrace/database/password
        {{- end }}
        {{- if $isEncrypted }}
        - --tls-cert=/etc/archtrace/tls/tls.crt
        - --tls-key=/etc/archtrace/tls/tls.key
        {{- if .Values.auth.certificates.enabled }}
        - --client-ca=/etc/archtrace/client-ca/ca.crt
        {{- end }}
        {{- if $hasTokens }}
        - --token-jwks={{ .Values.auth.tokens.jwks }}
        {{- if hasPrefix "https://kubernetes.default" .Values.auth.tokens.jwks }}
        - --token-jwks-ca=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt
        - --token-jwks-bearer=/var/run/secrets/kubernetes.io/serviceaccount/token
        {{- end }}
        - --token-audience={{ .Values.auth.tokens.audience }}
        {{- with .Values.clusterName }}
        - --token-cluster={{ . }}
        {{- end }}
        {{- with .Values.auth.tokens.issuer }}
        - --token-issuer={{ . }}
        {{- end }}
        - --agent-subject=system:serviceaccount:{{ .Release.Namespace }}:{{ include "archtrace.agent" . }}
        {{- if .Values.auth.tokens.readerServiceAccount }}
        - --reader-subject=system:serviceaccount:{{ .Release.Namespace }}:{{ include "archtrace.reader" . }}
        {{- end }}
        {{- range .Values.auth.tokens.readers }}
        - --reader-subject={{ . }}
        {{- end }}
        {{- end }}
        {{- else }}
        - --insecure-plaintext
        {{- end }}
        - --nodes-from={{ $collector.nodes.from }}
        {{- if and .Values.clusterName (eq $collector.nodes.from "kubernetes") }}
        - --nodes-cluster={{ .Values.clusterName }}
        {{- end }}
        {{- if $collector.kubernetes.pods }}
        - --kubernetes-pods
        {{- end }}
        {{- if $collector.kubernetes.events }}
        - --kubernetes-events
        {{- end }}
        {{- with $collector.registries }}
        {{- if .check }}
        - --registry-check={{ .every }}
        {{- if .existingSecret }}
        - --registry-config=/etc/archtrace/registries/config.json
        {{- end }}
        {{- range .only }}
        - --registry-only={{ . }}
        {{- end }}
        {{- range .plaintext }}
        - --registry-plaintext={{ . }}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- if $hasPolicy }}
        - --policy=/etc/archtrace/policy/policy.yaml
        {{- end }}
        {{- if $collector.web.enabled }}
        - --web-listen={{ .Values.listenAddress }}:50080
        {{- end }}
        {{- with $collector.exports.otlp }}
        - --export-otlp={{ . }}
        {{- end }}
        {{- if $collector.exports.ocsf }}
        - --export-ocsf=/var/lib/archtrace/ocsf/archtrace.json
        {{- end }}
        {{- if or (include "archtrace.hasExports" .) (and $collector.kubernetes.events (include "archtrace.isStateful" .)) }}
        - --export-state=/var/lib/archtrace/exports
        {{- end }}
        - --log={{ $collector.log }}
        - --heartbeat-interval={{ $collector.heartbeatInterval }}
        - --keep-events={{ $collector.keepEvents }}
        - --keep-history={{ $collector.keepHistory }}
        - --keep-nodes={{ $collector.keepNodes }}
        - --max-connections={{ int $collector.maxConnections }}
        - --max-connection-age={{ $collector.maxConnectionAge }}
        - --drain={{ $collector.drain }}
        - --metrics-listen={{ .Values.listenAddress }}:{{ $collector.metrics.port }}
        - --metrics-max-series={{ int $collector.metrics.maxSeries }}
        {{- range $collector.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- with $collector.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: grpc
          containerPort: 50061
        {{- if $collector.web.enabled }}
        - name: web
          containerPort: 50080
        {{- end }}
        - name: metrics
          containerPort: {{ $collector.metrics.port }}
      # It waits a minute for its database, and a store of a large fleet takes a while to be read.
      startupProbe:
        httpGet: { path: /healthz, port: metrics }
        periodSeconds: 5
        failureThreshold: 36
      livenessProbe:
        httpGet: { path: /healthz, port: metrics }
        periodSeconds: 20
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { path: /readyz, port: metrics }
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml $collector.resources | nindent 8 }}
      securityContext:
        privileged: false
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        # SQLite sorts large answers there.
        - { name: tmp, mountPath: /tmp }
        {{- if include "archtrace.isStateful" . }}
        - { name: data, mountPath: /var/lib/archtrace }
        {{- end }}
        {{- if eq $store.kind "postgresql" }}
        - { name: database, mountPath: /etc/archtrace/database, readOnly: true }
        {{- end }}
        {{- if $isEncrypted }}
        - { name: tls, mountPath: /etc/archtrace/tls, readOnly: true }
        {{- if .Values.auth.certificates.enabled }}
        - { name: client-ca, mountPath: /etc/archtrace/client-ca, readOnly: true }
        {{- end }}
        {{- end }}
        {{- if include "archtrace.asksKubernetes" . }}
        - { name: kube-api-access, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
        {{- end }}
        {{- if and $collector.registries.check $collector.registries.existingSecret }}
        - { name: registries, mountPath: /etc/archtrace/registries, readOnly: true }
        {{- end }}
        {{- if $hasPolicy }}
        - { name: policy, mountPath: /etc/archtrace/policy, readOnly: true }
        {{- end }}
        {{- with $collector.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 1Gi }
    {{- if include "archtrace.isStateful" . }}
    {{- if not $collector.persistence.enabled }}
    - name: data
      emptyDir: {}
    {{- else if $collector.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ $collector.persistence.existingClaim | quote }}
    {{- end }}
    {{- end }}
    {{- if eq $store.kind "postgresql" }}
    - name: database
      secret:
        secretName: {{ $store.postgresql.existingSecret | quote }}
        defaultMode: 0440
        items:
          - { key: {{ $store.postgresql.passwordKey | quote }}, path: password }
          {{- with $store.postgresql.caKey }}
          - { key: {{ . | quote }}, path: ca.crt }
          {{- end }}
    {{- end }}
    {{- if $isEncrypted }}
    - name: tls
      secret:
        secretName: {{ include "archtrace.tlsSecret" . | quote }}
        defaultMode: 0440
        items:
          - { key: tls.crt, path: tls.crt }
          - { key: tls.key, path: tls.key }
    {{- if .Values.auth.certificates.enabled }}
    - name: client-ca
      configMap:
        name: {{ .Values.auth.certificates.caConfigMap | quote }}
        items: [{ key: ca.crt, path: ca.crt }]
    {{- end }}
    {{- end }}
    {{- if include "archtrace.asksKubernetes" . }}
    # As the kubelet would mount it.
    - name: kube-api-access
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: { path: token, expirationSeconds: 3607 }
          - configMap:
              name: kube-root-ca.crt
              items: [{ key: ca.crt, path: ca.crt }]
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef: { fieldPath: metadata.namespace }
    {{- end }}
    {{- if and $collector.registries.check $collector.registries.existingSecret }}
    - name: registries
      secret:
        secretName: {{ $collector.registries.existingSecret | quote }}
        defaultMode: 0440
        items: [{ key: .dockerconfigjson, path: config.json }]
    {{- end }}
    {{- if $hasPolicy }}
    - name: policy
      configMap:
        name: {{ $collector.policyConfigMap | default (printf "%s-policy" (include "archtrace.collector" .)) | quote }}
    {{- end }}
    {{- with $collector.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
