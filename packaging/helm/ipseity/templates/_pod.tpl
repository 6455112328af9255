{{/* What a StatefulSet or a Deployment makes its pods of. */}}
{{- define "ipseity.pod" -}}
{{- $name := include "ipseity.fullname" . -}}
{{- $replicas := int .Values.replicas -}}
{{- $join := include "ipseity.join" . -}}
{{- $tls := .Values.tls -}}
{{- $store := .Values.store -}}
template:
    metadata:
      labels:
        {{- include "ipseity.selector" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      # The server needs nothing of Kubernetes.
      automountServiceAccountToken: false
      enableServiceLinks: false
      # A stop takes five seconds at most, and before it comes the sleep below.
      terminationGracePeriodSeconds: {{ add (int .Values.preStopSeconds) 12 }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        {{- if not $store.target }}
        # Only a new volume: otherwise each start would let the group write to the state.
        fsGroupChangePolicy: OnRootMismatch
        {{- end }}
        seccompProfile:
          type: RuntimeDefault
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      affinity:
        {{- with .Values.affinity }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    {{- include "ipseity.selector" . | nindent 20 }}
        {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "ipseity.selector" . | nindent 14 }}
      containers:
        - name: ipseity
          image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          env:
            {{- if $store.target }}
            - name: POD_IP
              valueFrom:
                fieldRef:
                  fieldPath: status.podIP
            {{- else }}
            - name: POD
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            {{- end }}
            - name: NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            - name: IPSEITY_CLUSTER
              value: {{ default $name .Values.cluster | quote }}
            {{- if $store.target }}
            - name: IPSEITY_STORE
              value: {{ $store.target | quote }}
            # One that nobody has. A new pod has another one than the pod in whose place it comes.
            - name: IPSEITY_PID
              value: auto
            - name: IPSEITY_PID_RANGE
              value: {{ $store.pids | quote }}
            - name: IPSEITY_LEASE
              value: {{ $store.lease | quote }}
            {{- if $store.secret }}
            {{- if hasPrefix "etcds://" $store.target }}
            - name: IPSEITY_ETCD_CA
              value: /etcd/ca.crt
            {{- end }}
            {{- if $store.certificate }}
            - name: IPSEITY_ETCD_CERT
              value: /etcd/tls.crt
            - name: IPSEITY_ETCD_KEY
              value: /etcd/tls.key
            {{- end }}
            {{- if $store.user }}
            - name: IPSEITY_ETCD_USER
              value: /etcd/user
            {{- end }}
            {{- end }}
            {{- else }}
            # The ordinal of the pod.
            - name: IPSEITY_PID_FROM_HOSTNAME
              value: "true"
            {{- with int .Values.pidBase }}
            - name: IPSEITY_PID_BASE
              value: {{ . | quote }}
            {{- end }}
            - name: IPSEITY_DATA_DIR
              value: /data/state
            {{- end }}
            {{- if .Values.existing }}
            - name: IPSEITY_EXISTING
              value: "true"
            {{- end }}
            - name: IPSEITY_LISTEN
              value: {{ printf "%s:3264" .Values.listen | quote }}
            - name: IPSEITY_HTTP
              value: {{ printf "%s:3265" .Values.listen | quote }}
            {{- with include "ipseity.httpNames" . }}
            - name: IPSEITY_HTTP_NAME
              value: {{ . | quote }}
            {{- end }}
            {{- if $store.target }}
            # The others find it in etcd.
            - name: IPSEITY_ADVERTISE
              value: "$(POD_IP):3264"
            {{- else if gt $replicas 1 }}
            # All pods, and this one among them, which it passes over. The name is looked up again and again.
            - name: IPSEITY_PEER
              value: {{ printf "%s%s-peers.$(NAMESPACE).svc:3264" (ternary "plain://" "" $tls.plainPeers) $name | quote }}
            - name: IPSEITY_ADVERTISE
              value: {{ printf "$(POD).%s-peers.$(NAMESPACE).svc:3264" $name | quote }}
            # A start hands out nothing until other servers have accepted it: one with require, and more than half
            # of them with majority. Of three servers, that would be both others.
            - name: IPSEITY_JOIN
              value: {{ $join }}
            {{- if eq $join "majority" }}
            - name: IPSEITY_CLUSTER_SIZE
              value: {{ $replicas | quote }}
            {{- end }}
            {{- end }}
            {{- with .Values.peerFrom }}
            - name: IPSEITY_PEER_FROM
              value: {{ join "," . | quote }}
            {{- end }}
            {{- if $tls.secret }}
            - name: IPSEITY_TLS_CERT
              value: /tls/tls.crt
            - name: IPSEITY_TLS_KEY
              value: /tls/tls.key
            - name: IPSEITY_TLS_PEER_CA
              value: /tls/ca.crt
            {{- if $tls.clientCertificates }}
            - name: IPSEITY_TLS_CLIENT_CA
              value: /tls/ca.crt
            {{- end }}
            - name: IPSEITY_PLAIN
              value: {{ $tls.plain }}
            {{- if $tls.recheck }}
            - name: IPSEITY_TLS_RECHECK
              value: "true"
            {{- end }}
            {{- end }}
            {{- with .Values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: ipseity
              containerPort: 3264
            - name: http
              containerPort: 3265
          # Whether the loop turns. It says nothing about the peers: a restart does not bring them back.
          startupProbe:
            httpGet:
              path: /livez
              port: http
              scheme: {{ include "ipseity.scheme" . }}
            periodSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet:
              path: /livez
              port: http
              scheme: {{ include "ipseity.scheme" . }}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          # Whether it hands out identities.
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
              scheme: {{ include "ipseity.scheme" . }}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          lifecycle:
            # Until every node has heard that this pod is about to stop, clients are still led to it.
            preStop:
              sleep:
                seconds: {{ .Values.preStopSeconds }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          {{- if or (not $store.target) $tls.secret $store.secret }}
          volumeMounts:
            {{- if not $store.target }}
            - name: data
              mountPath: /data
            {{- end }}
            {{- if $tls.secret }}
            - name: tls
              mountPath: /tls
              readOnly: true
            {{- end }}
            {{- if and $store.target $store.secret }}
            - name: etcd
              mountPath: /etcd
              readOnly: true
            {{- end }}
          {{- end }}
      {{- if or $tls.secret (and $store.target $store.secret) }}
      volumes:
        {{- if $tls.secret }}
        - name: tls
          secret:
            secretName: {{ $tls.secret | quote }}
            defaultMode: 0440
        {{- end }}
        {{- if and $store.target $store.secret }}
        - name: etcd
          secret:
            secretName: {{ $store.secret | quote }}
            defaultMode: 0440
        {{- end }}
      {{- end }}
{{- end }}
