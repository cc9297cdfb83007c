namespace Onggi.Cli.Deployment.Lint;

/// <summary>All that is looked for in manifests. What is wrong with a redis.conf among them has the codes of <c>onggi conf lint</c>, and with a file of users those of <c>onggi verify</c>.</summary>
/// <remarks>Every code has its section in docs/operations/findings.md; a test holds that to be so.</remarks>
internal static class LintRules
{
    private const string Services = "services";
    private const string Network = "network";
    private const string Pods = "pods";
    private const string Images = "images";
    private const string Security = "security";
    private const string Probes = "probes";
    private const string Capacity = "capacity";
    private const string Volumes = "volumes";
    private const string References = "references";
    private const string Clients = "clients";

    public static readonly LintRule ServiceSelectsNothing = new(
        "ONG101",
        "SVC001",
        Services,
        "A Service finds pods",
        "a selector that matches the labels of a pod",
        "Whoever connects to the Service waits, and is refused: there is nobody behind it."
    );

    public static readonly LintRule ServicePort = new(
        "ONG102",
        "SVC002",
        Services,
        "A Service's port is a port of its pods",
        "a targetPort that a container of every selected workload has",
        "Connections are refused. A Service of metrics like that is scraped for ever and gives nothing."
    );

    public static readonly LintRule Exposed = new(
        "ONG103",
        "SVC003",
        Services,
        "Redis is not reached from outside",
        "a Service of type ClusterIP; kubectl port-forward for people",
        "Every address that reaches a node reaches Redis. One password is then all that stands before everybody's sessions."
    );

    public static readonly LintRule NotHeadless = new(
        "ONG104",
        "STS001",
        Services,
        "A StatefulSet has a headless Service",
        "serviceName of a Service with clusterIP: None",
        "Its pods have no names of their own, so replicas and Sentinels cannot find one of them."
    );

    public static readonly LintRule Balanced = new(
        "ONG105",
        "SVC004",
        Services,
        "No Service spreads over several Redis",
        "a headless Service, or a selector that finds one pod",
        "One of them is the primary. Writes that are sent to another fail, reads there are old, and figures are of another one each time."
    );

    public static readonly LintRule NoStatefulPods = new(
        "ONG106",
        "STS002",
        Services,
        "A workload selects its own pods",
        "spec.selector that matches the labels of its template",
        "The API server refuses it, or it takes over pods that are not its own."
    );

    public static readonly LintRule UnknownPeer = new(
        "ONG110",
        "NP001",
        Network,
        "Policies name who is there",
        "a podSelector that matches a workload",
        "A policy that admits nobody known keeps those out that it was written for."
    );

    public static readonly LintRule NodePortBehindPolicy = new(
        "ONG111",
        "NP002",
        Network,
        "What is exposed is admitted, and what is not admitted is not exposed",
        "no NodePort or LoadBalancer before pods whose policy admits no address outside",
        "Where policies are enforced the port is dead: its callers are no pods. Where they are not, it is an open door, and the policy a comment."
    );

    public static readonly LintRule NoPolicy = new(
        "ONG112",
        "NP003",
        Network,
        "A policy says who gets in",
        "a NetworkPolicy that selects the pods and admits their callers",
        "Every pod of the cluster reaches it."
    );

    public static readonly LintRule ClosedWay = new(
        "ONG113",
        "NP004",
        Network,
        "Who needs it gets there",
        "policies that let the connection in, and out",
        "It waits until its time-out, on each try: a closed way looks like a slow server."
    );

    public static readonly LintRule OpenWay = new(
        "ONG114",
        "NP005",
        Network,
        "Nobody else gets to Redis",
        "policies that admit clients, the exporter, and nobody else",
        "A pod that was broken into tries passwords here, and takes part in the load."
    );

    public static readonly LintRule IdlePolicy = new(
        "ONG115",
        "NP006",
        Network,
        "A policy is about somebody",
        "a podSelector that matches a workload",
        "It protects nothing, and reads as if it did."
    );

    public static readonly LintRule NoNames = new(
        "ONG116",
        "NP007",
        Network,
        "Who connects by name may ask for names",
        "egress to port 53, UDP and TCP",
        "No name is found: nothing at all can be connected to."
    );

    public static readonly LintRule TokenMounted = new(
        "ONG120",
        "POD001",
        Pods,
        "No token of the cluster lies in a pod that needs none",
        "automountServiceAccountToken: false",
        "Whoever gets into the container talks to the API server as this account."
    );

    public static readonly LintRule ServiceLinks = new(
        "ONG121",
        "POD002",
        Pods,
        "Services do not turn into variables that programs read",
        "enableServiceLinks: false",
        "Images that read such a variable take tcp://10.… for a number, and do not start."
    );

    public static readonly LintRule NoBudget = new(
        "ONG122",
        "POD003",
        Pods,
        "A budget says how many pods may be away",
        "a PodDisruptionBudget; maxUnavailable: 1 lets nodes be drained",
        "A drain of nodes takes all pods at once."
    );

    public static readonly LintRule IdleBudget = new(
        "ONG123",
        "PDB001",
        Pods,
        "A budget is about somebody",
        "a selector that matches a workload",
        "It holds nobody back, and reads as if it did."
    );

    public static readonly LintRule BlockingBudget = new(
        "ONG124",
        "PDB002",
        Pods,
        "A budget lets nodes be drained",
        "at least one pod that may be away",
        "No node with such a pod is ever drained: updates of the cluster stop there, at night."
    );

    public static readonly LintRule Autoscaler = new(
        "ONG125",
        "HPA001",
        Pods,
        "An autoscaler can scale what it names",
        "a Deployment that is there, with requests for what is measured; no Redis",
        "It does nothing; or it makes another Redis, which is empty and which nobody fails over to."
    );

    public static readonly LintRule OneNode = new(
        "ONG126",
        "POD004",
        Pods,
        "Replicas of Redis are on different nodes",
        "podAntiAffinity, or topologySpreadConstraints, over kubernetes.io/hostname",
        "One node that dies takes the primary, its replicas and the Sentinels together."
    );

    public static readonly LintRule NoFarewell = new(
        "ONG127",
        "POD005",
        Pods,
        "A primary hands over before it stops",
        "a preStop hook that fails over",
        "Each update is an outage as long as the Sentinels need to notice it."
    );

    public static readonly LintRule Schedule = new(
        "ONG128",
        "CRN001",
        Pods,
        "A CronJob runs when it is meant to, and once",
        "timeZone, and concurrencyPolicy: Forbid or Replace",
        "Midnight is the controller's, mostly in UTC; a run that is late meets the next."
    );

    public static readonly LintRule NoDigest = new(
        "ONG130",
        "IMG001",
        Images,
        "An image is named by its digest",
        "name:tag@sha256:…",
        "A tag can be moved. Two nodes then run two images under one name, and nobody has looked at the second."
    );

    public static readonly LintRule FloatingTag = new(
        "ONG131",
        "IMG002",
        Images,
        "No tag that moves by itself",
        "a tag of one version",
        "A restart is an update that nobody decided on."
    );

    public static readonly LintRule RetiredImage = new(
        "ONG132",
        "IMG003",
        Images,
        "The image is still there, and still mended",
        "an image of a repository that is looked after",
        "It cannot be pulled any more, or it is never mended again."
    );

    public static readonly LintRule OldRedis = new(
        "ONG133",
        "IMG004",
        Images,
        "Redis is recent enough",
        "Redis 7.0 or later, 7.2 or later in production",
        "Onggi's scripts and rights of users need it."
    );

    public static readonly LintRule Privileges = new(
        "ONG140",
        "SEC001",
        Security,
        "A container can do little",
        "allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true",
        "A fault in the program is then a fault of the node."
    );

    public static readonly LintRule Capabilities = new(
        "ONG141",
        "SEC002",
        Security,
        "A container has no capabilities of the kernel",
        "capabilities: { drop: [\"ALL\"] }",
        "Among them are raw sockets and the rights of other users' files, which it never needs."
    );

    public static readonly LintRule Seccomp = new(
        "ONG142",
        "SEC003",
        Security,
        "System calls are filtered",
        "seccompProfile: { type: RuntimeDefault }",
        "All of the kernel's calls stand open, the rare and badly tried ones, too."
    );

    public static readonly LintRule PlainSecret = new(
        "ONG143",
        "SEC004",
        Security,
        "No secret stands in plain sight",
        "a reference to a Secret",
        "Whoever reads the file, its history, a backup, or kubectl describe, has it. It is burnt: make another."
    );

    public static readonly LintRule SecretInFile = new(
        "ONG144",
        "SEC005",
        Security,
        "No Secret lies among the manifests",
        "Secrets that are made where they are applied: onggi deploy secrets | kubectl apply -f -",
        "base64 is no lock: whoever reads the file has it. It is burnt: make another."
    );

    public static readonly LintRule HostAccess = new(
        "ONG145",
        "SEC006",
        Security,
        "A pod does not reach into its node",
        "no privileged containers, host namespaces, hostPath or hostPort",
        "Network policies do not hold for it, or it reads what is another's."
    );

    public static readonly LintRule NoProbe = new(
        "ONG150",
        "PRB001",
        Probes,
        "Kubernetes can see that it works",
        "a livenessProbe and a readinessProbe",
        "A container that hangs is never restarted; one that is not ready yet gets work."
    );

    public static readonly LintRule PortProbe = new(
        "ONG151",
        "PRB002",
        Probes,
        "A hung Redis is noticed",
        "a probe that executes PING",
        "The kernel accepts connections for a server that hangs: the probe stays green while every command times out."
    );

    public static readonly LintRule PasswordOnCommandLine = new(
        "ONG152",
        "PRB003",
        Probes,
        "No password stands on a command line",
        "the variable REDISCLI_AUTH",
        "Every process of the node reads command lines, and audit logs keep them."
    );

    public static readonly LintRule NoStartupProbe = new(
        "ONG153",
        "PRB004",
        Probes,
        "A Redis that loads is left to load",
        "a startupProbe that waits as long as loading takes",
        "Liveness kills it before its data is read, again and again, and most surely when there is much of it."
    );

    public static readonly LintRule StrictLiveness = new(
        "ONG154",
        "PRB005",
        Probes,
        "A busy Redis is not killed",
        "a livenessProbe that takes LOADING, BUSY and MASTERDOWN for a sign of life",
        "It works on a long script, or loads: a restart makes everybody wait longer, and forgets what is in memory."
    );

    public static readonly LintRule ProbePort = new(
        "ONG155",
        "PRB006",
        Probes,
        "A probe asks a port that is there",
        "the name or the number of a port of its container",
        "It never succeeds: the pod is never ready, or is killed over and over."
    );

    public static readonly LintRule Burstable = new(
        "ONG160",
        "RES001",
        Capacity,
        "Memory is promised in full",
        "resources: a request of memory that equals its limit",
        "When the node runs short, those above their request go first: Redis, when it is well used."
    );

    public static readonly LintRule CpuLimit = new(
        "ONG161",
        "RES002",
        Capacity,
        "No limit stops the processor",
        "a request of cpu, and no limit below two cores",
        "The quota of a tenth of a second is used up in its first half, and every command waits for the next: 4 ms become 46 ms."
    );

    public static readonly LintRule NoMemoryLimit = new(
        "ONG162",
        "RES003",
        Capacity,
        "Memory has a limit",
        "resources with a limit of memory",
        "What leaks in it takes the node's memory, and the kernel chooses who dies."
    );

    public static readonly LintRule TightMemory = new(
        "ONG163",
        "CAP001",
        Capacity,
        "The container has room for maxmemory and what comes on top",
        "maxmemory of at most 45 % of the limit where snapshots or an append-only file are written, 80 % otherwise",
        "While a snapshot is written every page that changes is there twice; buffers and fragments come on top. The kernel kills Redis in the middle of it."
    );

    public static readonly LintRule FewClients = new(
        "ONG164",
        "CAP002",
        Capacity,
        "maxclients is enough for all pods",
        "maxclients of twice the sum of replicas × sockets, and 64",
        "During an update old and new pods connect. At the limit probes and the exporter are refused like everybody: Redis seems down."
    );

    public static readonly LintRule OverfullShares = new(
        "ONG165",
        "CAP003",
        Capacity,
        "The catalog's shares fit into maxmemory",
        "maxmemory of at least the catalog's limit of memory",
        "Shares are reckoned from the catalog: families fill more than there is, and others are evicted, or writes refused."
    );

    public static readonly LintRule SleepyClient = new(
        "ONG166",
        "CAP004",
        Capacity,
        "A client is awake before its connection is cut",
        "keepAlive of a client below Redis's timeout and below 240 s",
        "Redis, or a load balancer, has forgotten the connection when the client comes back: the next command fails."
    );

    public static readonly LintRule SubPath = new(
        "ONG170",
        "VOL001",
        Volumes,
        "Mounted settings are renewed",
        "a mount of the whole volume, in a folder of its own",
        "A mount by subPath stays what it was when the container started, whatever becomes of its ConfigMap or Secret."
    );

    public static readonly LintRule RewrittenFile = new(
        "ONG171",
        "VOL002",
        Volumes,
        "No image rewrites its settings",
        "the official image, with settings that it is given as an argument",
        "Its entrypoint changes this very file: on a read-only mount it ends with \"Permission denied\", and starts again for ever."
    );

    public static readonly LintRule LostData = new(
        "ONG172",
        "VOL003",
        Volumes,
        "What Redis keeps lies on a volume that stays",
        "a claim of a StatefulSet at Redis's dir",
        "The append-only file and snapshots are gone with the pod: a restart finds nothing."
    );

    public static readonly LintRule UnknownVolume = new(
        "ONG173",
        "VOL004",
        Volumes,
        "A mount names a volume",
        "a volume of the pod with that name",
        "The API server refuses the pod."
    );

    public static readonly LintRule MissingReference = new(
        "ONG180",
        "REF001",
        References,
        "What is named is there",
        "an object of that name among the manifests, or --external NAME",
        "The pod waits in CreateContainerConfigError, or is not made at all."
    );

    public static readonly LintRule MissingKey = new(
        "ONG181",
        "REF002",
        References,
        "The key is there",
        "a key of that name in the object",
        "The pod waits in CreateContainerConfigError."
    );

    public static readonly LintRule Twice = new(
        "ONG182",
        "REF003",
        References,
        "An object stands once",
        "one document for each kind and name",
        "The later one wins, and which is the later depends on the order of files."
    );

    public static readonly LintRule BlindMonitor = new(
        "ONG183",
        "REF004",
        References,
        "A monitor finds what it scrapes",
        "a Service, or pods, with these labels and a port of this name",
        "Nothing is scraped, and no alert fires: it looks like a quiet night."
    );

    public static readonly LintRule UnknownHost = new(
        "ONG190",
        "CLI001",
        Clients,
        "A client's address is that of a Service",
        "host and port of a Service among the manifests",
        "The name is not found, or the connection refused."
    );

    public static readonly LintRule OtherLanguage = new(
        "ONG191",
        "CLI002",
        Clients,
        "Client and Redis agree on TLS",
        "TLS on both sides, or on none",
        "One waits for a handshake, the other for a command: it times out, and neither says why."
    );

    public static readonly LintRule UnknownUser = new(
        "ONG192",
        "CLI003",
        Clients,
        "A client's user is one of the catalog",
        "the service's name as its user, and as its label onggi.io/client",
        "It cannot log in; or all services are one user, and nobody can say who deleted it."
    );

    public static readonly LintRule UnreadableConnection = new(
        "ONG193",
        "CLI004",
        Clients,
        "A connection string can be read",
        "host:port,user=…,password=$(VARIABLE), or redis://…",
        "The service does not start."
    );

    public static readonly LintRule Quorum = new(
        "ONG194",
        "CLI005",
        Clients,
        "Sentinels can decide",
        "three Sentinels or more, a quorum of more than half, and the master's name that clients ask for",
        "A primary that dies is not replaced; or two parts of the cluster each have one."
    );

    /// <summary>All of them, by code.</summary>
    public static IReadOnlyList<LintRule> All { get; } =
    [
        .. typeof(LintRules)
            .GetFields()
            .Where(field => field.FieldType == typeof(LintRule))
            .Select(field => (LintRule)field.GetValue(null)!)
            .OrderBy(rule => rule.Code, StringComparer.Ordinal),
    ];
}
