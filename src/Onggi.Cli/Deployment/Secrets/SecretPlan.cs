using System.Security.Cryptography;
using Onggi.Cli.Access;
using Onggi.Keys;
using Onggi.Keys.Catalog;

namespace Onggi.Cli.Deployment.Secrets;

/// <summary>The Secrets of an environment: what is there is kept, what lacks is made, certificates near their end are renewed.</summary>
/// <param name="keyspace">The catalog, bound to the environment.</param>
/// <param name="terms">What they are made for.</param>
/// <param name="existing">What the cluster has.</param>
/// <param name="now">When.</param>
internal sealed class SecretPlan(
    Keyspace keyspace,
    SecretTerms terms,
    IReadOnlyDictionary<string, KubernetesSecret> existing,
    DateTimeOffset now
)
{
    public const string AclName = "redis-acl";
    public const string TlsName = "redis-tls";
    public const string AuthorityName = "redis-ca";
    public const string SentinelName = "redis-sentinel";

    private const int PasswordBytes = 32;

    private readonly List<string> _notes = [];
    private readonly Dictionary<string, KubernetesSecret> _passwords = [];

    /// <summary>What was made or changed, and what is to be done; nothing secret.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Passwords that are being handed out, by their digests: each Redis must have loaded them by now.</summary>
    public IReadOnlyList<(string User, string Digest)> HandedOut { get; private set; } = [];

    /// <summary>The Secret in which a user's password lies, under the key <c>password</c>.</summary>
    public static string NameOf(string user) => user == SentinelAccess.Client ? SentinelName : $"redis-credentials-{user}";

    /// <summary>Makes them.</summary>
    /// <exception cref="ToolException">What is asked for makes no sense with what is there.</exception>
    public IReadOnlyList<KubernetesSecret> Make()
    {
        var redis = AccessPlan.Of(keyspace, terms.IsReplicated);
        var sentinels = terms.IsReplicated ? SentinelAccess.All : [];
        var users = redis.Concat(sentinels).Where(user => user.IsOn).Select(user => user.Name).Distinct().ToList();
        var rotation = new PasswordRotation(
            terms,
            users.ToDictionary(user => user, user => RotatedPassword.In(existing.GetValueOrDefault(NameOf(user))))
        );
        rotation.Check();
        foreach (var user in users)
            _passwords[user] = Password(user, rotation);
        HandedOut =
        [
            .. redis
                .Where(user => user.IsOn && rotation.IsHandedOut(user.Name))
                .Select(user => (user.Name, AccessSecrets.Digest(_passwords[user.Name].Text(RotatedPassword.Key)!))),
        ];
        var files = new List<(string, string)> { ("users.acl", Lines(redis)) };
        if (terms.IsReplicated)
            files.Add(("sentinel.acl", Lines(sentinels)));
        var acl = KubernetesSecret.Of(AclName, KubernetesSecret.Opaque, files);
        if (existing.TryGetValue(AclName, out var before) && files.Any(file => before.Text(file.Item1) != file.Item2))
            _notes.Add(
                $"{AclName} changes: when the pods have it (a minute or so), say ACL LOAD to each Redis; Sentinels read it when they start."
            );
        List<KubernetesSecret> all = [acl, .. _passwords.Values];
        if (terms.IsReplicated)
            all.AddRange(Tls());
        all.AddRange(terms.Randoms.Select(Random));
        all.AddRange(terms.SigningKeys.SelectMany(SigningKey));
        NoteOrphans(all);
        _notes.AddRange(rotation.Notes);
        return all;
    }

    private KubernetesSecret Password(string user, PasswordRotation rotation)
    {
        var name = NameOf(user);
        var found = existing.GetValueOrDefault(name);
        var passwords = RotatedPassword.In(found) is { } known ? rotation.Turn(user, known, NewPassword) : null;
        if (passwords is null)
        {
            _notes.Add(found is null ? $"{name} is made." : $"{name} has no {RotatedPassword.Key}: it gets one.");
            passwords = new RotatedPassword(NewPassword());
        }

        return KubernetesSecret.Of(name, found?.Type ?? KubernetesSecret.Opaque, passwords.Data);
    }

    private string Lines(IEnumerable<AccessUser> users) =>
        string.Concat(users.Select(user => user.Line(user.IsOn ? Digests(_passwords[user.Name]) : []) + "\n"));

    private static IReadOnlyCollection<string> Digests(KubernetesSecret secret) =>
        [.. RotatedPassword.In(secret)!.All.Select(AccessSecrets.Digest)];

    private IEnumerable<KubernetesSecret> Tls()
    {
        var (tls, ca) = (existing.GetValueOrDefault(TlsName), existing.GetValueOrDefault(AuthorityName));
        if (tls?.Text("tls.crt") is { } foreign && ca is null)
        {
            // The team's own: it is renewed where it was made.
            _notes.Add($"{TlsName} was made elsewhere and stays as it is; it ends on {Certificates.End(foreign):yyyy-MM-dd}.");
            yield return tls;
            yield break;
        }

        var authority = Authority(ca);
        yield return KubernetesSecret.Of(
            AuthorityName,
            ca?.Type ?? KubernetesSecret.Certificate,
            ("tls.crt", authority.Certificate),
            ("tls.key", authority.Key)
        );
        var pair = Server(tls, authority);
        yield return KubernetesSecret.Of(
            TlsName,
            tls?.Type ?? KubernetesSecret.Certificate,
            ("ca.crt", authority.Certificate),
            ("tls.crt", pair.Certificate),
            ("tls.key", pair.Key)
        );
    }

    private CertificatePair Authority(KubernetesSecret? found)
    {
        if (found?.Text("tls.crt") is { } certificate && found.Text("tls.key") is { } key)
        {
            if (Certificates.End(certificate) - now < terms.Life)
                _notes.Add(
                    $"{AuthorityName} ends on {Certificates.End(certificate):yyyy-MM-dd}, and no certificate outlives it. Delete it together with {TlsName} at a quiet hour, run this again, and start all pods anew."
                );
            return new CertificatePair(certificate, key);
        }

        _notes.Add($"{AuthorityName} is made: no pod needs it; it signs the certificates to come.");
        return Certificates.Authority($"{keyspace.System} {keyspace.Environment} Redis authority", now);
    }

    private CertificatePair Server(KubernetesSecret? found, CertificatePair authority)
    {
        var names = Names();
        if (found?.Text("tls.crt") is { } certificate && found.Text("tls.key") is { } key)
        {
            var reason = Certificates.WhyNot(certificate, authority.Certificate, names, now, terms.RenewBefore);
            if (reason is null)
                return new CertificatePair(certificate, key);
            _notes.Add(
                $"{TlsName} is renewed: {reason}. When the pods have it: sh /onggi/config/reload-tls.sh in each Redis; start the Sentinels anew, one after the other."
            );
        }
        else
            _notes.Add($"{TlsName} is made.");

        return Certificates.Sign(authority, "redis", names, now, terms.Life);
    }

    // Each pod by its own name: a wildcard directly under a short name is refused by OpenSSL. And the pod itself, for probes.
    private List<string> Names()
    {
        string[] ends = ["", $".{terms.Namespace}", $".{terms.Namespace}.svc", $".{terms.Namespace}.svc.{terms.ClusterDomain}"];
        var names = new List<string> { "localhost", "127.0.0.1", "::1" };
        foreach (var (set, service) in (ReadOnlySpan<(string, string)>)[("redis", "redis-headless"), ("sentinel", "sentinel")])
        {
            names.AddRange(ends.Select(end => service + end));
            foreach (var pod in Enumerable.Range(0, terms.Pods))
                names.AddRange(ends.Select(end => $"{set}-{pod}.{service}{end}"));
        }

        names.AddRange(ends.Select(end => $"redis-primary{end}"));
        names.AddRange(terms.AlsoNames);
        return names;
    }

    private KubernetesSecret Random((string Name, string Key) wanted)
    {
        if (existing.TryGetValue(wanted.Name, out var found) && found.Text(wanted.Key) is not null)
            return found;
        _notes.Add($"{wanted.Name} is made.");
        var data = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var (key, value) in found?.Data ?? new Dictionary<string, byte[]>())
            data[key] = value;
        data[wanted.Key] = System.Text.Encoding.ASCII.GetBytes(NewPassword());
        return new KubernetesSecret(wanted.Name, found?.Type ?? KubernetesSecret.Opaque, data);
    }

    private IEnumerable<KubernetesSecret> SigningKey(string name)
    {
        const string Private = "token.pem";
        const string Public = "token.pub.pem";
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (existing.GetValueOrDefault(name)?.Text(Private) is { } pem)
            key.ImportFromPem(pem);
        else
            _notes.Add($"{name} is made, and its public part in {name}-public.");
        yield return KubernetesSecret.Of(name, KubernetesSecret.Opaque, (Private, key.ExportPkcs8PrivateKeyPem() + "\n"));
        yield return KubernetesSecret.Of($"{name}-public", KubernetesSecret.Opaque, (Public, key.ExportSubjectPublicKeyInfoPem() + "\n"));
    }

    // Who left the catalog: its password opens nothing any more, but its Secret is still mounted somewhere, perhaps.
    private void NoteOrphans(List<KubernetesSecret> all)
    {
        foreach (
            var name in existing
                .Keys.Where(name =>
                    name.StartsWith("redis-credentials-", StringComparison.Ordinal) && all.TrueForAll(secret => secret.Name != name)
                )
                .Order(StringComparer.Ordinal)
        )
            _notes.Add($"{name} is nobody's: no user of the catalog. When nothing mounts it: kubectl delete secret {name}");
    }

    private static string NewPassword() => RandomNumberGenerator.GetHexString(2 * PasswordBytes, lowercase: true);
}
