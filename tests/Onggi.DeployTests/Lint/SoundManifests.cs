using Onggi.Cli.Deployment.Lint;
using Onggi.Keys;

namespace Onggi.DeployTests.Lint;

/// <summary>A small set of manifests in which nothing is wrong: each test puts one fault into it.</summary>
internal static class SoundManifests
{
    public const string Catalog = """
        {
          "system": "shop", "environment": "dev", "prefix": "{environment}:",
          "memory": { "limit": "256mb" },
          "services": { "billing": {}, "orders": {} },
          "families": {
            "item": { "key": "item:{id}", "value": "string", "owner": "billing", "share": "50%" },
            "session": { "key": "billing:session:{sessionId}", "kind": "session", "owner": "billing", "idle": "30m", "absolute": "24h" }
          }
        }
        """;

    public const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// <summary>Redis with three replicas and Sentinels, a client, an exporter, a nightly job, and what guards them.</summary>
    public const string Text = $$"""
        apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: redis-config
          namespace: shop
        data:
          redis.conf: |
            bind * -::*
            port 6379
            timeout 0
            tcp-keepalive 60
            maxclients 1000
            aclfile /acl/users.acl
            protected-mode yes
            databases 1
            maxmemory 256mb
            maxmemory-policy noeviction
            maxmemory-clients 10%
            lazyfree-lazy-eviction yes
            lazyfree-lazy-expire yes
            lazyfree-lazy-server-del yes
            lazyfree-lazy-user-del yes
            appendonly yes
            dir /data
            latency-monitor-threshold 10
          sentinel.conf: |
            port 26379
            sentinel monitor shop redis-0.redis-headless 6379 2
          alive.sh: |
            answer=$(redis-cli --user probe ping 2>&1)
            case "$answer" in PONG | LOADING* | BUSY* | MASTERDOWN*) exit 0 ;; esac
            exit 1
        ---
        apiVersion: apps/v1
        kind: StatefulSet
        metadata:
          name: redis
          namespace: shop
        spec:
          serviceName: redis-headless
          replicas: 3
          selector:
            matchLabels: { app: redis }
          template:
            metadata:
              labels: { app: redis }
            spec:
              automountServiceAccountToken: false
              enableServiceLinks: false
              securityContext:
                runAsNonRoot: true
                seccompProfile: { type: RuntimeDefault }
              affinity:
                podAntiAffinity:
                  requiredDuringSchedulingIgnoredDuringExecution:
                    - topologyKey: kubernetes.io/hostname
                      labelSelector: { matchLabels: { app: redis } }
              containers:
                - name: redis
                  image: redis:7.2.5@{{Digest}}
                  args: ["/etc/redis/redis.conf"]
                  ports:
                    - { name: redis, containerPort: 6379 }
                  env:
                    - name: REDISCLI_AUTH
                      valueFrom: { secretKeyRef: { name: redis-credentials-probe, key: password } }
                  resources:
                    requests: { cpu: 250m, memory: 640Mi }
                    limits: { memory: 640Mi }
                  startupProbe:
                    exec: { command: ["sh", "/etc/redis/alive.sh"] }
                    failureThreshold: 60
                  livenessProbe:
                    exec: { command: ["sh", "/etc/redis/alive.sh"] }
                  readinessProbe:
                    exec: { command: ["sh", "-c", "redis-cli --user probe ping | grep -q PONG"] }
                  lifecycle:
                    preStop:
                      exec: { command: ["sh", "-c", "redis-cli -p 26379 sentinel failover shop"] }
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: { drop: ["ALL"] }
                  volumeMounts:
                    - { name: config, mountPath: /etc/redis }
                    - { name: acl, mountPath: /acl }
                    - { name: data, mountPath: /data }
              volumes:
                - { name: config, configMap: { name: redis-config } }
                - { name: acl, secret: { secretName: redis-acl } }
          volumeClaimTemplates:
            - metadata: { name: data }
              spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: 2Gi } } }
        ---
        apiVersion: apps/v1
        kind: StatefulSet
        metadata:
          name: sentinel
          namespace: shop
        spec:
          serviceName: sentinel
          replicas: 3
          selector:
            matchLabels: { app: sentinel }
          template:
            metadata:
              labels: { app: sentinel }
            spec:
              automountServiceAccountToken: false
              enableServiceLinks: false
              securityContext:
                runAsNonRoot: true
                seccompProfile: { type: RuntimeDefault }
              topologySpreadConstraints:
                - maxSkew: 1
                  topologyKey: kubernetes.io/hostname
                  whenUnsatisfiable: DoNotSchedule
                  labelSelector: { matchLabels: { app: sentinel } }
              containers:
                - name: sentinel
                  image: redis:7.2.5@{{Digest}}
                  args: ["/etc/redis/sentinel.conf", "--sentinel"]
                  ports:
                    - { name: sentinel, containerPort: 26379 }
                  resources:
                    requests: { memory: 64Mi }
                    limits: { memory: 64Mi }
                  livenessProbe:
                    tcpSocket: { port: sentinel }
                  readinessProbe:
                    tcpSocket: { port: sentinel }
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: { drop: ["ALL"] }
                  volumeMounts:
                    - { name: config, mountPath: /etc/redis }
              volumes:
                - { name: config, configMap: { name: redis-config } }
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: redis-headless
          namespace: shop
        spec:
          clusterIP: None
          selector: { app: redis }
          ports:
            - { name: redis, port: 6379, targetPort: redis }
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: sentinel
          namespace: shop
        spec:
          clusterIP: None
          selector: { app: sentinel }
          ports:
            - { name: sentinel, port: 26379, targetPort: sentinel }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: billing
          namespace: shop
        spec:
          replicas: 2
          selector:
            matchLabels: { app: billing }
          template:
            metadata:
              labels: { app: billing, onggi.io/client: billing }
            spec:
              automountServiceAccountToken: false
              enableServiceLinks: false
              securityContext:
                runAsNonRoot: true
                seccompProfile: { type: RuntimeDefault }
              containers:
                - name: billing
                  image: shop/billing:0.1.0@{{Digest}}
                  ports:
                    - { name: http, containerPort: 8080 }
                  env:
                    - name: REDIS_PASSWORD
                      valueFrom: { secretKeyRef: { name: redis-credentials-billing, key: password } }
                    - name: Onggi__ConnectionString
                      value: sentinel:26379,serviceName=shop,user=billing,password=$(REDIS_PASSWORD)
                    - name: Mode
                      valueFrom: { configMapKeyRef: { name: billing-config, key: mode } }
                  resources:
                    requests: { cpu: 100m, memory: 128Mi }
                    limits: { memory: 128Mi }
                  livenessProbe:
                    httpGet: { path: /health, port: http }
                  readinessProbe:
                    httpGet: { path: /health, port: 8080 }
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: { drop: ["ALL"] }
                  volumeMounts:
                    - { name: settings, mountPath: /settings }
              volumes:
                - { name: settings, configMap: { name: billing-config } }
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: billing-config
          namespace: shop
        data:
          mode: normal
          appsettings.json: |
            { "Kos": { "BaseUrl": "http://billing:8080" } }
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: billing
          namespace: shop
          labels: { app: billing }
        spec:
          selector: { app: billing }
          ports:
            - { name: http, port: 8080, targetPort: http }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: redis-exporter
          namespace: shop
        spec:
          selector:
            matchLabels: { app: redis-exporter }
          template:
            metadata:
              labels: { app: redis-exporter }
            spec:
              automountServiceAccountToken: false
              enableServiceLinks: false
              securityContext:
                runAsNonRoot: true
                seccompProfile: { type: RuntimeDefault }
              containers:
                - name: exporter
                  image: oliver006/redis_exporter:v1.62.0@{{Digest}}
                  ports:
                    - { name: metrics, containerPort: 9121 }
                  env:
                    - { name: REDIS_ADDR, value: "redis://redis-0.redis-headless.shop.svc.cluster.local:6379" }
                    - { name: REDIS_USER, value: exporter }
                  resources:
                    requests: { memory: 64Mi }
                    limits: { memory: 64Mi }
                  livenessProbe:
                    httpGet: { path: /health, port: metrics }
                  readinessProbe:
                    httpGet: { path: /health, port: metrics }
                  securityContext:
                    allowPrivilegeEscalation: false
                    readOnlyRootFilesystem: true
                    capabilities: { drop: ["ALL"] }
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: redis-metrics
          namespace: shop
          labels: { app: redis-exporter }
        spec:
          selector: { app: redis-exporter }
          ports:
            - { name: metrics, port: 9121, targetPort: metrics }
        ---
        apiVersion: monitoring.coreos.com/v1
        kind: ServiceMonitor
        metadata:
          name: redis
          namespace: shop
        spec:
          selector:
            matchLabels: { app: redis-exporter }
          endpoints:
            - port: metrics
        ---
        apiVersion: batch/v1
        kind: CronJob
        metadata:
          name: tidy
          namespace: shop
        spec:
          schedule: "0 3 * * *"
          timeZone: Asia/Seoul
          concurrencyPolicy: Forbid
          jobTemplate:
            spec:
              template:
                metadata:
                  labels: { app: tidy, onggi.io/client: operator }
                spec:
                  automountServiceAccountToken: false
                  enableServiceLinks: false
                  restartPolicy: Never
                  securityContext:
                    runAsNonRoot: true
                    seccompProfile: { type: RuntimeDefault }
                  containers:
                    - name: tidy
                      image: onggi/cli:0.1.0@{{Digest}}
                      args: ["audit"]
                      securityContext:
                        allowPrivilegeEscalation: false
                        readOnlyRootFilesystem: true
                        capabilities: { drop: ["ALL"] }
        ---
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata:
          name: billing
          namespace: shop
        spec:
          scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: billing }
          minReplicas: 2
          maxReplicas: 4
          metrics:
            - type: Resource
              resource: { name: cpu, target: { type: Utilization, averageUtilization: 70 } }
        ---
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata:
          name: redis
          namespace: shop
        spec:
          maxUnavailable: 1
          selector:
            matchLabels: { app: redis }
        ---
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata:
          name: others
          namespace: shop
        spec:
          maxUnavailable: 1
          selector:
            matchExpressions:
              - { key: app, operator: In, values: [sentinel, billing, redis-exporter] }
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          name: default-deny
          namespace: shop
        spec:
          podSelector: {}
          policyTypes: [Ingress, Egress]
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          name: redis
          namespace: shop
        spec:
          podSelector:
            matchExpressions:
              - { key: app, operator: In, values: [redis, sentinel] }
          ingress:
            - from:
                - podSelector:
                    matchExpressions:
                      - { key: onggi.io/client, operator: Exists }
                - podSelector: { matchLabels: { app: redis-exporter } }
                - podSelector:
                    matchExpressions:
                      - { key: app, operator: In, values: [redis, sentinel] }
              ports:
                - { port: 6379 }
                - { port: 26379 }
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          name: out
          namespace: shop
        spec:
          podSelector: {}
          policyTypes: [Egress]
          egress:
            - to:
                - podSelector: { matchExpressions: [{ key: app, operator: In, values: [redis, sentinel] }] }
              ports:
                - { port: 6379, endPort: 26379 }
            - to:
                - podSelector: { matchLabels: { app: billing } }
              ports:
                - { port: 8080 }
            - to:
                - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }
              ports:
                - { protocol: UDP, port: 53 }
                - { protocol: TCP, port: 53 }
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          name: billing
          namespace: shop
        spec:
          podSelector: { matchLabels: { app: billing } }
          ingress:
            - from:
                - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ingress } }
                - podSelector: { matchLabels: { app: billing } }
              ports:
                - { port: http }

        """;

    /// <summary>All findings of a text, by the small catalog.</summary>
    public static IReadOnlyList<LintFinding> Lint(string text, string? catalog = Catalog, bool isProduction = false) =>
        ManifestLint.Check(ContextOf(text, catalog, isProduction));

    public static LintContext ContextOf(string text, string? catalog = Catalog, bool isProduction = false) =>
        new(new Manifests(ManifestReader.Parse("shop.yaml", text)))
        {
            Keyspace = catalog is null ? null : Keyspace.Load(catalog),
            IsProduction = isProduction,
        };
}
